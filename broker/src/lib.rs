//! The data plane, from POST to subscriber.

pub mod filter;
