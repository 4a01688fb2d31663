//! From a canonical URL and a method to what is asked: a pure table. It must
//! never look at headers, parameters or state.

use http::Method;
use springtide_protocol::canonical::CanonicalUrl;
use springtide_protocol::{Format, TableName};

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/`
    Console,
    /// `/console.js`
    ConsoleScript,
    /// `/console.css`
    ConsoleStyle,
    /// `/openapi.json`
    OpenApi,
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/v1/q/{name}.{fmt}`
    Query(String, Format),
    /// `/v1/sql.{fmt}`
    Sql(Format),
    /// `/v1/queries`
    Queries,
    /// `/v1/tables`
    Tables,
    /// `/v1/tables/{table}`
    Table(TableName),
    /// `/v1/audit/{table}`
    Audit(TableName),
    /// `/v1/live/{name}`
    Live(String),
    /// `/v1/changes`
    Changes,
    /// `POST /v1/ingest/{table}`
    Ingest(TableName),
    /// `POST /v1/admin/commit/{table}`
    Commit(TableName),
    /// `POST /v1/admin/purge`
    Purge,
    /// `/v1/admin/dead-letters/{table}`
    DeadLetters(TableName),
    /// `POST /v1/admin/dead-letters/{table}/discard`
    Discard(TableName),
}

/// Why there is no route.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoute {
    /// No such path.
    #[error(
        "there is nothing at `{0}`; /openapi.json lists every URL, /v1/queries the published queries"
    )]
    NotFound(String),
    /// A suffix that is no format.
    #[error("there is no format `{suffix}`; answers come as {}", formats())]
    Format {
        /// As it was asked for.
        suffix: String,
    },
    /// A name that cannot be a table's.
    #[error(transparent)]
    TableName(#[from] springtide_protocol::ids::InvalidTableName),
    /// Another method is meant.
    #[error("this URL answers {allow}, not {method}")]
    Method {
        /// What was used.
        method: String,
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// `OPTIONS`: not an error, but answered without a route.
    #[error("OPTIONS")]
    Options {
        /// The value of `Allow`.
        allow: &'static str,
    },
}

/// The suffixes of paths, as a sentence lists them.
pub(crate) fn formats() -> String {
    Format::ALL.map(|format| format!(".{}", format.suffix())).join(", ")
}

const READ: &str = "GET, HEAD, OPTIONS";
const WRITE: &str = "POST, OPTIONS";

impl Route {
    /// Finds the route.
    ///
    /// # Errors
    /// Unknown path, name or method.
    pub(crate) fn find(method: &Method, url: &CanonicalUrl) -> Result<Self, NoRoute> {
        let route = Self::by_path(url)?;
        let allow = if route.writes() { WRITE } else { READ };
        match *method {
            Method::GET | Method::HEAD if !route.writes() => Ok(route),
            Method::POST if route.writes() => Ok(route),
            Method::OPTIONS => Err(NoRoute::Options { allow }),
            _ => Err(NoRoute::Method { method: method.to_string(), allow }),
        }
    }

    fn by_path(url: &CanonicalUrl) -> Result<Self, NoRoute> {
        let segments: Vec<&str> = url.path().iter().map(String::as_str).collect();
        Ok(match segments.as_slice() {
            [] => Self::Console,
            ["console.js"] => Self::ConsoleScript,
            ["console.css"] => Self::ConsoleStyle,
            ["openapi.json"] => Self::OpenApi,
            ["healthz"] => Self::Health,
            ["readyz"] => Self::Ready,
            ["metrics"] => Self::Metrics,
            ["v1", "q", name] => {
                let (name, format) = Format::split(name);
                Self::Query(name.to_owned(), format)
            }
            ["v1", "queries"] => Self::Queries,
            ["v1", "tables"] => Self::Tables,
            ["v1", "tables", table] => Self::Table(table.parse()?),
            ["v1", "audit", table] => Self::Audit(table.parse()?),
            ["v1", "live", name] => Self::Live((*name).to_owned()),
            ["v1", "changes"] => Self::Changes,
            ["v1", "ingest", table] => Self::Ingest(table.parse()?),
            ["v1", "admin", "commit", table] => Self::Commit(table.parse()?),
            ["v1", "admin", "purge"] => Self::Purge,
            ["v1", "admin", "dead-letters", table] => Self::DeadLetters(table.parse()?),
            ["v1", "admin", "dead-letters", table, "discard"] => Self::Discard(table.parse()?),
            ["v1", last] if Format::split(last).0 == "sql" => Self::Sql(Format::split(last).1),
            ["v1", last] if last.starts_with("sql.") => {
                let suffix = last.trim_start_matches("sql.").chars().take(40).collect();
                return Err(NoRoute::Format { suffix });
            }
            _ => {
                let path = format!("/{}", segments.join("/"));
                return Err(NoRoute::NotFound(path.chars().take(200).collect()));
            }
        })
    }

    /// Whether it changes something.
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Ingest(_) | Self::Commit(_) | Self::Purge | Self::Discard(_))
    }

    /// The path's template: the label of logs and metrics, bounded in number.
    pub(crate) const fn template(&self) -> &'static str {
        match self {
            Self::Console => "/",
            Self::ConsoleScript => "/console.js",
            Self::ConsoleStyle => "/console.css",
            Self::OpenApi => "/openapi.json",
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Query(..) => "/v1/q/{name}",
            Self::Sql(_) => "/v1/sql",
            Self::Queries => "/v1/queries",
            Self::Tables => "/v1/tables",
            Self::Table(_) => "/v1/tables/{table}",
            Self::Audit(_) => "/v1/audit/{table}",
            Self::Live(_) => "/v1/live/{name}",
            Self::Changes => "/v1/changes",
            Self::Ingest(_) => "/v1/ingest/{table}",
            Self::Commit(_) => "/v1/admin/commit/{table}",
            Self::Purge => "/v1/admin/purge",
            Self::DeadLetters(_) => "/v1/admin/dead-letters/{table}",
            Self::Discard(_) => "/v1/admin/dead-letters/{table}/discard",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: Method, target: &str) -> Result<Route, NoRoute> {
        Route::find(&method, &CanonicalUrl::parse(target).unwrap())
    }

    #[test]
    fn every_url_of_the_contract_has_its_route() {
        let flights: TableName = "flights".parse().unwrap();
        let reads = [
            ("/", Route::Console),
            ("/v1/q/top.csv?n=3", Route::Query("top".into(), Format::Csv)),
            ("/v1/q/top.v2", Route::Query("top.v2".into(), Format::Json)),
            ("/v1/sql?q=SELECT+1", Route::Sql(Format::Json)),
            ("/v1/sql.arrow?q=x", Route::Sql(Format::Arrow)),
            ("/v1/tables/flights", Route::Table(flights.clone())),
            ("/v1/audit/flights", Route::Audit(flights.clone())),
            ("/v1/live/top", Route::Live("top".into())),
            ("/v1/changes", Route::Changes),
            ("/openapi.json", Route::OpenApi),
        ];
        for (target, route) in reads {
            assert_eq!(find(Method::GET, target), Ok(route.clone()), "{target}");
            assert_eq!(find(Method::HEAD, target), Ok(route), "{target}");
        }
        assert_eq!(find(Method::POST, "/v1/ingest/flights"), Ok(Route::Ingest(flights)));
        assert_eq!(find(Method::POST, "/v1/admin/purge"), Ok(Route::Purge));
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let post = find(Method::POST, "/v1/sql?q=x");
        assert!(matches!(post, Err(NoRoute::Method { allow: "GET, HEAD, OPTIONS", .. })));
        let get = find(Method::GET, "/v1/ingest/flights");
        assert!(matches!(get, Err(NoRoute::Method { allow: "POST, OPTIONS", .. })));
        let options = find(Method::OPTIONS, "/v1/sql");
        assert_eq!(options, Err(NoRoute::Options { allow: READ }));
    }

    #[test]
    fn what_is_not_there_is_said() {
        for target in ["/v2/sql", "/v1", "/v1/sql/x", "/v1/sqlx", "/v1/q", "/v1/q/a/b", "/x"] {
            assert!(matches!(find(Method::GET, target), Err(NoRoute::NotFound(_))), "{target}");
        }
        let Err(format) = find(Method::GET, "/v1/sql.xml?q=x") else { panic!("no such format") };
        let told =
            "there is no format `xml`; answers come as .json, .csv, .ndjson, .arrow, .parquet";
        assert_eq!(format.to_string(), told);
        assert!(matches!(find(Method::GET, "/v1/tables/No!"), Err(NoRoute::TableName(_))));
    }
}
