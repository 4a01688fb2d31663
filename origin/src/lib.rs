//! The query service: an answer by URL, with its validator, its lifetimes and
//! its tags; published queries, ingest, the change feed, live queries, access,
//! the console. The way of a request: `server` → `route` → `request` →
//! `answer` (pin, plan, 304 or execute, headers, body).
//!
//! It must never know how a table is stored, how SQL runs, or what a cache in
//! front of it keeps.

mod access;
mod admin;
mod answer;
mod audit;
mod body;
mod changes;
mod coding;
mod console;
mod error;
mod event_stream;
mod health;
mod ingest;
mod lifetimes;
mod live;
mod openapi;
mod origin;
mod placeholders;
mod problem;
pub mod queries;
mod request;
mod route;
mod schemas;
mod server;
mod settings;
mod sql;
mod tables;
mod validators;

pub use access::{AccessSettings, Algorithm, InvalidAccess, RestrictedTable};
pub use error::OriginError;
pub use lifetimes::Lifetimes;
pub use origin::Origin;
pub use settings::{OriginSettings, ServerBounds};
