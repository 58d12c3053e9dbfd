//! Black-box tests of the real binary: one process per test, real sockets, real foreign clients.
//!
//! `tests/run` says which foreign parts are there; a test whose part is missing says so and is skipped.

mod clients;
mod crash;
mod delivery;
mod foreign;
mod ingress;
mod kubectl;
mod readme;
mod standalone;
mod support;
