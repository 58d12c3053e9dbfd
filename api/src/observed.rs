//! What the data plane answers: which resources it acts on, so that `Ready` is true only when it does.

use std::collections::HashMap;
use std::sync::Arc;

/// A snapshot of what the data plane runs, keyed by the UID of each Broker and Trigger.
pub type Observed = HashMap<Arc<str>, ObservedState>;

/// How far the data plane is with one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservedState {
    /// Acts on the given `metadata.generation`. For a Trigger, its start position is durable.
    Active {
        /// The generation in force.
        generation: i64,
    },
    /// Cannot act on the given generation.
    Failed {
        /// The generation that failed.
        generation: i64,
        /// Why and what to do, for a condition's message.
        message: String,
    },
    /// A Broker being deleted is closed: nobody reads or writes its log, which may now be removed. Reported for as
    /// long as the Broker is in the resources, also for one that was never opened.
    Closed,
}
