//! Checks published queries against the tables: does each statement prepare,
//! and may an edge answer those that ask for it (rule 9)?

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use springtide_engine::{Engine, EngineError, Stability, Statement, StatementRequest, TableSchema};
use springtide_protocol::TableName;
use springtide_protocol::parameter::{Parameter, ParameterType, ParameterValue};

use super::catalog::read_folder;
use super::file::{PublishedQuery, QueryFileError};

/// What is wrong with a published query.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// Its file.
    #[error(transparent)]
    File(#[from] QueryFileError),
    /// Its statement.
    #[error("the statement does not prepare: {0}")]
    Statement(#[from] EngineError),
    /// `edge = true` on a statement whose bytes may differ between runs.
    #[error("`edge = true` needs a stable answer, but {}", .0.join("; "))]
    UnstableAtEdge(Vec<String>),
}

/// Checks every file of a folder.
///
/// # Errors
/// Where the folder cannot be read; what is wrong with a file is a [`Finding`].
pub async fn check_folder(
    folder: &Path,
    engine: &Engine,
    tables: &Arc<BTreeMap<TableName, TableSchema>>,
) -> std::io::Result<BTreeMap<String, Result<(), Finding>>> {
    let mut findings = BTreeMap::new();
    for (name, query) in read_folder(folder)? {
        let finding = match query {
            Ok(query) => check_query(&query, engine, tables).await.map(drop),
            Err(error) => Err(error.into()),
        };
        findings.insert(name, finding);
    }
    Ok(findings)
}

/// Prepares a query with its defaults (or values of the right type).
///
/// # Errors
/// What is wrong with it.
pub async fn check_query(
    query: &PublishedQuery,
    engine: &Engine,
    tables: &Arc<BTreeMap<TableName, TableSchema>>,
) -> Result<Arc<Statement>, Finding> {
    let request = StatementRequest {
        sql: query.sql.clone(),
        parameters: query.parameters.iter().map(|p| (p.name.clone(), example(p))).collect(),
        tables: tables.clone(),
        clock_micros: 0,
    };
    let statement = engine.prepare(request).await?;
    edge_allows(query, &statement)?;
    Ok(statement)
}

/// Rule 9: an edge may answer only what is stable.
pub(crate) fn edge_allows(query: &PublishedQuery, statement: &Statement) -> Result<(), Finding> {
    match &statement.stability {
        Stability::Unstable(reasons) if query.edge => Err(Finding::UnstableAtEdge(reasons.clone())),
        _ => Ok(()),
    }
}

/// A value that a parameter can have.
fn example(parameter: &Parameter) -> ParameterValue {
    let declared = [&parameter.default, &parameter.min, &parameter.max];
    let text = declared.into_iter().flatten().chain(&parameter.choices).next();
    let fallback = match parameter.kind {
        ParameterType::Integer | ParameterType::Double => "0",
        ParameterType::Boolean => "false",
        ParameterType::String => "x",
        ParameterType::Date | ParameterType::Timestamp => "2000-01-01",
    };
    let value = parameter.kind.parse(text.map_or(fallback, String::as_str));
    value.unwrap_or(ParameterValue::Boolean(false))
}
