//! Weir's vocabulary: what two crates exchange or a wire carries. Plain data, no I/O.
//!
//! * [`event`]: a CloudEvent and its encodings.
//! * [`eventing`], [`messaging`], [`flows`], [`sinks`], [`sources`], [`serving`]: the resource types a person writes, a
//!   module per API group, with their defaults and validation.
//! * [`destination`], [`delivery`], [`condition`], [`status`]: the duck types those share.
//! * [`resources`]: what the data plane runs, resolved from those by the controller; [`observed`]: what it answers.
//! * [`admission`], [`validation`]: defaults, rules and immutability of those types, one place for both API servers;
//!   [`kinds`]: the list of all kinds; [`crd`]: their CustomResourceDefinitions; [`legacy`]: older manifests of them.
//! * [`go_duration`], [`names`]: texts they share.
//! * [`sink`]: where a source, or a replay, hands its events to.

pub mod admission;
pub mod condition;
pub mod crd;
pub mod delivery;
pub mod destination;
mod embedded;
pub mod event;
pub mod eventing;
pub mod flows;
pub mod go_duration;
pub mod kinds;
pub mod legacy;
pub mod messaging;
pub mod names;
pub mod observed;
pub mod resources;
mod schema;
mod selector;
pub mod serving;
pub mod sink;
pub mod sinks;
pub mod sources;
pub mod status;
pub mod validation;

pub use event::Event;
