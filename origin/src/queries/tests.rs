//! Query files: what holds, and what each mistake says.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use springtide_protocol::parameter::ParameterType;

use super::Catalog;
use super::catalog::Entry;
use super::file::{PublishedQuery, QueryFileError};
use crate::lifetimes::Lifetimes;

const WHOLE: &str = r#"
/*
description = "Flights per hour of one day"

[[parameters]]
name = "day"
type = "date"
default = 2001-03-31

[[parameters]]
name = "n"
type = "integer"
default = 5
min = 1
max = 50

[cache]
s_maxage = "5s"
clock = "1m"

[chart]
mark = "line"
encoding = { x = { field = "hour", type = "temporal" } }
*/
SELECT * FROM flights WHERE date >= $day ORDER BY 1 LIMIT $n;
"#;

fn error(text: &str) -> String {
    PublishedQuery::parse("x", text).unwrap_err().to_string()
}

#[test]
fn a_whole_file_is_read() {
    let query = PublishedQuery::parse("per_hour", WHOLE).unwrap();
    assert_eq!(query.description, "Flights per hour of one day");
    assert_eq!(query.parameters[0].kind, ParameterType::Date);
    assert_eq!(query.parameters[0].default.as_deref(), Some("2001-03-31"));
    assert_eq!(query.parameters[1].max.as_deref(), Some("50"));
    assert_eq!(query.cache.clock, Some(Duration::from_secs(60)));
    let lifetimes = query.lifetimes(&Lifetimes::default());
    assert_eq!(lifetimes.s_maxage, Duration::from_secs(5));
    assert_eq!(lifetimes.hold, Duration::from_secs(3600));
    assert_eq!(query.chart.unwrap()["encoding"]["x"]["field"], "hour");
    assert!(query.sql.ends_with("LIMIT $n"), "the semicolon goes: {}", query.sql);
}

#[test]
fn a_chart_may_be_json() {
    let query = PublishedQuery::parse("x", "/* chart = '{\"mark\":\"bar\"}' */ SELECT 1").unwrap();
    assert_eq!(query.chart.unwrap()["mark"], "bar");
}

#[test]
fn an_unknown_key_names_the_nearest() {
    assert_eq!(
        error("/* descripton = 'x' */ SELECT 1"),
        "unknown key `descripton`; did you mean `description`?"
    );
    assert!(error("/* [cache]\nmaxage = '1s' */ SELECT 1").contains("`cache.max_age`"));
    assert!(
        error("/* [[parameters]]\nname='a'\ntype='date'\ndefalt='x' */ SELECT $a")
            .contains("`parameters.default`")
    );
    assert_eq!(error("/* zzzzzzzzzz = 1 */ SELECT 1"), "unknown key `zzzzzzzzzz`");
}

#[test]
fn each_mistake_says_what_to_change() {
    assert!(error("SELECT 1").contains("open it with `/*`"));
    assert!(error("/* description = ").contains("front matter"));
    assert!(error("/* description = */ SELECT 1").contains("not TOML"));
    assert!(error("/* edge = 'yes' */ SELECT 1").contains("`edge` must be true or false"));
    assert!(error("/* [cache]\nhold = 10 */ SELECT 1").contains("with its unit"));
    assert!(error("/* [cache]\nclock = '0s' */ SELECT 1").contains("at least 1ms"));
    assert!(error("/* chart = 'x' */ SELECT 1").contains("not JSON"));
    assert!(error("/* */ ;").contains("no statement"));
    assert!(error("/* */ SELECT $day").contains("add it under [[parameters]]"));
    assert!(
        error("/* [[parameters]]\nname='a'\ntype='date' */ SELECT '$a'").contains("does not use")
    );
    let reserved = error("/* [[parameters]]\nname='min'\ntype='date' */ SELECT $min");
    assert!(reserved.contains("reserved name"), "{reserved}");
    let bad_default =
        error("/* [[parameters]]\nname='n'\ntype='integer'\ndefault='x' */ SELECT $n");
    assert!(bad_default.contains("an integer of 64 bits"), "{bad_default}");
    let twice = "[[parameters]]\nname='n'\ntype='integer'\n";
    assert!(error(&format!("/* {twice}{twice} */ SELECT $n")).contains("declared twice"));
    let name = PublishedQuery::parse("../x", "/* */ SELECT 1").unwrap_err();
    assert!(matches!(name, QueryFileError::Name(_)));
}

#[test]
fn the_folder_is_read_again_where_a_file_changed() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(folder.path().join("none")).unwrap();
    assert!(catalog.entries().is_empty());

    let file = folder.path().join("top.sql");
    std::fs::write(&file, "/* */ SELECT 1").unwrap();
    let catalog = Catalog::open(folder.path().to_owned()).unwrap();
    assert!(catalog.reload().unwrap().is_empty(), "nothing changed");

    std::fs::write(&file, "/* */ SELECT 1 + 1").unwrap();
    assert_eq!(catalog.reload().unwrap(), ["top"]);
    let sql = |entry: &Entry| entry.query.as_ref().unwrap().sql.clone();
    assert_eq!(sql(&catalog.entries()["top"]), "SELECT 1 + 1");

    std::fs::write(&file, "/* broken */ SELECT 1 + 1 + 1").unwrap();
    assert_eq!(catalog.reload().unwrap(), ["top"]);
    assert!(catalog.entries()["top"].query.is_err(), "what it was before is not served on");

    std::fs::remove_file(&file).unwrap();
    assert_eq!(catalog.reload().unwrap(), ["top"]);
    assert!(catalog.entries().is_empty());
}
