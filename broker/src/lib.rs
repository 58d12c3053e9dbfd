//! The data plane: from `POST /{namespace}/{broker}` to the subscriber.
//!
//! * [`ingress`]: accepts events; 202 leaves once they are durable.
//! * [`delivery`]: POST, retry, reply, dead letter.
//! * [`ledger`]: dead letters and failed attempts, in SQL.
//! * [`filter`]: does a Trigger want an event, and why not.
//! * [`Logs`]: the Brokers' logs, opened once per process.
//!
//! Which Brokers and Triggers there are comes in as `Resources`; what is acted on goes out as `Observed`.

mod backoff;
mod carried;
pub mod delivery;
pub mod filter;
pub mod ingress;
pub mod ledger;
mod logs;
mod metrics;
mod observer;
mod server;
mod settings;
mod stamp;

pub use logs::Logs;
pub use metrics::Metrics;
pub use settings::{DispatcherSettings, IngressSettings, Settings};
