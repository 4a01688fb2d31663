//! One exchange with the origin for a key: the request with its conditions and
//! clocks, the judgement of the answer, its body, and the store. It must never
//! know who waits.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use springtide_protocol::headers;
use springtide_protocol::limits::VERSION_BYTES;
use springtide_protocol::version::MinVersion;

use crate::body::EdgeBody;
use crate::collapse::FillEnd;
use crate::entry::{Arrival, Entry};
use crate::error::UpstreamError;
use crate::key::Key;
use crate::own_fields::OwnFields;
use crate::policy::cache_control::RequestDirectives;
use crate::policy::freshness::{self, Lifetimes, SPRINGTIDE_CACHE_CONTROL};
use crate::policy::storage::{self, Asked, NotStored};
use crate::policy::validate;
use crate::service::Edge;
use crate::tags;
use crate::upstream::{self, remove_hop_by_hop};

/// The body of an error that those who wait may share without it being stored.
const SHARED_ERROR_BYTES: u64 = 64 * 1024;

/// What a fill asks for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The key.
    pub key: Key,
    /// The client's fields, as [`upstream::for_fill`] leaves them.
    pub fields: HeaderMap,
    /// The client's directives.
    pub directives: RequestDirectives,
    /// Whether it has `Authorization`.
    pub authorized: bool,
    /// The client's minimum version.
    pub minimum: Option<MinVersion>,
    /// What is stored and not fresh.
    pub stored: Option<Arc<Entry>>,
    /// The feed's sequence now.
    pub begun: u64,
}

/// What became of a fill.
#[derive(Debug)]
pub(crate) enum Filled {
    /// An answer that may be shared.
    Shared(FillEnd),
    /// An answer for the one who asked, as it comes.
    Alone(Box<Response<EdgeBody>>, NotStored),
}

/// A body read within bounds.
enum Read {
    Whole(Bytes),
    /// Larger than what is stored: what was read, and the rest.
    Larger(VecDeque<Bytes>, Incoming),
}

impl Edge {
    /// Asks the origin and stores what may be stored.
    pub(crate) async fn fill(&self, ask: &Ask) -> Filled {
        let conditional = ask.stored.as_ref().filter(|entry| !entry.is_dropped());
        let result = match self.exchange(ask, conditional).await {
            // A 304 that does not speak of what is stored: ask again without conditions.
            Ok(None) => self.exchange(ask, None).await,
            other => other,
        };
        match result {
            Ok(Some(filled)) => filled,
            Ok(None) => Filled::Shared(FillEnd::Released),
            Err(error) => {
                tracing::debug!(target = %ask.key.target, %error, "no answer from the origin");
                Filled::Shared(FillEnd::Failed(Arc::new(error)))
            }
        }
    }

    /// Asks the origin for the head of what is not stored.
    pub(crate) async fn head(&self, ask: &Ask) -> Result<Response<EdgeBody>, UpstreamError> {
        let mut request = request(ask, None).map_err(UpstreamError::Request)?;
        *request.method_mut() = Method::HEAD;
        let response = self.upstream.send(request).await?;
        Ok(pass_on(response.map(EdgeBody::Stream)))
    }

    async fn exchange(
        &self,
        ask: &Ask,
        conditional: Option<&Arc<Entry>>,
    ) -> Result<Option<Filled>, UpstreamError> {
        let asked = self.now();
        let request = request(ask, conditional).map_err(UpstreamError::Request)?;
        let response = self.upstream.send(request).await?;
        let received = self.now();
        let age = freshness::initial_age(response.headers(), asked, received);
        let validated = received.mono - age;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            let Some(stored) = conditional else {
                return Ok(Some(alone(response, NotStored::Status)));
            };
            return Ok(self.confirmed(ask, stored, response.headers(), validated));
        }
        let how =
            Asked { method: &Method::GET, directives: ask.directives, authorized: ask.authorized };
        let verdict = storage::storable(how, status, response.headers());
        let lifetimes = match verdict {
            Ok(lifetimes) => lifetimes,
            Err(reason)
                if status.is_server_error()
                    && is_small(&response)
                    && storage::is_for_all(how, reason, response.headers()) =>
            {
                return self.shared_error(ask, response, reason).await.map(Some);
            }
            Err(reason) => {
                self.supersede(ask, status);
                return Ok(Some(alone(response, reason)));
            }
        };
        let named = response.body().size_hint().lower();
        if named > self.settings.largest_body_bytes as u64 {
            self.supersede(ask, status);
            return Ok(Some(alone(response, NotStored::TooLarge)));
        }
        let (parts, body) = response.into_parts();
        let body = match self.read(body, self.settings.largest_body_bytes).await? {
            Read::Whole(body) => body,
            Read::Larger(read, rest) => {
                self.supersede(ask, status);
                let body = EdgeBody::Resumed { read, rest };
                let response = pass_on(Response::from_parts(parts, body));
                return Ok(Some(Filled::Alone(Box::new(response), NotStored::TooLarge)));
            }
        };
        let arrival =
            Arrival { status, fields: parts.headers, body, lifetimes, begun: ask.begun, validated };
        Ok(Some(self.keep(ask, arrival, status)))
    }

    /// A 304: the stored body with the fields brought up to date (RFC 9111 §4.3.4).
    fn confirmed(
        &self,
        ask: &Ask,
        stored: &Arc<Entry>,
        not_modified: &HeaderMap,
        validated: i64,
    ) -> Option<Filled> {
        if !validate::confirms(not_modified, &stored.head) {
            return None;
        }
        let fields = validate::merge(&stored.head, not_modified);
        let named = freshness::lifetimes(stored.status, &fields);
        let hold = ask_hold(not_modified, stored, named);
        let lifetimes = Lifetimes { hold, ..named.unwrap_or(stored.lifetimes) };
        let arrival = Arrival {
            status: stored.status,
            fields,
            body: stored.body.clone(),
            lifetimes,
            begun: ask.begun,
            validated,
        };
        Some(self.keep(ask, arrival, StatusCode::NOT_MODIFIED))
    }

    /// Stores an arrival, fresh or stale as the clocks say (rule 12).
    fn keep(&self, ask: &Ask, mut arrival: Arrival, status: StatusCode) -> Filled {
        let own = OwnFields::take(&mut arrival.fields);
        let error = arrival.status.is_server_error();
        let entry = Arc::new(Entry::new(arrival, &self.feed));
        // An error does not push out an answer that may stand in for it.
        let stands_in = |stored: &Arc<Entry>| stored.lifetimes.stale_if_error > 0;
        let stored = if entry.is_dropped() {
            Err(NotStored::Dropped)
        } else if error && ask.stored.as_ref().is_some_and(stands_in) {
            Err(NotStored::Status)
        } else {
            self.store.put(ask.key.clone(), entry.clone());
            Ok(())
        };
        Filled::Shared(FillEnd::Answer { entry, status, stored, own })
    }

    /// An error that is not for storing, but may be told to all who wait now.
    async fn shared_error(
        &self,
        ask: &Ask,
        response: Response<Incoming>,
        reason: NotStored,
    ) -> Result<Filled, UpstreamError> {
        let (mut parts, body) = response.into_parts();
        let most = usize::try_from(SHARED_ERROR_BYTES).unwrap_or(usize::MAX);
        let body = match self.read(body, most).await? {
            Read::Whole(body) => body,
            Read::Larger(read, rest) => {
                let body = EdgeBody::Resumed { read, rest };
                let response = pass_on(Response::from_parts(parts, body));
                return Ok(Filled::Alone(Box::new(response), reason));
            }
        };
        let own = OwnFields::take(&mut parts.headers);
        let lifetimes = Lifetimes {
            ordinary: 0,
            hold: None,
            stale_while_revalidate: 0,
            stale_if_error: 0,
            strict: true,
            immutable: false,
        };
        let arrival = Arrival {
            status: parts.status,
            fields: parts.headers,
            body,
            lifetimes,
            begun: ask.begun,
            validated: self.now().mono,
        };
        let entry = Arc::new(Entry::new(arrival, &self.feed));
        let status = entry.status;
        Ok(Filled::Shared(FillEnd::Answer { entry, status, stored: Err(reason), own }))
    }

    /// What is stored gives way to an answer that is not for storing.
    fn supersede(&self, ask: &Ask, status: StatusCode) {
        if let Some(stored) = ask.stored.as_ref().filter(|_| !status.is_server_error()) {
            self.store.remove(&ask.key, stored);
        }
    }

    /// Reads a body; each piece must come in time.
    async fn read(&self, mut body: Incoming, most: usize) -> Result<Read, UpstreamError> {
        let mut pieces = VecDeque::new();
        let mut total = 0usize;
        loop {
            let piece = tokio::time::timeout(self.settings.body_timeout, body.frame()).await;
            let Some(frame) = piece.map_err(|_| UpstreamError::Stalled)? else { break };
            // Trailers are dropped (RFC 9110 §6.5.1).
            let Ok(data) = frame.map_err(UpstreamError::BrokenOff)?.into_data() else { continue };
            total += data.len();
            pieces.push_back(data);
            if total > most {
                return Ok(Read::Larger(pieces, body));
            }
        }
        if pieces.len() == 1 {
            // Its own allocation: the piece may be a part of the connection's buffer.
            return Ok(Read::Whole(Bytes::copy_from_slice(&pieces[0])));
        }
        let mut whole = BytesMut::with_capacity(total);
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        Ok(Read::Whole(whole.freeze()))
    }
}

/// The hold after a 304: what it names, else what was stored; none where the
/// merged fields no longer let anything be kept.
fn ask_hold(not_modified: &HeaderMap, stored: &Entry, named: Option<Lifetimes>) -> Option<i64> {
    if not_modified.contains_key(SPRINGTIDE_CACHE_CONTROL) {
        return named.and_then(|n| n.hold);
    }
    stored.lifetimes.hold
}

/// The request of a fill: the key's URL and coding, the stored validators, and
/// as minimum the client's own joined with the clocks of the stored tags.
fn request(ask: &Ask, conditional: Option<&Arc<Entry>>) -> Result<Request<EdgeBody>, http::Error> {
    let mut fields = ask.fields.clone();
    match upstream::accept_encoding(ask.key.coding) {
        Some(coding) => fields.insert(header::ACCEPT_ENCODING, coding),
        None => fields.remove(header::ACCEPT_ENCODING),
    };
    if let Some(stored) = conditional {
        validate::add_conditions(&mut fields, &stored.head);
    }
    let mut minimum = ask.stored.as_ref().map(|stored| stored.clocks()).unwrap_or_default();
    if let Some(own) = &ask.minimum {
        tags::join(&mut minimum, own);
    }
    let text = minimum.to_string();
    if !text.is_empty() && text.len() <= VERSION_BYTES {
        fields.insert(headers::MIN_VERSION, HeaderValue::try_from(text)?);
    }
    let mut request = Request::get(&*ask.key.target).body(EdgeBody::empty())?;
    *request.headers_mut() = fields;
    Ok(request)
}

fn is_small(response: &Response<Incoming>) -> bool {
    response.body().size_hint().exact().is_some_and(|bytes| bytes <= SHARED_ERROR_BYTES)
}

fn alone(response: Response<Incoming>, reason: NotStored) -> Filled {
    Filled::Alone(Box::new(pass_on(response.map(EdgeBody::Stream))), reason)
}

/// An answer as it is passed on: without the connection's fields and those for
/// our own edges.
pub(crate) fn pass_on(mut response: Response<EdgeBody>) -> Response<EdgeBody> {
    remove_hop_by_hop(response.headers_mut());
    response.headers_mut().remove(SPRINGTIDE_CACHE_CONTROL);
    *response.version_mut() = http::Version::default();
    response
}
