//! `/openapi.json`: the API's description (OpenAPI 3.1), made from the routes
//! and the published queries.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use springtide_protocol::Format;
use springtide_protocol::parameter::{Parameter, ParameterType};

use crate::body::Body;
use crate::origin::Origin;
use crate::queries::PublishedQuery;
use crate::server;

/// The description of this origin.
pub(crate) fn openapi(origin: &Origin) -> Response<Body> {
    let entries = origin.queries.entries();
    let queries = entries.values().filter_map(|entry| entry.query.as_deref().ok());
    let document = document(queries, origin.settings.adhoc_sql);
    let mut response = server::json(StatusCode::OK, &document);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

fn document<'a>(queries: impl Iterator<Item = &'a PublishedQuery>, adhoc_sql: bool) -> Value {
    let mut paths = Map::new();
    let mut add = |path: &str, method: &str, operation: Value| {
        paths.insert(path.to_owned(), json!({ method: operation }));
    };
    if adhoc_sql {
        let q = parameter("q", "query", "One SELECT, percent-encoded", true);
        let operation = answers("Ad-hoc read-only SQL", std::iter::once(q));
        add("/v1/sql.{format}", "get", operation);
    }
    for query in queries {
        let own = query.parameters.iter().map(declared);
        let path = format!("/v1/q/{}.{{format}}", query.name);
        add(&path, "get", answers(&query.description, own));
        let live = json!({
            "summary": format!("Follows {}: an event each time its ETag changes", query.name),
            "parameters": query.parameters.iter().map(declared).collect::<Vec<_>>(),
            "responses": { "200": events(), "default": problem() },
        });
        add(&format!("/v1/live/{}", query.name), "get", live);
    }
    for (path, method, operation) in fixed() {
        add(path, method, operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Springtide",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "SQL over a data lake and its stream, by URL",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "problem": problem_schema() },
        },
    })
}

/// The paths that are always there.
fn fixed() -> Vec<(&'static str, &'static str, Value)> {
    let read = |summary: &str| json!({ "summary": summary, "responses": { "200": json_answer(), "default": problem() } });
    let table = parameter("table", "path", "The table's name", true);
    let with_table = |mut operation: Value| {
        operation["parameters"] = json!([table]);
        operation
    };
    let changes = json!({
        "summary": "The change feed", "responses": { "200": events(), "default": problem() },
    });
    vec![
        ("/v1/queries", "get", read("The published queries")),
        ("/v1/tables", "get", read("The tables")),
        ("/v1/tables/{table}", "get", with_table(read("One table"))),
        ("/v1/audit/{table}", "get", audit(&table)),
        ("/v1/changes", "get", changes),
        ("/v1/ingest/{table}", "post", ingest(&table)),
        ("/v1/admin/commit/{table}", "post", with_table(read("Commits the tail to the lake"))),
        ("/v1/admin/purge", "post", read("Marks answers stale by tag")),
        (
            "/v1/admin/dead-letters/{table}",
            "get",
            with_table(read("Records of the stream that are no rows, newest first")),
        ),
        (
            "/v1/admin/dead-letters/{table}/discard",
            "post",
            with_table(read("Throws dead letters away, up to a number")),
        ),
        ("/healthz", "get", read("Whether the process answers")),
        ("/readyz", "get", read("Whether every part is there, and why not")),
        ("/metrics", "get", read("Metrics in Prometheus' text form")),
    ]
}

fn audit(table: &Value) -> Value {
    let figure = json!({ "description": "A number, or words where there is none" });
    let check = json!({
        "type": "object",
        "required": ["name", "ok", "expected", "found"],
        "properties": {
            "name": { "type": "string", "description": "What was compared; [n]: of partition n" },
            "ok": { "type": "boolean" },
            "expected": figure,
            "found": figure,
        },
    });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let schema = json!({
        "type": "object",
        "required": ["table", "version", "ok", "checks", "not_compared", "partitions"],
        "properties": {
            "table": { "type": "string" },
            "version": { "type": "string", "description": "The state that was audited" },
            "previous_version": { "type": ["string", "null"] },
            "ok": { "type": "boolean", "description": "Whether every check holds" },
            "checks": list(check),
            "not_compared": list(json!({ "type": "object", "required": ["name", "reason"] })),
            "partitions": list(json!({
                "type": "object",
                "description": "Boundary, end, rows in lake and tail, dead letters, gaps",
            })),
        },
    });
    json!({
        "summary": "Counts the table by offsets and holds lake, tail, stream, statements and the \
            audit before against each other; 200 also where something does not hold",
        "parameters": [table],
        "responses": {
            "200": {
                "description": "What was compared, and what was found",
                "content": { "application/json": { "schema": schema } },
            },
            "default": problem(),
        },
    })
}

fn ingest(table: &Value) -> Value {
    let key = parameter("Idempotency-Key", "header", "Makes a retry harmless", false);
    json!({
        "summary": "Adds rows, all or none",
        "parameters": [table, key],
        "requestBody": {
            "required": true,
            "content": { "application/x-ndjson": { "schema": { "type": "string" } } },
        },
        "security": [{ "token": [] }],
        "responses": { "202": json_answer(), "default": problem() },
    })
}

/// An operation that answers a question.
fn answers(summary: &str, own: impl Iterator<Item = Value>) -> Value {
    let mut parameters: Vec<Value> = own.collect();
    let mut format = parameter("format", "path", "The form of the answer", true);
    format["schema"] = json!({ "enum": Format::ALL.map(Format::suffix) });
    parameters.push(format);
    parameters.push(parameter("v", "query", "A version that was issued here: exactly that", false));
    parameters.push(parameter("min", "query", "The least version", false));
    let mut numbers = parameter("numbers", "query", "Numbers over 53 bits as text", false);
    numbers["schema"] = json!({ "enum": ["string"] });
    parameters.push(numbers);
    parameters.push(parameter("Springtide-Min-Version", "header", "The least version", false));
    parameters.push(parameter("If-None-Match", "header", "Entity tags that are held", false));
    let content: Map<String, Value> = Format::ALL
        .into_iter()
        .map(|f| (f.content_type().split(';').next().unwrap_or("").to_owned(), json!({})))
        .collect();
    json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "The answer", "content": content },
            "304": { "description": "The answer that is held is the answer" },
            "default": problem(),
        },
    })
}

fn parameter(name: &str, place: &str, description: &str, required: bool) -> Value {
    json!({
        "name": name, "in": place, "description": description, "required": required,
        "schema": { "type": "string" },
    })
}

/// A published query's parameter.
fn declared(declared: &Parameter) -> Value {
    let mut schema = match declared.kind {
        ParameterType::Integer => json!({ "type": "integer", "format": "int64" }),
        ParameterType::Double => json!({ "type": "number" }),
        ParameterType::Boolean => json!({ "type": "boolean" }),
        ParameterType::String => json!({ "type": "string" }),
        ParameterType::Date => json!({ "type": "string", "format": "date" }),
        ParameterType::Timestamp => json!({ "type": "string", "format": "date-time" }),
    };
    let typed = |text: &String| match declared.kind {
        ParameterType::Integer | ParameterType::Double | ParameterType::Boolean => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        _ => json!(text),
    };
    let bounds =
        [("default", &declared.default), ("minimum", &declared.min), ("maximum", &declared.max)];
    for (key, value) in bounds {
        if let Some(value) = value {
            schema[key] = typed(value);
        }
    }
    if !declared.choices.is_empty() {
        schema["enum"] = declared.choices.iter().map(typed).collect();
    }
    let required = declared.default.is_none();
    let mut described = parameter(&declared.name, "query", &declared.description, required);
    described["schema"] = schema;
    described
}

fn json_answer() -> Value {
    json!({ "description": "Done", "content": { "application/json": {} } })
}

fn events() -> Value {
    json!({ "description": "Server-sent events", "content": { "text/event-stream": {} } })
}

fn problem() -> Value {
    let schema = json!({ "$ref": "#/components/schemas/problem" });
    json!({
        "description": "What went wrong and what to change",
        "content": { "application/problem+json": { "schema": schema } },
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "request_id": { "type": "string" },
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn queries_are_described_with_their_types() {
        let text =
            "/* [[parameters]]\nname = 'n'\ntype = 'integer'\ndefault = 5\nmin = 1 */ SELECT $n";
        let query = PublishedQuery::parse("top", text).unwrap();
        let document = document([&query].into_iter(), false);
        let operation = &document["paths"]["/v1/q/top.{format}"]["get"];
        let n = &operation["parameters"][0];
        assert_eq!(n["schema"]["type"], "integer");
        assert_eq!((&n["schema"]["default"], &n["schema"]["minimum"]), (&json!(5), &json!(1)));
        assert_eq!(n["required"], false);
        assert!(document["paths"].get("/v1/sql.{format}").is_none(), "switched off");
        assert!(document["paths"]["/v1/ingest/{table}"]["post"].is_object());
        let audit = &document["paths"]["/v1/audit/{table}"]["get"]["responses"]["200"];
        assert_eq!(audit["content"]["application/json"]["schema"]["type"], "object");
    }
}
