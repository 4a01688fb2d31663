//! The origin from outside: a whole house (journal, SQLite catalog, engine) in
//! a temporary folder, asked over HTTP.

#![allow(clippy::unwrap_used, missing_docs)]

mod access;
mod answers;
mod audits;
mod bad_input;
mod caching;
mod gap;
mod house;
mod listener;
mod published;
mod streams;
mod trouble;
mod versions;
mod writes;
