//! One published query's file: front matter and statement, read and checked
//! without running anything.

use std::time::Duration;

use serde::Serialize;
use springtide_protocol::parameter::{InvalidParameter, Parameter};

use crate::lifetimes::Lifetimes;
use crate::placeholders::placeholders;

/// The most bytes of a file.
pub(crate) const FILE_BYTES: u64 = 64 * 1024;

const TOP_KEYS: [&str; 5] = ["description", "parameters", "cache", "chart", "edge"];
const CACHE_KEYS: [&str; 5] = ["max_age", "s_maxage", "stale_if_error", "hold", "clock"];
const PARAMETER_KEYS: [&str; 7] =
    ["name", "type", "default", "min", "max", "choices", "description"];

/// A query that answers at `/v1/q/{name}`.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedQuery {
    /// The file's name without `.sql`.
    pub name: String,
    /// For people.
    pub description: String,
    /// What the URL may say.
    pub parameters: Vec<Parameter>,
    /// How long answers live; what is `None` is the origin's default.
    pub cache: CachePolicy,
    /// A Vega-Lite specification without data.
    pub chart: Option<serde_json::Value>,
    /// Whether an edge may answer it from packs.
    pub edge: bool,
    /// The statement, trimmed, with `$name` for each parameter.
    pub sql: String,
}

/// The `[cache]` of a query's front matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CachePolicy {
    /// In browsers.
    pub max_age: Option<Duration>,
    /// In shared caches.
    pub s_maxage: Option<Duration>,
    /// While the origin fails.
    pub stale_if_error: Option<Duration>,
    /// At our own edges.
    pub hold: Option<Duration>,
    /// The grain of the frozen clock.
    pub clock: Option<Duration>,
}

/// What is wrong with a file; each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum QueryFileError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    /// Over the bound.
    #[error("the file has {0} bytes; at most {FILE_BYTES} are read")]
    TooLong(u64),
    /// The name would not stand in a URL.
    #[error("`{0}` is not a query's name: use letters, digits, `-` and `_`, at most 64")]
    Name(String),
    /// It does not begin with a block comment.
    #[error(
        "the file does not begin with its front matter: open it with `/*`, write TOML, close it with `*/`"
    )]
    NoFrontMatter,
    /// The TOML does not parse.
    #[error("the front matter is not TOML: {0}")]
    Toml(#[from] toml::de::Error),
    /// A key that does not exist.
    #[error("unknown key `{key}`{}", nearest.as_ref().map_or_else(String::new, |n| format!("; did you mean `{n}`?")))]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// A value that does not fit.
    #[error("`{key}` must be {expected}")]
    Value {
        /// The key with its section.
        key: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A parameter's declaration does not hold.
    #[error("the declaration of a parameter does not hold: {0}")]
    Parameter(#[from] InvalidParameter),
    /// Two parameters of one name.
    #[error("parameter `{0}` is declared twice")]
    Twice(String),
    /// `chart` as a text that is not JSON.
    #[error("`chart` is a text but not JSON; write a TOML table or a JSON object")]
    Chart(#[source] serde_json::Error),
    /// Nothing follows the front matter.
    #[error("there is no statement after the front matter")]
    NoStatement,
    /// `$name` that is not declared.
    #[error("the statement uses `${0}`, which is not declared; add it under [[parameters]]")]
    Undeclared(String),
    /// Declared and not used.
    #[error("parameter `{0}` is declared but the statement does not use `${0}`")]
    Unused(String),
}

impl PublishedQuery {
    /// Reads the text of the file `{name}.sql`.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn parse(name: &str, text: &str) -> Result<Self, QueryFileError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(QueryFileError::Name(name.chars().take(80).collect()));
        }
        let (front, sql) = split(text)?;
        let mut table: toml::Table = front.parse()?;
        known(&table, "", &TOP_KEYS)?;
        let parameters = parameters(table.remove("parameters"))?;
        let sql = sql.trim().trim_end_matches(';').trim_end().to_owned();
        if sql.is_empty() {
            return Err(QueryFileError::NoStatement);
        }
        declared(&parameters, &sql)?;
        Ok(Self {
            name: name.to_owned(),
            description: text_of(&table, "description")?,
            parameters,
            cache: cache(table.get("cache"))?,
            chart: chart(table.remove("chart"))?,
            edge: match table.get("edge") {
                None => false,
                Some(toml::Value::Boolean(edge)) => *edge,
                Some(_) => return Err(wrong("edge", "true or false")),
            },
            sql,
        })
    }

    /// How long its answers live, with the origin's defaults.
    #[must_use]
    pub fn lifetimes(&self, default: &Lifetimes) -> Lifetimes {
        Lifetimes {
            max_age: self.cache.max_age.unwrap_or(default.max_age),
            s_maxage: self.cache.s_maxage.unwrap_or(default.s_maxage),
            stale_if_error: self.cache.stale_if_error.unwrap_or(default.stale_if_error),
            hold: self.cache.hold.unwrap_or(default.hold),
        }
    }
}

fn wrong(key: &str, expected: &'static str) -> QueryFileError {
    QueryFileError::Value { key: key.to_owned(), expected }
}

/// Front matter and statement.
fn split(text: &str) -> Result<(&str, &str), QueryFileError> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let body = text.strip_prefix("/*").ok_or(QueryFileError::NoFrontMatter)?;
    body.split_once("*/").ok_or(QueryFileError::NoFrontMatter)
}

/// Refuses a key that is not in the list.
fn known(table: &toml::Table, section: &str, keys: &[&str]) -> Result<(), QueryFileError> {
    let Some(key) = table.keys().find(|k| !keys.contains(&k.as_str())) else { return Ok(()) };
    let distance = |known: &&&str| strsim::damerau_levenshtein(key, known);
    let nearest = keys.iter().min_by_key(distance).filter(|k| distance(k) <= 3);
    Err(QueryFileError::UnknownKey {
        key: format!("{section}{key}"),
        nearest: nearest.map(|k| format!("{section}{k}")),
    })
}

fn text_of(table: &toml::Table, key: &'static str) -> Result<String, QueryFileError> {
    match table.get(key) {
        None => Ok(String::new()),
        Some(toml::Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong(key, "a text")),
    }
}

fn parameters(value: Option<toml::Value>) -> Result<Vec<Parameter>, QueryFileError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let toml::Value::Array(list) = value else {
        return Err(wrong("parameters", "a list: open each with [[parameters]]"));
    };
    let mut read: Vec<Parameter> = Vec::new();
    for value in list {
        let toml::Value::Table(mut table) = value else {
            return Err(wrong("parameters", "a list of tables"));
        };
        known(&table, "parameters.", &PARAMETER_KEYS)?;
        for key in ["default", "min", "max"] {
            if let Some(value) = table.get_mut(key) {
                as_text(value);
            }
        }
        if let Some(toml::Value::Array(choices)) = table.get_mut("choices") {
            choices.iter_mut().for_each(as_text);
        }
        let parameter: Parameter = toml::Value::Table(table).try_into()?;
        parameter.check()?;
        if read.iter().any(|p| p.name == parameter.name) {
            return Err(QueryFileError::Twice(parameter.name));
        }
        read.push(parameter);
    }
    Ok(read)
}

/// Numbers, days and truths may be written as such; they are texts to the declaration.
fn as_text(value: &mut toml::Value) {
    let text = match &*value {
        toml::Value::Integer(n) => n.to_string(),
        toml::Value::Float(n) => n.to_string(),
        toml::Value::Boolean(b) => b.to_string(),
        toml::Value::Datetime(t) => t.to_string(),
        _ => return,
    };
    *value = toml::Value::String(text);
}

/// Every `$name` is declared, every declaration used.
fn declared(parameters: &[Parameter], sql: &str) -> Result<(), QueryFileError> {
    let used = placeholders(sql);
    if let Some(unknown) = used.iter().find(|u| !parameters.iter().any(|p| p.name == u.name)) {
        return Err(QueryFileError::Undeclared(unknown.name.clone()));
    }
    let unused = parameters.iter().find(|p| !used.iter().any(|u| u.name == p.name));
    unused.map_or(Ok(()), |p| Err(QueryFileError::Unused(p.name.clone())))
}

fn cache(value: Option<&toml::Value>) -> Result<CachePolicy, QueryFileError> {
    let Some(value) = value else { return Ok(CachePolicy::default()) };
    let table = value.as_table().ok_or_else(|| wrong("cache", "a table: open it with [cache]"))?;
    known(table, "cache.", &CACHE_KEYS)?;
    let duration = |key: &'static str| {
        let Some(value) = table.get(key) else { return Ok(None) };
        let parsed = value.as_str().and_then(|text| humantime::parse_duration(text).ok());
        parsed.map(Some).ok_or_else(|| QueryFileError::Value {
            key: format!("cache.{key}"),
            expected: "a duration with its unit, such as \"10s\"",
        })
    };
    let clock = duration("clock")?;
    if clock.is_some_and(|c| c < Duration::from_millis(1)) {
        return Err(wrong("cache.clock", "at least 1ms"));
    }
    Ok(CachePolicy {
        max_age: duration("max_age")?,
        s_maxage: duration("s_maxage")?,
        stale_if_error: duration("stale_if_error")?,
        hold: duration("hold")?,
        clock,
    })
}

fn chart(value: Option<toml::Value>) -> Result<Option<serde_json::Value>, QueryFileError> {
    let Some(value) = value else { return Ok(None) };
    let json = match value {
        toml::Value::String(text) => serde_json::from_str(&text).map_err(QueryFileError::Chart)?,
        other => serde_json::to_value(other).map_err(QueryFileError::Chart)?,
    };
    if json.is_object() { Ok(Some(json)) } else { Err(wrong("chart", "a table or a JSON object")) }
}
