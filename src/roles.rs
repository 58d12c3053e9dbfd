//! Starts the roles of this process: the only place where the crates meet.

pub(crate) mod standalone;
