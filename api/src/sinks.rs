//! The kinds of `sinks.knative.dev`.

mod job;

pub use job::{JobSink, JobSinkJobStatus, JobSinkSpec, JobSinkStatus};

#[cfg(test)]
mod tests;
