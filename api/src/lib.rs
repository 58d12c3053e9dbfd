//! Weir's vocabulary: what two crates exchange or a wire carries. Plain data, no I/O.
//!
//! * [`event`]: a CloudEvent and its encodings.
//! * [`eventing`]: the resource types a person writes (Broker, Trigger), with their defaults and validation.
//! * [`destination`], [`delivery`], [`condition`]: the duck types those share.
//! * [`resources`]: what the data plane runs, resolved from those by the controller; [`observed`]: what it answers.
//! * [`sink`]: where a source, or a replay, hands its events to.

pub mod condition;
pub mod delivery;
pub mod destination;
pub mod event;
pub mod eventing;
pub mod observed;
pub mod resources;
pub mod sink;

pub use event::Event;
