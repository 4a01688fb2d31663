//! What can be pinned, as-of, and what is announced of it.

use std::sync::Arc;

use springtide_protocol::TableVersion;
use springtide_relation::Coverage;

use super::{AsOf, Core, Published};
use crate::boundary::Phase;
use crate::invariants::{assert_held, pins_grow};
use crate::table::touched::Touched;

impl Core {
    /// Makes the present state the one to pin, where it may be. Returns it where
    /// it differs from the last.
    pub(crate) fn publish(&mut self) -> Option<Arc<Published>> {
        let relation = self.relation();
        if let Some(last) = &self.published
            && self.must_hold(&last.relation.version, &relation.version)
        {
            return None;
        }
        let reached = self.round.as_ref().filter(|round| {
            relation.coverage == Coverage::Whole && relation.version.offsets.covers(&round.high)
        });
        if let Some(round) = reached {
            self.as_of = Some(AsOf { micros: round.started_micros, high: round.high.clone() });
            self.round = None;
        }
        let whole = relation.coverage == Coverage::Whole;
        // An end that fell (a gap, a rollback) has not what was read before.
        let has = |as_of: &&AsOf| whole && relation.version.offsets.covers(&as_of.high);
        let as_of_micros = self.as_of.as_ref().filter(has).map(|as_of| as_of.micros);
        if let Some(last) = &self.published {
            let (from, to) = (&last.relation.version, &relation.version);
            let settled = matches!(self.phase(), Phase::Gap(_) | Phase::Halted(_));
            // Only the lake itself knows whether it was rolled back.
            debug_assert!(assert_held(pins_grow(from, to, settled, true)));
        }
        let published = Arc::new(Published { relation: Arc::new(relation), as_of_micros });
        self.published = Some(published.clone());
        Some(published)
    }

    /// The state that was published last.
    pub(crate) const fn published(&self) -> Option<&Arc<Published>> {
        self.published.as_ref()
    }

    /// Pins only grow (rule 2): while the tail is read anew up to where it was, the
    /// last state goes on answering. A gap or a halt is told as it is.
    fn must_hold(&self, last: &TableVersion, new: &TableVersion) -> bool {
        let settled = matches!(self.phase(), Phase::Gap(_) | Phase::Halted(_));
        let same = last.table_uuid == new.table_uuid;
        same && !settled && !new.offsets.covers(&last.offsets)
    }

    /// The change since the last one taken: the version and what it touches. A
    /// version that moved without rows touches nothing.
    pub(crate) fn take_change(&mut self) -> Option<(TableVersion, Touched)> {
        let version = &self.published.as_ref()?.relation.version;
        if self.announced.as_ref() == Some(version) {
            return None;
        }
        self.announced = Some(version.clone());
        Some((version.clone(), std::mem::take(&mut self.touched)))
    }

    /// Whether [`Self::take_change`] would give something.
    pub(crate) fn has_change(&self) -> bool {
        let version = self.published.as_ref().map(|p| &p.relation.version);
        version.is_some() && self.announced.as_ref() != version
    }
}
