//! The policy: which tables are restricted, what a token opens, and the bytes
//! that stand for it in a validator.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use springtide_protocol::TableName;

use super::row_filter::filled;
use super::{AccessSettings, Denied, Identity, InvalidAccess, RestrictedTable};

/// The restricted tables.
#[derive(Debug)]
pub(crate) struct Policy {
    restricted: BTreeMap<TableName, RestrictedTable>,
    revision: String,
}

/// What one identity may read of the restricted tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct View {
    /// The open ones of the restricted tables, with their row filters.
    opened: BTreeMap<TableName, Option<Arc<str>>>,
}

impl Policy {
    pub(crate) fn new(settings: &AccessSettings) -> Result<Self, InvalidAccess> {
        if settings.algorithm.is_none()
            && let Some(table) = settings.restricted.keys().next()
        {
            return Err(InvalidAccess::NobodyCanRead(table.clone()));
        }
        let mut hash = Sha256::new();
        hash.update(settings.revision.to_be_bytes());
        for (table, rule) in &settings.restricted {
            let rule = serde_json::json!([table, rule.claim, rule.values, rule.row_filter]);
            hash.update(rule.to_string());
        }
        let revision = URL_SAFE_NO_PAD.encode(&hash.finalize()[..12]);
        Ok(Self { restricted: settings.restricted.clone(), revision })
    }

    /// Whether a table is restricted.
    pub(crate) fn restricts(&self, table: &TableName) -> bool {
        self.restricted.contains_key(table)
    }

    /// What an identity may read.
    pub(crate) fn view(&self, identity: &Identity) -> View {
        let opened = self
            .restricted
            .keys()
            .filter_map(|table| Some((table.clone(), self.opens(table, identity).ok()?)));
        View { opened: opened.collect() }
    }

    /// The row filter under which an identity reads a restricted table.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn opens(
        &self,
        table: &TableName,
        identity: &Identity,
    ) -> Result<Option<Arc<str>>, Denied> {
        let Some(rule) = self.restricted.get(table) else { return Ok(None) };
        let claims = identity.claims.as_ref();
        let claims =
            claims.ok_or_else(|| Denied::TokenMissing(format!("reading table `{table}`")))?;
        if let Some(name) = &rule.claim {
            let value = claims.get(name).filter(|value| !value.is_null());
            let value = value.ok_or_else(|| Denied::Table(table.clone()))?;
            if !rule.values.is_empty() && !has_any(value, &rule.values) {
                return Err(Denied::Table(table.clone()));
            }
        }
        let Some(template) = &rule.row_filter else { return Ok(None) };
        let filter = filled(template, claims);
        filter.map(|f| Some(f.into())).map_err(|claim| Denied::Claim(claim, table.clone()))
    }

    /// What joins the validator of an answer that read `tables`: empty where all
    /// are open, else the policy's revision and the claims that were used.
    pub(crate) fn bytes<'a>(
        &self,
        view: &View,
        tables: impl Iterator<Item = &'a TableName>,
    ) -> Vec<u8> {
        let used: BTreeMap<_, _> = tables
            .filter(|table| self.restricts(table))
            .map(|table| (table.as_str(), view.opened.get(table).cloned().flatten()))
            .collect();
        if used.is_empty() {
            return Vec::new();
        }
        serde_json::json!([self.revision, used]).to_string().into_bytes()
    }
}

impl View {
    /// Whether it opens a restricted table.
    pub(crate) fn opens(&self, table: &TableName) -> bool {
        self.opened.contains_key(table)
    }

    /// The row filter of a table.
    pub(crate) fn row_filter(&self, table: &TableName) -> Option<Arc<str>> {
        self.opened.get(table).cloned().flatten()
    }
}

/// Whether a claim (one value or a list) has one of the values.
fn has_any(claim: &Value, values: &[String]) -> bool {
    let is = |value: &Value| match value {
        Value::String(text) => values.contains(text),
        Value::Bool(_) | Value::Number(_) => values.contains(&value.to_string()),
        _ => false,
    };
    claim.as_array().map_or_else(|| is(claim), |list| list.iter().any(is))
}
