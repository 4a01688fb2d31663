//! Row filters: a SQL condition with `$claim` placeholders, filled with typed
//! constants. A claim can become a constant and nothing else.

use serde_json::{Map, Value};

use crate::placeholders::placeholders;

/// The most values of a claim that is a list.
const LIST_VALUES: usize = 256;

/// Fills a template. `Err` names the claim that is missing or has no fit form.
pub(crate) fn filled(template: &str, claims: &Map<String, Value>) -> Result<String, String> {
    let mut text = String::with_capacity(template.len() + 32);
    let mut from = 0;
    for placeholder in placeholders(template) {
        let claim = claims.get(&placeholder.name).and_then(constant);
        text.push_str(&template[from..placeholder.range.start]);
        text.push_str(&claim.ok_or(placeholder.name)?);
        from = placeholder.range.end;
    }
    text.push_str(&template[from..]);
    Ok(text)
}

/// A claim as a SQL constant; a list as a parenthesised one.
fn constant(claim: &Value) -> Option<String> {
    match claim {
        Value::Array(values) if values.len() <= LIST_VALUES => {
            let texts = values.iter().map(single).collect::<Option<Vec<_>>>()?;
            // `x IN (NULL)` holds for no row.
            Some(format!("({})", if texts.is_empty() { "NULL".into() } else { texts.join(", ") }))
        }
        other => single(other),
    }
}

fn single(claim: &Value) -> Option<String> {
    match claim {
        Value::Bool(truth) => Some(if *truth { "TRUE".into() } else { "FALSE".into() }),
        // Integers only: a JSON float's text need not be one number in SQL.
        Value::Number(number) => number.as_i64().map(|n| format!("({n})")),
        // NUL would end the statement's text early.
        Value::String(text) if !text.contains('\0') => {
            Some(format!("'{}'", text.replace('\'', "''")))
        }
        _ => None,
    }
}
