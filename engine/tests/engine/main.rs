//! The engine from outside: union, encodings, limits, cancellation.

#![allow(clippy::unwrap_used)]

mod deletes;
mod golden;
mod limits;
mod model;
mod prepared;
mod schemas;
mod support;
mod types;
mod union;
