//! The built program from outside: its commands, over HTTP, killed and started
//! again, over the embedded journal and over a real Kafka.

#![allow(clippy::unwrap_used, missing_docs)]

mod bad_input;
mod check;
mod client;
mod demo;
mod edge;
mod faults;
mod flow;
mod kafka;
mod lake;
mod program;
