//! Column names made distinct: an object's members and a file's columns need
//! it, SQL does not.

use std::collections::HashSet;

/// The names from left to right; one that repeats gets `_1`, `_2` …, the first
/// that no column has.
pub(crate) fn distinct<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let mut reserved: HashSet<String> = names.clone().map(str::to_owned).collect();
    let mut seen = HashSet::new();
    let rename = |name: &'a str| {
        if seen.insert(name) {
            return name.to_owned();
        }
        let candidates = (1..=reserved.len() + 1).map(|n| format!("{name}_{n}"));
        let free = candidates.into_iter().find(|c| !reserved.contains(c));
        // One of more candidates than there are names is free.
        let free = free.unwrap_or_else(|| name.to_owned());
        reserved.insert(free.clone());
        free
    };
    names.map(rename).collect()
}
