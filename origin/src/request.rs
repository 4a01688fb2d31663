//! What a request for an answer says: reserved parameters, minimum or pinned
//! version, validators, coding. Pure: URL and headers in, a typed question out.

use http::{HeaderMap, header};
use springtide_protocol::canonical::CanonicalUrl;
use springtide_protocol::parameter::{InvalidParameter, Parameter, RESERVED, resolve};
use springtide_protocol::signing::VersionKey;
use springtide_protocol::version::PartialTableVersion;
use springtide_protocol::{MinVersion, OffsetMap, Version, headers};

use crate::error::{RequestError, nearest};

pub(crate) use springtide_protocol::parameter::ParameterValue;

/// Which state an answer is wanted from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum At {
    /// The newest.
    Latest,
    /// At least this.
    Least(MinVersion),
    /// Exactly this.
    Exactly(Version),
}

/// The reserved parameters of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// SQL text.
    pub(crate) q: Option<String>,
    /// A signed version.
    pub(crate) v: Option<String>,
    /// A minimum version.
    pub(crate) min: Option<String>,
    /// `numbers=string`.
    pub(crate) numbers_as_text: bool,
}

impl Reserved {
    /// Reads them; those that the route does not know are refused like any unknown parameter.
    pub(crate) fn read(
        url: &CanonicalUrl,
        allowed: &[&'static str],
        declared: &[Parameter],
    ) -> Result<Self, RequestError> {
        let is_known =
            |name: &str| allowed.contains(&name) || declared.iter().any(|p| p.name == name);
        if let Some((name, _)) = url.parameters().iter().find(|(name, _)| !is_known(name)) {
            let known = declared.iter().map(|p| p.name.as_str()).chain(allowed.iter().copied());
            let nearest = nearest(name, known);
            return Err(InvalidParameter::Unknown { name: name.clone(), nearest }.into());
        }
        let mut texts = RESERVED.map(|name| (name, None));
        for (name, text) in &mut texts {
            let given = url.parameters().iter().filter(|(n, _)| n == name).count();
            if given > 1 {
                return Err(RequestError::RepeatedReserved(name));
            }
            *text = url.single(name).map(str::to_owned);
        }
        let [(_, q), (_, v), (_, min), (_, numbers)] = texts;
        let numbers_as_text = match numbers.as_deref() {
            None => false,
            Some("string") => true,
            Some(_) => return Err(RequestError::Numbers),
        };
        Ok(Self { q, v, min, numbers_as_text })
    }

    /// The state that is asked for, header and URL together.
    pub(crate) fn at(&self, headers: &HeaderMap, key: &VersionKey) -> Result<At, RequestError> {
        let parse = |text: &str| text.parse::<MinVersion>().map_err(RequestError::Minimum);
        let header = match headers.get(headers::MIN_VERSION) {
            None => None,
            Some(value) => Some(parse(value.to_str().unwrap_or("\u{fffd}"))?),
        };
        let url = self.min.as_deref().map(parse).transpose()?;
        let least = match (header, url) {
            (Some(a), Some(b)) => Some(joined(a, b).ok_or(RequestError::MinimaDisagree)?),
            (a, b) => a.or(b),
        };
        match (&self.v, least) {
            (None, None) => Ok(At::Latest),
            (None, Some(least)) => Ok(At::Least(least)),
            (Some(signed), None) => {
                Ok(At::Exactly(key.verify(signed).map_err(RequestError::Pinned)?))
            }
            (Some(_), Some(_)) if self.min.is_some() => Err(RequestError::PinnedAndMinimum),
            // A client or an edge may send the header with every request; what is
            // pinned is exact all the same.
            (Some(signed), Some(least)) => {
                let version = key.verify(signed).map_err(RequestError::Pinned)?;
                match least.reached_by(&version) {
                    springtide_protocol::version::AtLeast::Reached => Ok(At::Exactly(version)),
                    _ => Err(RequestError::PinnedAndMinimum),
                }
            }
        }
    }
}

/// The declared parameters' values.
pub(crate) fn values(
    declared: &[Parameter],
    url: &CanonicalUrl,
) -> Result<Vec<(String, ParameterValue)>, RequestError> {
    Ok(resolve(declared, url)?)
}

/// The least version that reaches both; `None` where no version can.
fn joined(mut a: MinVersion, b: MinVersion) -> Option<MinVersion> {
    for (table, theirs) in b.tables {
        let ours = a.tables.entry(table).or_default();
        *ours = joined_table(ours, theirs)?;
    }
    Some(a)
}

fn joined_table(a: &PartialTableVersion, b: PartialTableVersion) -> Option<PartialTableVersion> {
    let agree = |a: Option<uuid::Uuid>, b: Option<uuid::Uuid>| match (a, b) {
        (Some(a), Some(b)) if a != b => Err(()),
        (a, b) => Ok(a.or(b)),
    };
    Some(PartialTableVersion {
        table_uuid: agree(a.table_uuid, b.table_uuid).ok()?,
        topic_id: agree(a.topic_id, b.topic_id).ok()?,
        schema_id: a.schema_id.max(b.schema_id),
        decode_epoch: a.decode_epoch.max(b.decode_epoch),
        foreign_sequence: a.foreign_sequence.max(b.foreign_sequence),
        offsets: if a.offsets.is_empty() {
            b.offsets
        } else {
            OffsetMap::max(&a.offsets, &b.offsets)
        },
    })
}

/// All `If-None-Match` lines as one list.
pub(crate) fn if_none_match(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> =
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// The clock as a statement sees it: T = floor(now, quantum).
pub(crate) fn frozen(now_micros: i64, quantum: std::time::Duration) -> i64 {
    let quantum = i64::try_from(quantum.as_micros()).unwrap_or(i64::MAX).max(1);
    now_micros.div_euclid(quantum).saturating_mul(quantum)
}

#[cfg(test)]
mod tests;
