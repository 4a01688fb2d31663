//! What to do with a request, given what is stored: serve, validate first, go
//! upstream, or refuse (RFC 9111 §4, §5.2.1; RFC 5861; rules 12 and 13).

use super::cache_control::{MaxStale, RequestDirectives};
use super::freshness::Lifetimes;
use super::{MICROS_PER_SECOND, Now};

/// What purges have made of a stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// No change named one of its tags since it was validated.
    None,
    /// A change did; when, if that is still known.
    Stale {
        /// Monotonic microseconds of the first change; `None`: forgotten.
        since: Option<i64>,
    },
    /// It may not be used again.
    Dropped,
}

/// A stored answer as the decision sees it.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Its lifetimes.
    pub lifetimes: Lifetimes,
    /// When its age was 0, monotonic: fill, 304 or heartbeat (rule 13).
    pub validated: i64,
    /// What purges made of it.
    pub mark: Mark,
    /// Whether the change feed is live, and it is under it.
    pub held: bool,
}

/// Its age and what is left of its lifetime, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Since it was last validated.
    pub age: i64,
    /// Until it is stale; negative: since it is.
    pub left: i64,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Use it.
    Serve(Freshness),
    /// Use it and validate it behind the answer (RFC 5861 §3, or the client's max-stale).
    ServeStale {
        /// Its age.
        freshness: Freshness,
        /// Whether to validate behind it.
        refresh: bool,
    },
    /// Validate before use.
    Validate(Why),
    /// Nothing to use: fetch.
    Fetch,
    /// The client wants only what is stored, and it is not (§5.2.1.7): 504.
    Refuse,
}

/// Why a stored answer was not used as it is; `fwd` of `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Past its lifetime, or marked.
    Stale,
    /// The request's directives.
    Request,
}

impl Stored {
    /// Age and what is left (§4.2).
    #[must_use]
    pub fn freshness(&self, now: Now) -> Freshness {
        let age = (now.mono - self.validated).max(0);
        let hold = self.lifetimes.hold.filter(|_| self.held);
        let lifetime = hold.unwrap_or(0).max(self.lifetimes.ordinary);
        let left = match self.mark {
            Mark::None => lifetime - age,
            // Without the moment, it counts as stale since it was validated.
            Mark::Stale { since } => since.unwrap_or(self.validated).min(now.mono) - now.mono,
            Mark::Dropped => i64::MIN / 2,
        };
        Freshness { age, left }
    }

    fn is_fresh(&self, freshness: Freshness) -> bool {
        self.mark == Mark::None && freshness.left > 0
    }

    /// Whether it may stand in for an answer that could not be had (RFC 5861 §4).
    #[must_use]
    pub fn serves_on_error(&self, asked: RequestDirectives, now: Now) -> bool {
        let client = asked.stale_if_error.map(|s| i64::from(s) * MICROS_PER_SECOND);
        let allowed = client.unwrap_or(0).max(self.lifetimes.stale_if_error);
        let refused = self.mark == Mark::Dropped || self.lifetimes.strict || asked.no_cache;
        let freshness = self.freshness(now);
        !refused && (self.is_fresh(freshness) || (allowed > 0 && -freshness.left <= allowed))
    }
}

/// Decides. `stored` is `None` where nothing is.
#[must_use]
pub fn decide(asked: RequestDirectives, stored: Option<&Stored>, now: Now) -> Decision {
    let usable = stored.filter(|s| s.mark != Mark::Dropped);
    let decision = usable.map_or(Decision::Fetch, |stored| consider(asked, stored, now));
    match decision {
        Decision::Fetch | Decision::Validate(_) if asked.only_if_cached => Decision::Refuse,
        other => other,
    }
}

fn consider(asked: RequestDirectives, stored: &Stored, now: Now) -> Decision {
    let freshness = stored.freshness(now);
    // §5.2.1.4 and §5.2.1.5: validated, or not taken from the store at all.
    if asked.no_cache || asked.no_store {
        return Decision::Validate(Why::Request);
    }
    let micros = |seconds: u32| i64::from(seconds) * MICROS_PER_SECOND;
    // Ages are told in whole seconds, so they are compared so.
    let whole_age = freshness.age - freshness.age.rem_euclid(MICROS_PER_SECOND);
    let too_old = asked.max_age.is_some_and(|most| most == 0 || whole_age > micros(most));
    if stored.is_fresh(freshness) {
        let too_short = asked.min_fresh.is_some_and(|least| freshness.left < micros(least));
        return if too_old || too_short {
            Decision::Validate(Why::Request)
        } else {
            Decision::Serve(freshness)
        };
    }
    // §4.2.4: a strict answer is never used stale.
    if stored.lifetimes.strict || too_old {
        return Decision::Validate(Why::Stale);
    }
    let late = -freshness.left;
    let accepted = match asked.max_stale {
        Some(MaxStale::Any) => true,
        Some(MaxStale::Seconds(most)) => late <= micros(most),
        None => false,
    };
    let window = stored.lifetimes.stale_while_revalidate;
    let refresh = window > 0 && late <= window;
    if accepted || refresh {
        return Decision::ServeStale { freshness, refresh };
    }
    Decision::Validate(Why::Stale)
}

#[cfg(test)]
mod tests;
