//! Who may write. With a token configured, those who have it; without one, this
//! machine alone may ingest, and nobody may use `/v1/admin`.

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
            Some(_) if headers.contains_key(header::AUTHORIZATION) => Err(Denied::Token(
                "it is not the token of `[server] admin_token`, which writes need",
            )),
            Some(_) => Err(Denied::TokenMissing("writing".to_owned())),
            None if self.beyond_loopback => Err(Denied::WritesOff),
            None if from_other_site(headers) => Err(Denied::OtherSite),
            None => Ok(()),
        }
    }

    /// Lets a request to `/v1/admin` in.
    pub(crate) fn check_admin(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match self.token {
            Some(_) if self.is_writer(headers)? => Ok(()),
            Some(_) if headers.contains_key(header::AUTHORIZATION) => {
                Err(Denied::Token("it is not the token of `[server] admin_token`"))
            }
            Some(_) => Err(Denied::TokenMissing("administration".to_owned())),
            None => Err(Denied::AdminOff),
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

/// Whether a page of another site may be behind the request. A browser names the
/// page's site and the host that it believes to speak to: both must be this
/// machine's own names, else a name that was made to point at loopback would do.
fn from_other_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(header::ORIGIN).map(|site| site.split_once("://").map_or("", |(_, h)| h));
    !site.is_none_or(is_loopback) || !text(header::HOST).is_none_or(is_loopback)
}

/// Whether `host[:port]` is a name of this machine's loopback.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let address: Option<std::net::IpAddr> = name.parse().ok();
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod other_sites {
    use super::*;

    #[test]
    fn only_names_of_this_machine_write_without_a_token() {
        let allowed = |origin: Option<&str>, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            Writers::new(None, false).check(&headers).is_ok()
        };
        assert!(allowed(None, "127.0.0.1:8081"));
        assert!(allowed(Some("http://127.0.0.1:8080"), "127.0.0.1:8081"));
        assert!(allowed(Some("http://localhost:8080"), "[::1]:8081"));
        assert!(!allowed(Some("http://evil.test:8081"), "evil.test:8081"));
        assert!(!allowed(None, "evil.test:8081"));
        assert!(!allowed(Some("http://evil.test"), "127.0.0.1:8081"));
        assert!(!allowed(Some("null"), "127.0.0.1:8081"));
        assert!(!allowed(Some("http://127.0.0.1.evil.test"), "127.0.0.1:8081"));
    }
}
