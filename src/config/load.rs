//! Reading the configuration: defaults, then the file, then the environment.
//! Owns what an error says: the key, its place in the file, the nearest key
//! that exists.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Env, Format as _, Toml};
use figment::{Figment, Metadata};
use springtide_freshness::settings::InvalidSettings;

use super::{Config, place};

const DEFAULTS: &str = include_str!("defaults.toml");
const VARIABLES: &str = "SPRINGTIDE_";
/// Keys that no section holds; other variables need `__`, so that a variable
/// that is none of ours is not taken for an unknown key.
const TOP_KEYS: [&str; 3] = ["dir", "queries", "pin_window"];

/// Where the configuration comes from, beside the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// What a command brings along, below the file.
    pub(crate) built_in: Option<&'static str>,
    /// The file.
    pub(crate) file: Option<PathBuf>,
}

/// A configuration and what it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// All keys with their resolved values.
    pub(crate) resolved: figment::value::Dict,
}

/// Why there is no configuration. Each says what to change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: not TOML: {what}")]
    Syntax {
        /// `file:line:column`.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// A key that does not exist, or a value of the wrong form.
    #[error("{place}: {what}")]
    Value {
        /// `file:line:column` or the variable's name.
        place: String,
        /// What is wrong and what to change.
        what: String,
    },
    /// A value that does not fit.
    #[error("{key}: {what}")]
    Key {
        /// The key's path.
        key: String,
        /// What to change.
        what: String,
    },
    /// Tables, catalog, stream or tail do not hold together.
    #[error(transparent)]
    Tables(#[from] InvalidSettings),
    /// The working folder is unknown.
    #[error("the working folder cannot be told")]
    WorkingFolder(#[source] std::io::Error),
}

/// Reads the configuration.
///
/// # Errors
/// The first thing that is wrong, with its place and what to change.
pub(crate) fn load(source: &Source) -> Result<Loaded, ConfigError> {
    let text = source.file.as_deref().map(read).transpose()?;
    let mut figment = Figment::from(Toml::string(DEFAULTS));
    if let Some(built_in) = source.built_in {
        figment = figment.merge(Toml::string(built_in));
    }
    if let (Some(path), Some(text)) = (&source.file, &text) {
        place::check_syntax(path, text)?;
        figment = figment.merge(Toml::file_exact(path));
    }
    figment = figment.merge(environment());
    let config: Config = figment.extract().map_err(|error| {
        let file = source.file.as_deref().zip(text.as_deref());
        explain(&error, file)
    })?;
    let config = absolute(config, &figment)?;
    config.validate()?;
    let mut resolved: figment::value::Dict =
        figment.extract().map_err(|error| explain(&error, None))?;
    let paths = [("dir", &config.dir), ("queries", &config.queries)];
    for (key, path) in paths {
        resolved.insert(key.to_owned(), path.display().to_string().into());
    }
    Ok(Loaded { config, resolved })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })
}

fn environment() -> Env {
    let ours = |key: &figment::value::UncasedStr| {
        key.as_str().contains("__") || TOP_KEYS.iter().any(|top| key == top)
    };
    Env::prefixed(VARIABLES).filter(ours).split("__")
}

/// A relative path starts at the folder of the file that names it, else at the working folder.
fn absolute(mut config: Config, figment: &Figment) -> Result<Config, ConfigError> {
    let working = std::env::current_dir().map_err(ConfigError::WorkingFolder)?;
    let base = |key: &str| {
        let file = figment.find_metadata(key).and_then(|m| m.source.as_ref()?.file_path());
        let folder = file.and_then(Path::parent).map(|folder| working.join(folder));
        folder.unwrap_or_else(|| working.clone())
    };
    config.dir = base("dir").join(&config.dir);
    config.queries = base("queries").join(&config.queries);
    if let Some(warehouse) = &config.catalog.warehouse
        && !warehouse.contains("://")
    {
        let path = base("catalog.warehouse").join(warehouse);
        config.catalog.warehouse = Some(path.display().to_string());
    }
    Ok(config)
}

/// Says where the error is and what would be right.
fn explain(error: &figment::Error, file: Option<(&Path, &str)>) -> ConfigError {
    let mut keys: Vec<&str> = error.path.iter().map(String::as_str).collect();
    let what = match &error.kind {
        Kind::UnknownField(field, known) => {
            if keys.last() != Some(&field.as_str()) {
                keys.push(field);
            }
            unknown_key(field, &keys, known)
        }
        Kind::MissingField(field) => {
            format!("`{}` is missing", dotted(&keys, Some(field)))
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("`{}` is {actual}, but wants {expected}", dotted(&keys, None))
        }
        other => format!("`{}`: {other}", dotted(&keys, None)),
    };
    ConfigError::Value { place: origin_of(error.metadata.as_ref(), &keys, file), what }
}

fn origin_of(metadata: Option<&Metadata>, keys: &[&str], file: Option<(&Path, &str)>) -> String {
    if metadata.is_some_and(|m| m.name.contains("environment")) {
        return format!("{VARIABLES}{}", keys.join("__").to_uppercase());
    }
    match file {
        Some((path, text)) => place::find(path, text, keys),
        None => "the configuration".to_owned(),
    }
}

fn dotted(keys: &[&str], last: Option<&str>) -> String {
    keys.iter().copied().chain(last).collect::<Vec<_>>().join(".")
}

fn unknown_key(field: &str, keys: &[&str], known: &[&str]) -> String {
    const NEAR: f64 = 0.6;
    let similarity = |candidate: &str| strsim::jaro_winkler(field, candidate);
    let nearest = known
        .iter()
        .map(|candidate| (similarity(candidate), *candidate))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let unknown = format!("there is no key `{}`", dotted(keys, None));
    match nearest {
        Some((_, name)) => format!("{unknown}; did you mean `{name}`?"),
        None => format!("{unknown}; known here are {}", known.join(", ")),
    }
}
