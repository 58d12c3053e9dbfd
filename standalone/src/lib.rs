//! What a cluster would provide, for one machine.
//!
//! * [`api`]: a Kubernetes-style API endpoint over a SQL database.

pub mod api;
