//! Where a key stands in a TOML file: `file:line:column`.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// Refuses what is not TOML, with its place.
pub(super) fn check_syntax(path: &Path, text: &str) -> Result<(), ConfigError> {
    DeTable::parse(text).map(drop).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        ConfigError::Syntax { place: at(path, text, offset), what: error.message().to_owned() }
    })
}

/// The place of the deepest of `keys` that the file has; the file alone where it has none.
pub(super) fn find(path: &Path, text: &str, keys: &[&str]) -> String {
    let offset = DeTable::parse(text).ok().and_then(|table| in_table(table.get_ref(), keys));
    match offset {
        Some(offset) => at(path, text, offset),
        None => path.display().to_string(),
    }
}

fn in_table(table: &DeTable<'_>, keys: &[&str]) -> Option<usize> {
    let (first, rest) = keys.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == *first)?;
    Some(in_value(value, rest).unwrap_or_else(|| key.span().start))
}

fn in_value(value: &Spanned<DeValue<'_>>, keys: &[&str]) -> Option<usize> {
    let (first, rest) = keys.split_first()?;
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, keys),
        DeValue::Array(items) => {
            let item = items.get(first.parse::<usize>().ok()?)?;
            Some(in_value(item, rest).unwrap_or_else(|| item.span().start))
        }
        _ => None,
    }
}

fn at(path: &Path, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!("{}:{line}:{column}", path.display())
}
