//! The endpoint as its clients see it: kube in process, and plain HTTP for the rules kube does not show.

mod access;
mod apply;
mod collection;
mod company;
mod objects;
mod support;
mod watches;
