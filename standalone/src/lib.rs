//! What a cluster would provide, for one machine.
//!
//! * [`api`]: a Kubernetes-style API endpoint over a SQL database.
//! * [`pki`]: the certificates it shows to other machines.

pub mod api;
pub mod pki;
