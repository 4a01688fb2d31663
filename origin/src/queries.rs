//! Published queries: one file each, `queries/NAME.sql`. Owns their form, what
//! is wrong with one, and which are published now. It runs nothing.
//!
//! A file is a block comment with TOML in it, then one SELECT:
//!
//! ```sql
//! /*
//! description = "Flights per hour of one day"
//! edge = false                       # true: the edge may answer from packs
//!
//! [[parameters]]
//! name = "day"
//! type = "date"                      # integer double boolean string date timestamp
//! default = "2001-03-31"             # none: the parameter is required
//!
//! [cache]
//! max_age = "0s"                     # in browsers
//! s_maxage = "1s"                    # in shared caches
//! stale_if_error = "60s"
//! hold = "1h"                        # at our own edges, under a live change feed
//! clock = "1s"                       # the grain of now()
//!
//! [chart]                            # Vega-Lite, as TOML or as a JSON text
//! mark = "line"
//! encoding = { x = { field = "hour", type = "temporal" }, y = { field = "flights" } }
//! */
//! SELECT … WHERE date >= $day
//! ```

mod catalog;
mod check;
mod file;

pub(crate) use catalog::Catalog;
pub(crate) use check::edge_allows;
pub use check::{Finding, check_folder, check_query};
pub use file::{CachePolicy, PublishedQuery, QueryFileError};

#[cfg(test)]
mod tests;
