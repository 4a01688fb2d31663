//! The edge: a cache near the user in front of one origin. Policy is pure
//! (`policy`); a request's way is `service`, then `forward` and `fill`; what
//! changes is heard by `follow` and kept in `feed` and `tags`.
//!
//! It needs only the protocol's words. It must never know the origin's code, a
//! stream, a lake or SQL.

mod asked;
pub mod bare;
mod body;
mod collapse;
mod entry;
mod error;
mod feed;
mod fill;
mod follow;
mod forward;
mod key;
pub mod outcome;
mod own_fields;
pub mod policy;
mod respond;
mod server;
mod service;
mod settings;
mod status;
mod store;
mod tags;
mod upstream;

pub use error::EdgeError;
pub use key::KeyForm;
pub use service::Edge;
pub use settings::EdgeSettings;
pub use status::Status;

#[cfg(test)]
mod tests;
