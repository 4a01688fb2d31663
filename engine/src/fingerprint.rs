//! The validator (rule 3): a hash over what decides an answer's bytes and
//! nothing else, so that every origin and every edge makes the same one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use springtide_protocol::ETag;

use crate::encode::Encoding;
use crate::plan::Plan;
use crate::scan_set::{Atom, ScanSet};

/// How much of the hash an entity tag carries: 144 bits, 24 characters.
const ETAG_BYTES: usize = 18;

/// The validator of the plan's answer in `encoding`; weak where the statement is
/// unstable. `policy`: the policy's revision and the claims that it used, empty for
/// open tables.
#[must_use]
pub fn etag(plan: &Plan, encoding: Encoding, policy: &[u8]) -> ETag {
    let mut hash = Fields(Sha256::new());
    hash.number(u64::from(crate::SEMANTICS));
    hash.bytes(plan.statement().text.as_bytes());
    hash.bytes(encoding.format.suffix().as_bytes());
    hash.number(u64::from(encoding.numbers_as_text));
    hash.bytes(policy);
    hash.scan_set(plan.scan_set());
    let digest = hash.0.finalize();
    let opaque = URL_SAFE_NO_PAD.encode(&digest[..ETAG_BYTES]);
    if plan.statement().stability.is_stable() { ETag::strong(opaque) } else { ETag::weak(opaque) }
}

/// Hashes fields so that no two sequences of them run together.
struct Fields(Sha256);

impl Fields {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn signed(&mut self, number: i64) {
        self.0.update(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn scan_set(&mut self, scan_set: &ScanSet) {
        self.number(scan_set.tables.len() as u64);
        for table in &scan_set.tables {
            self.bytes(table.table.as_str().as_bytes());
            self.0.update(table.version.table_uuid.as_bytes());
            self.bytes(table.version.topic_id.as_ref().map_or(&[][..], |id| id.as_bytes()));
            self.signed(i64::from(table.version.schema_id));
            self.number(u64::from(table.version.decode_epoch));
            self.number(table.atoms.len() as u64);
            table.atoms.iter().for_each(|atom| self.atom(atom));
        }
    }

    fn atom(&mut self, atom: &Atom) {
        let (kind, chunk, number) = match atom {
            Atom::File(path) => {
                self.number(0);
                return self.bytes(path.as_bytes());
            }
            Atom::Deleted(file, delete) => {
                self.number(6);
                self.bytes(file.as_bytes());
                return self.bytes(delete.as_bytes());
            }
            Atom::Sealed(chunk, Some(rows)) => (1, chunk, rows.cast_signed()),
            Atom::Sealed(chunk, None) => (2, chunk, 0),
            Atom::OpenThrough(chunk, offset) => (3, chunk, offset.0),
            Atom::OpenUntil(chunk, end) => (4, chunk, end.0),
            Atom::Thinned(chunk, foreign) => (5, chunk, *foreign),
        };
        self.number(kind);
        self.signed(i64::from(chunk.partition.0));
        self.signed(chunk.index);
        self.signed(number);
    }
}

#[cfg(test)]
mod tests;
