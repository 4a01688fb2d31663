//! DuckDB's failures by what the caller should do about them. Instances are
//! set to report errors as JSON, so that nothing is guessed from prose.

use serde::Deserialize;

use crate::error::EngineError;

/// Longer details are cut at this many bytes: DuckDB quotes the statement.
const DETAIL_BYTES: usize = 2000;

#[derive(Deserialize)]
struct Report {
    exception_type: String,
    exception_message: String,
    #[serde(default)]
    position: Option<String>,
    #[serde(default)]
    candidates: Option<String>,
}

/// What a statement's failure means.
pub(crate) fn statement_error(error: duckdb::Error) -> EngineError {
    let text = error.to_string();
    let Some(report) = report(&text) else {
        return EngineError::internal("run the statement")(Box::new(error));
    };
    match report.exception_type.as_str() {
        "Out of Memory" => EngineError::OutOfMemory { source: Box::new(error) },
        "INTERRUPT" | "Interrupt" => EngineError::Cancelled,
        "Permission" => EngineError::Forbidden {
            what: detail(&report),
            hint: "statements read tables and nothing else".to_owned(),
        },
        "IO" | "INTERNAL" | "FATAL" | "HTTP" | "Connection" | "Transaction"
        | "TransactionContext" | "Serialization" | "Null Pointer" => {
            EngineError::internal("run the statement")(Box::new(error))
        }
        _ => EngineError::InvalidSql { detail: detail(&report), position: position(&report) },
    }
}

fn report(text: &str) -> Option<Report> {
    let start = text.find('{')?;
    serde_json::Deserializer::from_str(&text[start..]).into_iter().next()?.ok()
}

fn position(report: &Report) -> Option<usize> {
    report.position.as_deref()?.parse().ok()
}

fn detail(report: &Report) -> String {
    let message = report.exception_message.trim();
    let cut = message.floor_char_boundary(DETAIL_BYTES);
    let hint =
        report.candidates.as_deref().filter(|c| !c.is_empty() && !message.contains("Candidate"));
    let hint = hint.map_or_else(String::new, |c| format!(" (candidates: {c})"));
    format!("{}{hint}", &message[..cut])
}
