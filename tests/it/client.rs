//! A small HTTP client: what came back, with its headers.

use std::fmt::Write as _;

use serde_json::Value;
use ureq::Agent;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    headers: ureq::http::HeaderMap,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn etag(&self) -> &str {
        let etag = self.header("etag");
        assert!(!etag.is_empty(), "no ETag: {self:?}");
        etag
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// The only row of an answer.
    pub(crate) fn row(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["data"][0].clone()
    }
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
}

/// GET with headers.
pub(crate) fn get(url: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = agent().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    reply(request.call().unwrap())
}

/// POST of a body.
pub(crate) fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = agent().post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    reply(request.send(body).unwrap())
}

fn reply(mut response: ureq::http::Response<ureq::Body>) -> Reply {
    let body = response.body_mut().read_to_string().unwrap();
    Reply { status: response.status().as_u16(), body, headers: response.headers().clone() }
}

/// The URL of a statement.
pub(crate) fn sql_url(base: &str, sql: &str) -> String {
    let mut url = format!("{base}/v1/sql.json?q=");
    for byte in sql.bytes() {
        let _ = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => write!(url, "{}", char::from(byte)),
            _ => write!(url, "%{byte:02X}"),
        };
    }
    url
}

/// The answer of a statement.
pub(crate) fn sql(base: &str, statement: &str, headers: &[(&str, &str)]) -> Reply {
    get(&sql_url(base, statement), headers)
}

/// Rows of flights with these ids, all of one day and airport, as NDJSON.
pub(crate) fn flights(ids: std::ops::Range<u64>, day: &str, origin: &str) -> String {
    let mut body = String::new();
    for id in ids {
        let _ = writeln!(
            body,
            r#"{{"flight_id":{id},"date":"{day}T10:00:00","delay":{},"distance":500,"origin":"{origin}","destination":"JFK"}}"#,
            id % 7
        );
    }
    body
}

/// Sends rows; the token with which they can be read.
pub(crate) fn ingest(base: &str, body: &str) -> String {
    let reply = post(&format!("{base}/v1/ingest/flights"), &[], body);
    assert_eq!(reply.status, 202, "{}", reply.body);
    let token = reply.header("springtide-version").to_owned();
    assert_eq!(reply.json()["version"], token.as_str());
    token
}
