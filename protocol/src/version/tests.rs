//! Versions: text round trips, "at least" as a partial order, signatures.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::signing::{InvalidSignedVersion, VersionKey};

fn table_name() -> impl Strategy<Value = TableName> {
    "[a-z][a-z0-9_]{0,12}".prop_map(|text| text.parse().unwrap())
}

fn offsets() -> impl Strategy<Value = OffsetMap> {
    let entry = (0..6i32, 0..5_000i64).prop_map(|(p, o)| (PartitionId(p), Offset(o)));
    proptest::collection::vec(entry, 0..5).prop_map(|entries| entries.into_iter().collect())
}

fn table_version() -> impl Strategy<Value = TableVersion> {
    let ids = (0..3u128, proptest::option::of(0..3u128));
    (ids, 0..4i32, 0..4u32, 0..4i64, offsets()).prop_map(|((table, topic), s, d, f, offsets)| {
        TableVersion {
            table_uuid: Uuid::from_u128(table),
            topic_id: topic.map(Uuid::from_u128),
            schema_id: s,
            decode_epoch: d,
            foreign_sequence: f,
            offsets,
        }
    })
}

fn version() -> impl Strategy<Value = Version> {
    let tables = proptest::collection::btree_map(table_name(), table_version(), 0..4);
    let time = proptest::option::of(0..2_000_000_000_000_000i64);
    (tables, time).prop_map(|(tables, time_micros)| Version { tables, time_micros })
}

proptest! {
    #[test]
    fn text_round_trips(version in version()) {
        let text = version.to_string();
        prop_assert_eq!(text.parse::<Version>().unwrap(), version.clone());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        prop_assert!(text.chars().all(plain), "{} needs encoding in a URL", text);
    }

    #[test]
    fn a_minimum_round_trips(version in version()) {
        let min = MinVersion::from(&version);
        prop_assert_eq!(min.to_string().parse::<MinVersion>().unwrap(), min);
    }

    #[test]
    fn at_least_is_reflexive(version in version()) {
        prop_assert_eq!(MinVersion::from(&version).reached_by(&version), AtLeast::Reached);
    }

    #[test]
    fn at_least_is_antisymmetric(a in table_version(), b in table_version()) {
        let (over, under) = (
            PartialTableVersion::from(&a).reached_by(&b),
            PartialTableVersion::from(&b).reached_by(&a),
        );
        if over == AtLeast::Reached && under == AtLeast::Reached {
            let named = |v: &TableVersion| {
                let offsets = v.offsets.iter().filter(|(_, o)| o.0 > 0).collect::<Vec<_>>();
                (v.table_uuid, v.schema_id, v.decode_epoch, v.foreign_sequence, offsets)
            };
            prop_assert_eq!(named(&a), named(&b));
        }
    }

    #[test]
    fn at_least_is_transitive(a in table_version(), b in table_version(), c in table_version()) {
        let reached = |min: &TableVersion, v| PartialTableVersion::from(min).reached_by(v);
        if reached(&a, &b) == AtLeast::Reached && reached(&b, &c) == AtLeast::Reached {
            prop_assert_eq!(reached(&a, &c), AtLeast::Reached);
        }
    }

    #[test]
    fn a_later_offset_reaches_an_earlier_and_not_back(v in table_version(), p in 0..6i32) {
        let mut later = v.clone();
        let next = later.offsets.next(PartitionId(p)).next();
        later.offsets.set(PartitionId(p), next);
        prop_assert_eq!(PartialTableVersion::from(&v).reached_by(&later), AtLeast::Reached);
        prop_assert_eq!(PartialTableVersion::from(&later).reached_by(&v), AtLeast::Behind);
    }

    #[test]
    fn only_what_was_issued_is_accepted(version in version(), cut in 0usize..400, flip in 1u8..128) {
        let (ours, theirs) = (VersionKey::new(b"one secret"), VersionKey::new(b"another"));
        let signed = ours.sign(&version);
        prop_assert_eq!(ours.verify(&signed).unwrap(), version.clone());
        prop_assert_eq!(theirs.verify(&signed), Err(InvalidSignedVersion::NotIssued));
        prop_assert_eq!(ours.verify(&version.to_string()).is_ok(), false);
        let mut bytes = signed.clone().into_bytes();
        let at = cut % bytes.len();
        bytes[at] ^= flip;
        if let Ok(changed) = String::from_utf8(bytes)
            && changed != signed
        {
            // The last base64 digit carries two bits that do not count.
            let same = ours.verify(&changed).is_ok_and(|v| v == version);
            prop_assert!(!same || at == signed.len() - 1);
        }
    }

    #[test]
    fn any_text_is_refused_or_read_but_never_a_panic(text in "\\PC{0,80}") {
        let _ = text.parse::<Version>();
        let _ = text.parse::<MinVersion>();
    }
}

#[test]
fn a_producer_can_name_its_own_offsets_alone() {
    let min: MinVersion = "flights.o0-124_3-7".parse().unwrap();
    let table = &min.tables[&"flights".parse().unwrap()];
    assert_eq!(table.offsets.next(PartitionId(0)), Offset(124));
    assert_eq!(table.table_uuid, None);
}

#[test]
fn another_table_or_topic_is_incomparable_at_once() {
    let version: Version =
        "t.uAAAAAAAAAAAAAAAAAAAAAQ.tAAAAAAAAAAAAAAAAAAAAAQ.s0.d1.f1.o0-9".parse().unwrap();
    let min = |text: &str| text.parse::<MinVersion>().unwrap().reached_by(&version);
    assert_eq!(min("t.uAAAAAAAAAAAAAAAAAAAAAg"), AtLeast::Incomparable);
    assert_eq!(min("t.tAAAAAAAAAAAAAAAAAAAAAg.o0-1"), AtLeast::Incomparable);
    assert_eq!(min("t.o0-10"), AtLeast::Behind);
    assert_eq!(min("t.o0-9"), AtLeast::Reached);
    assert_eq!(min("other.o0-9"), AtLeast::Reached);
}

#[test]
fn equal_versions_have_one_text() {
    for text in
        ["garbage", "t.o0-01", "t.o0-+1", "t.o0-1_0-1", "t.s1.s1", "t~t", "T1~T1", "t.x1", "T.o0-1"]
    {
        assert!(text.parse::<MinVersion>().is_err(), "{text} was read");
    }
}
