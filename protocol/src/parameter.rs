//! The schema-aware layer of a query's canonical form: declared parameters with
//! types, defaults and bounds. Defaults become explicit and values get one
//! spelling, so that equal questions have equal text; unknown names are refused.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::canonical::CanonicalUrl;

/// Names that no query may declare: SQL text, pinned version, minimum version,
/// and how wide numbers are written.
pub const RESERVED: [&str; 4] = ["q", "v", "min", "numbers"];

/// A parameter's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// A signed 64-bit integer.
    Integer,
    /// A finite 64-bit float.
    Double,
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// `2001-03-31`.
    Date,
    /// `2001-03-31T23:59:00`, without a zone.
    Timestamp,
}

/// A typed value, bound to a `$name` of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// See [`ParameterType::Integer`].
    Integer(i64),
    /// See [`ParameterType::Double`].
    Double(f64),
    /// See [`ParameterType::Boolean`].
    Boolean(bool),
    /// See [`ParameterType::String`].
    String(String),
    /// See [`ParameterType::Date`].
    Date(NaiveDate),
    /// See [`ParameterType::Timestamp`].
    Timestamp(NaiveDateTime),
}

/// A declared parameter, as a published query's front matter has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The name, without `$`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// The value where the URL names none; without one it is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The values that are allowed; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Why parameters do not fit their declaration. Each names the parameter.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidParameter {
    /// Not declared.
    #[error("unknown parameter `{name}`{}", hint(.nearest))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The declared name that looks most like it.
        nearest: Option<String>,
    },
    /// Required and not given.
    #[error("parameter `{0}` is required")]
    Missing(String),
    /// Given more than once.
    #[error("parameter `{0}` is given more than once")]
    Repeated(String),
    /// Not of its type.
    #[error("parameter `{name}`: `{value}` is not {expected}")]
    Type {
        /// The parameter.
        name: String,
        /// What was given.
        value: String,
        /// What its type wants.
        expected: &'static str,
    },
    /// Out of its bounds or choices.
    #[error("parameter `{name}`: `{value}` must be {bound}")]
    Bound {
        /// The parameter.
        name: String,
        /// What was given.
        value: String,
        /// The bound in words.
        bound: String,
    },
    /// A declaration takes a reserved name.
    #[error("`{0}` is a reserved name; call the parameter something else")]
    Reserved(String),
}

impl InvalidParameter {
    /// The parameter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown { name, .. } | Self::Type { name, .. } | Self::Bound { name, .. } => name,
            Self::Missing(name) | Self::Repeated(name) | Self::Reserved(name) => name,
        }
    }
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |n| format!("; did you mean `{n}`?"))
}

impl ParameterType {
    /// Reads a value of this type.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<ParameterValue> {
        match self {
            Self::Integer => text.parse().ok().map(ParameterValue::Integer),
            Self::Double => {
                let number: f64 = text.parse().ok()?;
                // −0.0 and 0.0 are one question.
                number.is_finite().then_some(ParameterValue::Double(number + 0.0))
            }
            Self::Boolean => match text {
                "true" | "1" => Some(ParameterValue::Boolean(true)),
                "false" | "0" => Some(ParameterValue::Boolean(false)),
                _ => None,
            },
            Self::String => Some(ParameterValue::String(text.to_owned())),
            Self::Date => text.parse().ok().map(ParameterValue::Date),
            Self::Timestamp => timestamp(text).map(ParameterValue::Timestamp),
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Integer => "an integer of 64 bits",
            Self::Double => "a finite number",
            Self::Boolean => "`true` or `false`",
            Self::String => "a text",
            Self::Date => "a date such as 2001-03-31",
            Self::Timestamp => "a timestamp such as 2001-03-31T23:59:00",
        }
    }
}

/// A timestamp without a zone; a day alone is its midnight, a zone is brought to UTC.
fn timestamp(text: &str) -> Option<NaiveDateTime> {
    let text = text.replacen(' ', "T", 1);
    if let Ok(zoned) = DateTime::parse_from_rfc3339(&text) {
        return Some(zoned.naive_utc());
    }
    let plain =
        text.parse().ok().or_else(|| NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M").ok());
    plain.or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => n.fmt(f),
            Self::Double(n) => n.fmt(f),
            Self::Boolean(b) => b.fmt(f),
            Self::String(s) => f.write_str(s),
            Self::Date(d) => write!(f, "{}", d.format("%Y-%m-%d")),
            Self::Timestamp(t) => write!(f, "{}", t.format("%Y-%m-%dT%H:%M:%S%.f")),
        }
    }
}

impl PartialOrd for ParameterValue {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.partial_cmp(b),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.partial_cmp(b),
            (Self::String(a), Self::String(b)) => a.partial_cmp(b),
            (Self::Date(a), Self::Date(b)) => a.partial_cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

impl Parameter {
    /// Reads one value and holds it against bounds and choices.
    ///
    /// # Errors
    /// What does not fit, in words for the client.
    pub fn read(&self, text: &str) -> Result<ParameterValue, InvalidParameter> {
        let typed = |text: &str| {
            self.kind.parse(text).ok_or_else(|| InvalidParameter::Type {
                name: self.name.clone(),
                value: text.chars().take(80).collect(),
                expected: self.kind.expected(),
            })
        };
        let value = typed(text)?;
        let outside = |bound: String| InvalidParameter::Bound {
            name: self.name.clone(),
            value: value.to_string(),
            bound,
        };
        if let Some(min) = &self.min
            && value < typed(min)?
        {
            return Err(outside(format!("at least {min}")));
        }
        if let Some(max) = &self.max
            && value > typed(max)?
        {
            return Err(outside(format!("at most {max}")));
        }
        if !self.choices.is_empty() {
            let choices = self.choices.iter().map(|c| typed(c)).collect::<Result<Vec<_>, _>>()?;
            if !choices.contains(&value) {
                return Err(outside(format!("one of {}", self.choices.join(", "))));
            }
        }
        Ok(value)
    }

    /// Checks the declaration itself: name, default, bounds and choices.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), InvalidParameter> {
        if RESERVED.contains(&self.name.as_str()) {
            return Err(InvalidParameter::Reserved(self.name.clone()));
        }
        let texts = self.default.iter().chain(&self.choices);
        texts.chain(&self.min).chain(&self.max).try_for_each(|text| self.read(text).map(drop))
    }
}

/// Resolves a URL's parameters against their declarations: every declared
/// parameter has a value afterwards, in the order of declaration.
///
/// # Errors
/// The first parameter that is unknown, missing, repeated or does not fit.
pub fn resolve(
    declared: &[Parameter],
    url: &CanonicalUrl,
) -> Result<Vec<(String, ParameterValue)>, InvalidParameter> {
    for (name, _) in url.parameters() {
        if !RESERVED.contains(&name.as_str()) && !declared.iter().any(|p| p.name == *name) {
            let candidates = declared.iter().map(|p| p.name.as_str());
            let distance = |c: &&str| strsim::damerau_levenshtein(name, c);
            let nearest = candidates.min_by_key(distance).filter(|c| distance(c) <= 3);
            return Err(InvalidParameter::Unknown {
                name: name.clone(),
                nearest: nearest.map(str::to_owned),
            });
        }
    }
    let value = |parameter: &Parameter| {
        let given: Vec<_> = url.parameters().iter().filter(|(n, _)| *n == parameter.name).collect();
        let text = match given.as_slice() {
            [] => parameter.default.as_deref(),
            [(_, text)] => Some(text.as_str()),
            _ => return Err(InvalidParameter::Repeated(parameter.name.clone())),
        };
        let text = text.ok_or_else(|| InvalidParameter::Missing(parameter.name.clone()))?;
        Ok((parameter.name.clone(), parameter.read(text)?))
    };
    declared.iter().map(value).collect()
}

#[cfg(test)]
mod tests;
