//! The demo: real flights, most of them in the lake, the newest replayed
//! through the stream. What it needs lies in the program, so that it runs from
//! any folder.

mod flights;
mod history;
mod replay;

#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Context as _;

pub(crate) use flights::Flights;
pub(crate) use history::load_history;
pub(crate) use replay::Replay;

/// What `springtide demo` starts from, below a file that the user names.
pub(crate) const CONFIG: &str = include_str!("../demo/springtide.toml");
/// The demo's table.
pub(crate) const TABLE: &str = "flights";

const QUERIES: [(&str, &str); 2] = [
    ("flights_per_hour.sql", include_str!("../queries/flights_per_hour.sql")),
    ("top_airports.sql", include_str!("../queries/top_airports.sql")),
];

/// Lays the published queries into a folder; those that are there stay as they are.
pub(crate) fn lay_queries(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, text) in QUERIES {
        let path = folder.join(name);
        if !path.exists() {
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}
