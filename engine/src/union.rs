//! A relation's parts as one SELECT: lake files, sealed segments, and rows
//! in memory, each row once, typed as the relation says. It names one pinned
//! state, so a self-join sees it twice the same. It must never decide
//! what a row's place is: boundary and end come with the relation.

mod footer;
mod tail;
mod view;

pub(crate) use footer::Footers;
pub(crate) use tail::{TailRegistry, register};
pub(crate) use view::Unions;

#[cfg(test)]
mod tests;
