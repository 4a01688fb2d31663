//! The house keeps its own rules: rooms, directions, licences and one arrow
//! from `cargo metadata`; lengths, first lines and absences from the files.

#![allow(clippy::unwrap_used, missing_docs)]

mod files;
mod licence;
mod rooms;
mod source;
mod wasm;
