//! Who may write: ingest and `/v1/admin`. With a token configured, those who
//! have it; without one, this machine alone.

use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Denied;
use super::jwt::bearer;

/// The rule of writes.
#[derive(Clone)]
pub(crate) struct Writers {
    /// The token's hash: equal lengths, so that comparing takes equal time.
    token: Option<[u8; 32]>,
    beyond_loopback: bool,
}

impl Writers {
    pub(crate) fn new(token: Option<&str>, beyond_loopback: bool) -> Self {
        let token = token.filter(|token| !token.trim().is_empty());
        Self { token: token.map(|token| digest(token.trim())), beyond_loopback }
    }

    /// Whether writes are off altogether.
    pub(crate) const fn are_off(&self) -> bool {
        self.token.is_none() && self.beyond_loopback
    }

    /// Lets a write in.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match &self.token {
            Some(_) if self.is_writer(headers)? => Ok(()),
            Some(_) if headers.contains_key(header::AUTHORIZATION) => {
                Err(Denied::Token("it is not the token of writes"))
            }
            Some(_) => Err(Denied::TokenMissing("writing".to_owned())),
            None if self.beyond_loopback => Err(Denied::WritesOff),
            None if from_other_site(headers) => Err(Denied::OtherSite),
            None => Ok(()),
        }
    }

    /// Whether the request has the token.
    pub(crate) fn is_writer(&self, headers: &HeaderMap) -> Result<bool, Denied> {
        let Some(expected) = &self.token else { return Ok(false) };
        let given = bearer(headers)?;
        Ok(given.is_some_and(|given| digest(given).ct_eq(expected).into()))
    }
}

impl std::fmt::Debug for Writers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writers").field("token", &self.token.is_some()).finish_non_exhaustive()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A browser says from which site a page writes; one of another site could
/// otherwise reach this machine's loopback.
fn from_other_site(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (origin, host) {
        (Some((_, site)), Some(host)) => !site.eq_ignore_ascii_case(host),
        _ => true,
    }
}
