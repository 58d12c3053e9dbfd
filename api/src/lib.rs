//! Weir's vocabulary: what two crates exchange or a wire carries. Plain data, no I/O.
//!
//! * [`event`]: a CloudEvent and its encodings.
//! * [`eventing`]: the resource types a person writes (Broker, Trigger), with their defaults and validation.
//! * [`serving`]: the resource types of programs that scale with their requests (Service, Route …), likewise;
//!   [`names`]: what names look like.
//! * [`destination`], [`delivery`], [`condition`], [`status`]: the duck types those share.
//! * [`resources`]: what the data plane runs, resolved from those by the controller; [`observed`]: what it answers.
//! * [`admission`], [`validation`]: defaults, rules and immutability of those types, one place for both API servers;
//!   [`kinds`]: the list of all kinds; [`crd`]: their CustomResourceDefinitions.
//! * [`sink`]: where a source, or a replay, hands its events to.

pub mod admission;
pub mod condition;
pub mod crd;
pub mod delivery;
pub mod destination;
pub mod event;
pub mod eventing;
pub mod kinds;
pub mod names;
pub mod observed;
pub mod resources;
pub mod serving;
pub mod sink;
pub mod status;
pub mod validation;

pub use event::Event;
