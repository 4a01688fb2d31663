//! Who may know whom, and where each heavy dependency lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Each room and the rooms that it may know; every member of the workspace is here.
const DIRECTIONS: [(&str, &[&str]); 7] = [
    ("springtide-protocol", &[]),
    ("springtide-relation", &["springtide-protocol"]),
    ("springtide-engine", &["springtide-protocol", "springtide-relation"]),
    ("springtide-freshness", &["springtide-protocol", "springtide-relation"]),
    (
        "springtide-origin",
        &[
            "springtide-protocol",
            "springtide-relation",
            "springtide-engine",
            "springtide-freshness",
        ],
    ),
    ("springtide-edge", &["springtide-protocol", "springtide-relation", "springtide-engine"]),
    (
        "springtide",
        &[
            "springtide-protocol",
            "springtide-relation",
            "springtide-engine",
            "springtide-freshness",
            "springtide-origin",
            "springtide-edge",
        ],
    ),
];

/// Dependencies (by the beginning of their names) and the rooms that may name them.
const HEAVY: [(&str, &[&str]); 9] = [
    ("duckdb", &["springtide-engine"]),
    ("iceberg", &["springtide-freshness"]),
    ("rdkafka", &["springtide-freshness"]),
    ("aws-sdk-cloudfront", &["springtide-freshness"]),
    ("sqlx", &["springtide-freshness"]),
    ("lance", &["springtide-search"]),
    ("aws-sdk-s3", &["springtide-pack"]),
    ("lambda_runtime", &["springtide-lambda"]),
    ("hyper", &["springtide-origin", "springtide-edge"]),
];

/// What reads a clock of its own, a socket, a file or a process.
const INPUT_OUTPUT: [&str; 14] = [
    "tokio",
    "mio",
    "socket2",
    "hyper",
    "hyper-util",
    "reqwest",
    "ureq",
    "rustls",
    "openssl",
    "rdkafka",
    "duckdb",
    "arrow",
    "rand",
    "tempfile",
];

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    MetadataCommand::new().other_options(vec!["--offline".to_owned()]).exec().unwrap()
});

pub(crate) fn metadata() -> &'static Metadata {
    &METADATA
}

fn members() -> Vec<&'static Package> {
    metadata().workspace_packages()
}

/// What a package names for itself; tests may know more.
fn named(package: &Package) -> BTreeSet<&str> {
    let named = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
    named.map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn rooms_know_only_the_rooms_below() {
    let allowed: BTreeMap<&str, &[&str]> = DIRECTIONS.into_iter().collect();
    for package in members() {
        let known = allowed.get(package.name.as_str());
        let known = known.unwrap_or_else(|| panic!("give {} its directions here", package.name));
        for name in named(package).into_iter().filter(|name| name.starts_with("springtide")) {
            assert!(known.contains(&name), "{} may not know {name}", package.name);
        }
    }
}

#[test]
fn heavy_dependencies_live_in_their_rooms() {
    for package in members() {
        for name in named(package) {
            let heavy = HEAVY.iter().find(|(heavy, _)| name.starts_with(heavy));
            if let Some((heavy, rooms)) = heavy {
                let at_home = rooms.contains(&package.name.as_str());
                assert!(at_home, "{heavy} lives in {rooms:?}, not in {}", package.name);
            }
        }
    }
}

#[test]
fn there_is_one_arrow() {
    let family = |name: &str| name == "parquet" || name == "arrow" || name.starts_with("arrow-");
    let versions: BTreeSet<u64> = metadata()
        .packages
        .iter()
        .filter(|package| family(&package.name))
        .map(|package| package.version.major)
        .collect();
    assert_eq!(versions, BTreeSet::from([58]), "arrow is the one currency between rooms");
}

#[test]
fn protocol_does_no_input_or_output() {
    let protocol = members().into_iter().find(|p| p.name.as_str() == "springtide-protocol");
    let names: BTreeMap<&PackageId, &str> =
        metadata().packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let nodes: BTreeMap<&PackageId, _> =
        metadata().resolve.as_ref().unwrap().nodes.iter().map(|node| (&node.id, node)).collect();
    let mut reached = BTreeSet::new();
    let mut waiting = vec![&protocol.unwrap().id];
    while let Some(id) = waiting.pop() {
        if !reached.insert(id) {
            continue;
        }
        for dependency in &nodes[id].deps {
            let kinds = &dependency.dep_kinds;
            if kinds.iter().any(|kind| kind.kind == DependencyKind::Normal) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    let found: Vec<&str> = reached.iter().map(|id| names[id]).collect();
    assert!(found.contains(&"serde"), "the walk reaches something");
    for name in INPUT_OUTPUT {
        assert!(!found.contains(&name), "protocol reaches {name}: it is pure");
    }
}
