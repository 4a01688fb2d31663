//! What is read from where, and what an error says.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Config, ConfigError, Loaded, Source, UpstreamKind, load, print_resolved};

const TABLE: &str = r#"
[[table]]
name = "flights"
identifier = "demo.flights"
topic = "flights"
columns = ["flight_id long", "date timestamp"]
partition_by = ["day(date)"]
"#;

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("springtide.toml");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn read(text: &str) -> Result<Loaded, ConfigError> {
    let (_folder, file) = written(text);
    load(&Source { built_in: None, file: Some(file) })
}

fn message(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn defaults_are_those_of_the_rooms() {
    // The file of defaults documents what the rooms would choose themselves.
    let loaded = load(&Source::default()).unwrap().config;
    let rooms = springtide_freshness::FreshnessSettings::new(loaded.tables_folder());
    assert_eq!(format!("{:?}", loaded.freshness()), format!("{rooms:?}"));
}

#[test]
fn an_edge_is_told_what_it_stands_before() {
    let kind = |text: &str| read(text).unwrap().config.edge.upstream_kind;
    assert_eq!(kind(""), UpstreamKind::Springtide);
    assert_eq!(kind("[edge]\nupstream_kind = \"http\"\n"), UpstreamKind::Http);
    assert!(message("[edge]\nupstream_kind = \"nginx\"\n").contains("upstream_kind"));
}

#[test]
fn relative_paths_start_at_the_file() {
    let (folder, file) = written("dir = \"here\"\nqueries = \"published\"\n");
    let config = load(&Source { built_in: None, file: Some(file) }).unwrap().config;
    assert_eq!(config.dir, folder.path().join("here"));
    assert_eq!(config.queries, folder.path().join("published"));
}

#[test]
fn without_a_file_paths_start_at_the_working_folder() {
    let config = load(&Source::default()).unwrap().config;
    assert_eq!(config.dir, std::env::current_dir().unwrap().join("state"));
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest() {
    let said = message("[server]\nedge_listn = \"127.0.0.1:1\"\n");
    assert!(said.contains("springtide.toml:2:1"), "{said}");
    assert!(said.contains("`server.edge_listn`"), "{said}");
    assert!(said.contains("did you mean `edge_listen`?"), "{said}");
}

#[test]
fn an_unknown_key_of_a_table_is_found_in_its_entry() {
    let said = message(&format!("{TABLE}topics = \"x\"\n"));
    assert!(said.contains("springtide.toml:8:1"), "{said}");
    assert!(said.contains("did you mean `topic`?"), "{said}");
}

#[test]
fn an_unknown_key_that_is_near_to_none_lists_what_there_is() {
    let said = message("[edge]\nzzz = 1\n");
    assert!(said.contains("known here are memory, upstream"), "{said}");
}

#[test]
fn a_value_of_the_wrong_form_is_told_with_its_place() {
    let said = message("dir = \"x\"\n[limits]\ntime = 30\n");
    assert!(said.contains("springtide.toml:3:1") && said.contains("limits.time"), "{said}");
    let said = message("[limits]\ntime = \"soon\"\n");
    assert!(said.contains("is not a duration; write for example \"10s\""), "{said}");
    let said = message("[edge]\nmemory = \"much\"\n");
    assert!(said.contains("is not a size"), "{said}");
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    let said = message("dir = \"x\"\nqueries = \n");
    assert!(said.contains("springtide.toml:2:"), "{said}");
    assert!(said.contains("not TOML"), "{said}");
}

#[test]
fn zero_is_no_bound() {
    let said = message("[limits]\nrows = 0\n");
    assert_eq!(said, "limits.rows: must be greater than zero");
}

#[test]
fn tables_are_held_against_each_other() {
    let said = message(&format!("{TABLE}{TABLE}"));
    assert!(said.contains("given twice"), "{said}");
    let said = message("[stream]\ntype = \"kafka\"\n");
    assert!(said.contains("stream.bootstrap_servers"), "{said}");
}

#[test]
fn a_file_that_is_missing_is_named() {
    let source = Source { built_in: None, file: Some(PathBuf::from("nowhere/x.toml")) };
    let said = load(&source).unwrap_err().to_string();
    assert!(said.contains("nowhere/x.toml"), "{said}");
}

#[test]
fn what_is_resolved_is_toml_again_and_keeps_secrets() {
    let text = format!("{TABLE}[server]\nadmin_token = \"hush\"\n");
    let loaded = read(&text).unwrap();
    let printed = print_resolved(&loaded).unwrap();
    assert!(!printed.contains("hush"), "{printed}");
    let again: toml::Table = printed.parse().unwrap();
    assert_eq!(again["server"]["edge_listen"].as_str(), Some("127.0.0.1:8080"));
    assert!(Path::new(again["dir"].as_str().unwrap()).is_absolute());
    assert_eq!(again["table"][0]["name"].as_str(), Some("flights"));
}

#[test]
fn the_demo_brings_its_own() {
    let source = Source { built_in: Some(crate::demo::CONFIG), file: None };
    let config: Config = load(&source).unwrap().config;
    assert_eq!(config.tables.len(), 1);
    assert_eq!(config.tables[0].name.as_str(), crate::demo::TABLE);
}
