//! DuckDB sessions: locked instances, sessions on threads of their own, an
//! admission limit before them, and interruption. It must never know what a
//! statement means.

mod failure;
mod instance;
mod interruption;
mod pool;

pub(crate) use failure::statement_error;
pub(crate) use instance::{open_executor, open_planner};
pub(crate) use interruption::{Interruption, Job};
pub(crate) use pool::{Session, Sessions};

#[cfg(test)]
mod tests;
