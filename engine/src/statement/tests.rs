//! What statements may do, and what becomes of them.

mod definite;
mod escapes;
mod resolved;
mod row_filters;
