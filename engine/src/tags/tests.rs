//! Which tags an answer carries.

use std::collections::BTreeMap;

use springtide_protocol::Tag;

use super::*;
use crate::statement::fixture::{name, prepare};

fn tags_of(sql: &str, partition: &str) -> String {
    let partitions = BTreeMap::from([(name("flights"), partition.parse().unwrap())]);
    Tag::list(&tags(&prepare(sql).unwrap(), &partitions))
}

#[test]
fn predicates_name_the_partitions_whether_they_exist_or_not() {
    for (filter, expected) in [
        ("date >= '2001-03-01' AND date < '2001-03-02'", "t:flights/2001-03-01"),
        (
            "date >= '2001-03-01' AND date <= '2001-03-02'",
            "t:flights/2001-03-01,t:flights/2001-03-02",
        ),
        ("date::DATE = '2999-01-01'", "t:flights/2999-01-01"),
        ("date = '2001-03-01 12:00:00'", "t:flights/2001-03-01"),
        ("date IN ('2001-03-01', '2001-05-01')", "t:flights/2001-03-01,t:flights/2001-05-01"),
        ("date >= '2001-03-01' AND date < '2001-03-17'", "t:flights/2001-03-01|16"),
        ("date >= '2001-03-01' AND date < '2001-03-18'", "t:flights"),
        ("date >= '2001-03-01'", "t:flights"),
        ("date < '2001-03-01'", "t:flights"),
        ("delay > 3", "t:flights"),
        ("date = '2001-03-01' OR delay > 3", "t:flights"),
        ("date = '2001-03-01' AND delay > 3", "t:flights/2001-03-01"),
        ("date IS NULL", "t:flights"),
        ("date IS NOT DISTINCT FROM TIMESTAMP '2001-03-01'", "t:flights/2001-03-01"),
        (
            "date > now() - INTERVAL 1 DAY AND date < now()",
            "t:flights/2001-03-30,t:flights/2001-03-31",
        ),
        ("date <> '2001-03-01'", "t:flights"),
    ] {
        let found = tags_of(&format!("SELECT count(*) FROM flights WHERE {filter}"), "day(date)");
        match expected.split_once('|') {
            None => assert_eq!(found, expected, "{filter}"),
            Some((first, count)) => {
                assert!(found.starts_with(first), "{filter}: {found}");
                assert_eq!(found.split(',').count().to_string(), count, "{filter}");
            }
        }
    }
}

#[test]
fn other_transforms_and_columns_bound_too() {
    let sql = "SELECT count(*) FROM flights WHERE origin IN ('ATL', 'DFW') AND delay BETWEEN 3 AND 5 \
               AND date BETWEEN '2001-03-01 10:30:00' AND '2001-03-01 11:00:00'";
    assert_eq!(tags_of(sql, "origin"), "t:flights/atl,t:flights/dfw");
    assert_eq!(tags_of(sql, "delay"), "t:flights/3,t:flights/4,t:flights/5");
    assert_eq!(
        tags_of(sql, "hour(date)"),
        "t:flights/2001-03-01T10,t:flights/2001-03-01T11".to_lowercase()
    );
    assert_eq!(tags_of(sql, "month(date)"), "t:flights/2001-03");
    assert_eq!(tags_of(sql, "year(date)"), "t:flights/2001");
    assert_eq!(tags_of(sql, "destination"), "t:flights");
    assert_eq!(tags_of(sql, "nothing"), "t:flights");
}

#[test]
fn several_scans_name_the_partitions_of_each() {
    let sql = "SELECT * FROM flights a JOIN flights b USING (flight_id) \
               WHERE a.date::DATE = '2001-03-01' AND b.date::DATE = '2001-04-01'";
    assert_eq!(tags_of(sql, "day(date)"), "t:flights/2001-03-01,t:flights/2001-04-01");
    let open = "SELECT * FROM flights a JOIN flights b USING (flight_id) WHERE a.date::DATE = '2001-03-01'";
    assert_eq!(tags_of(open, "day(date)"), "t:flights");
}

#[test]
fn each_table_has_its_own_kind() {
    let sql =
        "SELECT * FROM flights JOIN readings ON id = flight_id WHERE date::DATE = '2001-03-01'";
    assert_eq!(tags_of(sql, "day(date)"), "t:flights/2001-03-01,t:readings");
    assert_eq!(tags_of("SELECT 1", "day(date)"), "");
    assert_eq!(tags_of("SELECT * FROM flights WHERE false", "day(date)"), "t:flights");
}
