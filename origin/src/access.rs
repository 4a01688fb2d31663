//! Who may read and who may write (rule 16). Owns identities, the restricted
//! tables with their row filters, and the policy's revision. It must never know
//! how an answer is made.

mod jwt;
mod policy;
mod row_filter;
mod writers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use springtide_protocol::TableName;

pub(crate) use jwt::{Identity, Verifier};
pub(crate) use policy::{Policy, View};
pub(crate) use writers::Writers;

/// `[access]` of the configuration. Without it every table is open.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// How tokens are signed; `None`: no token is accepted.
    pub algorithm: Option<Algorithm>,
    /// The file of the shared secret (HS256).
    pub secret_file: Option<PathBuf>,
    /// The file of the public key in PEM (RS256, ES256).
    pub public_key_file: Option<PathBuf>,
    /// The issuer that tokens must name.
    pub issuer: Option<String>,
    /// The audience that tokens must name.
    pub audience: Option<String>,
    /// Raised by hand when a policy outside this file changes.
    pub revision: u32,
    /// The tables that are not open.
    pub restricted: BTreeMap<TableName, RestrictedTable>,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// RSA with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
}

/// One table that only some may read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestrictedTable {
    /// The claim that a token must have; `None`: any valid token will do.
    pub claim: Option<String>,
    /// The values of the claim that open the table; empty: any value.
    pub values: Vec<String>,
    /// A condition that joins every read, with `$claim` for a token's claims.
    pub row_filter: Option<String>,
}

/// Why settings of access do not hold.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAccess {
    /// The key's file is not named.
    #[error("[access] algorithm = \"{0:?}\" needs `{1}`")]
    KeyMissing(Algorithm, &'static str),
    /// The key's file cannot be read.
    #[error("the key of [access] in {path} cannot be read")]
    KeyRead {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key is not one.
    #[error("the key of [access] is not a key for its algorithm")]
    Key(#[source] jsonwebtoken::errors::Error),
    /// A shared secret is too short to be one.
    #[error("the secret of [access] has {0} bytes; use 32 or more")]
    SecretShort(usize),
    /// Restricted tables that nobody can read.
    #[error("[access.restricted.{0}] needs `algorithm` and a key, else nobody could read it")]
    NobodyCanRead(TableName),
}

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// The token does not hold.
    #[error("the token is not valid: {0}")]
    Token(&'static str),
    /// No token was given.
    #[error("{0} needs a token: send `Authorization: Bearer …`")]
    TokenMissing(String),
    /// The token does not open a table.
    #[error("the token does not open table `{0}`")]
    Table(TableName),
    /// A row filter needs a claim that the token does not have in a fit form.
    #[error("the token lacks the claim `{0}` that table `{1}` asks for")]
    Claim(String, TableName),
    /// Writes are off.
    #[error(
        "this listener is open beyond this machine and has no token; set `admin_token` to switch writes and /v1/admin on"
    )]
    WritesOff,
    /// `/v1/admin` is never open.
    #[error(
        "/v1/admin always needs a token and this program has none: set `admin_token` under [server], or SPRINGTIDE_SERVER__ADMIN_TOKEN in the environment"
    )]
    AdminOff,
    /// A page of another site tries to write.
    #[error("a page of another site may not write here without a token")]
    OtherSite,
}

#[cfg(test)]
mod tests;
