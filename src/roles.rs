//! Starts the roles of this process: the only place where the crates meet.

mod guard;
pub(crate) mod standalone;
