//! Functions whose result is as large as a number says: DuckDB folds them while
//! it plans, outside its memory limit and deaf to interrupts. So their sizes
//! must be constants within a bound. As table functions they stream, unbounded.
//! What they come to inside one another is [`super::growth`]'s.

use std::collections::HashSet;

use serde_json::Value;

use super::ast::{class, function_name, list, text, visit};
use super::vet::forbidden;
use crate::error::EngineError;

/// The largest size that a statement may name.
const MOST: u64 = 100_000;
/// Calls that make lists in one statement: their sizes multiply where they nest.
const LIST_CALLS: usize = 1;

/// Name, the arguments that are sizes, and whether it makes a list.
const SIZED: [(&str, &[usize], bool); 10] = [
    ("range", &[0, 1, 2], true),
    ("generate_series", &[0, 1, 2], true),
    ("list_resize", &[1], true),
    ("array_resize", &[1], true),
    ("equi_width_bins", &[2], true),
    ("repeat", &[1], false),
    ("lpad", &[1], false),
    ("rpad", &[1], false),
    ("bar", &[3], false),
    ("bitstring", &[1], false),
];

/// Refuses sizes that are not constant or too large.
pub(super) fn check(select: &Value) -> Result<(), EngineError> {
    let mut streaming: HashSet<*const Value> = HashSet::new();
    let mut calls = Vec::new();
    visit(select, &mut |node| {
        if text(node, "type") == "TABLE_FUNCTION" {
            streaming.insert(&raw const node["function"]);
        }
        if class(node) == "FUNCTION" {
            calls.push(node);
        }
    });
    let mut lists = 0;
    for call in calls.into_iter().filter(|call| !streaming.contains(&std::ptr::from_ref(*call))) {
        let name = function_name(call);
        let Some((_, sizes, makes_list)) = SIZED.iter().find(|(sized, ..)| *sized == name) else {
            continue;
        };
        lists += usize::from(*makes_list);
        let arguments = list(call, "children");
        let sizes = sizes.iter().filter_map(|at| arguments.get(*at));
        if lists > LIST_CALLS || !sizes.into_iter().all(is_small) {
            return Err(forbidden(
                format!("`{name}()` of this size"),
                "its sizes must be constants up to 100000, and a statement makes one such list; \
                 FROM range(…) has no such bound",
            ));
        }
    }
    Ok(())
}

/// Whether it is a constant within the bound. A parameter is looked at once it is bound.
fn is_small(node: &Value) -> bool {
    match class(node) {
        "PARAMETER" => true,
        "CAST" => is_small(&node["child"]),
        "FUNCTION" if function_name(node) == "-" => {
            matches!(list(node, "children"), [only] if is_small(only))
        }
        "CONSTANT" => {
            let value = &node["value"]["value"];
            let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            number.is_some_and(|number| number.unsigned_abs() <= MOST)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::super::ast::parse_select;
    use super::*;

    #[test]
    fn what_would_fill_the_memory_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        let allowed = |sql: &str| check(&parse_select(&connection, sql).unwrap()).is_ok();
        for sql in [
            "SELECT list_transform(range(1000000000), x -> x)",
            "SELECT unnest(generate_series(1, 1000000000))",
            "SELECT list_transform(range(100000), x -> range(100000))",
            "SELECT range(n) FROM (SELECT 1000000000 AS n)",
            "SELECT range(10 * 100000000)",
            "SELECT list_resize([1], 1000000000)",
            "SELECT length(repeat('x', 4000000000))",
            "SELECT lpad('x', 1000000000::INTEGER, 'y')",
            "SELECT 1 FROM range(length(repeat('x', 1000000000)))",
            "SELECT bitstring('1', 1000000000)",
        ] {
            assert!(!allowed(sql), "{sql}");
        }
        for sql in [
            "SELECT list_transform(range(1000), x -> x + 1)",
            "SELECT range(10, -10, -1)",
            "SELECT count(*) FROM range(1000000000)",
            "SELECT repeat('x', 100000), lpad('a', $n, ' ')",
            "SELECT * FROM generate_series(1, 1000000000) LIMIT 1",
        ] {
            assert!(allowed(sql), "{sql}");
        }
    }
}
