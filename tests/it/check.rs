//! `springtide check` and what a configuration may say.

use crate::program::{House, run, said, springtide};

#[test]
fn a_right_configuration_is_printed_and_published_queries_are_checked() {
    let house = House::journal();
    house.publish(
        "count",
        "/*\ndescription = \"All\"\nedge = true\n*/\nSELECT count(*) AS n FROM flights",
    );
    let checked = run(&mut house.command(&["check"]));
    assert!(checked.status.success(), "{}", said(&checked));
    let printed: toml::Table = String::from_utf8(checked.stdout).unwrap().parse().unwrap();
    assert_eq!(printed["limits"]["time"].as_str(), Some("30s"));
    assert!(!house.path().join("state").exists(), "a check changes nothing");
}

#[test]
fn an_unstable_query_may_not_be_for_the_edge() {
    let house = House::journal();
    let text = "/*\ndescription = \"Some\"\nedge = true\n*/\nSELECT delay FROM flights LIMIT 5";
    house.publish("some", text);
    let checked = run(&mut house.command(&["check"]));
    assert_eq!(checked.status.code(), Some(2));
    let told = said(&checked);
    assert!(told.contains("some.sql") && told.contains("edge = true"), "{told}");
}

#[test]
fn a_query_that_names_no_table_of_ours_is_told() {
    let house = House::journal();
    house.publish("typo", "/*\ndescription = \"x\"\n*/\nSELECT count(*) AS n FROM fligths");
    let checked = run(&mut house.command(&["check"]));
    assert_eq!(checked.status.code(), Some(2));
    assert!(said(&checked).contains("flights"), "{}", said(&checked));
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest() {
    let house = House::with("[limits]\ntim = \"30s\"\n");
    for command in ["check", "serve"] {
        let refused = run(&mut house.command(&[command]));
        assert_eq!(refused.status.code(), Some(2));
        let told = said(&refused);
        assert!(told.contains("springtide.toml:4:1"), "{told}");
        assert!(told.contains("did you mean `time`?"), "{told}");
    }
}

#[test]
fn a_variable_sets_a_scalar_and_is_named_where_it_is_wrong() {
    let house = House::journal();
    let right = run(house.command(&["check"]).env("SPRINGTIDE_LIMITS__TIME", "7s"));
    let printed: toml::Table = String::from_utf8(right.stdout).unwrap().parse().unwrap();
    assert_eq!(printed["limits"]["time"].as_str(), Some("7s"));
    let wrong = run(house.command(&["check"]).env("SPRINGTIDE_LIMITS__TIMES", "7s"));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("SPRINGTIDE_LIMITS__TIMES"), "{}", said(&wrong));
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in ["demo", "serve", "origin", "edge", "commit", "sql", "check", "bench"] {
        let help = run(&mut springtide(&[command, "--help"]));
        assert!(help.status.success());
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(text.contains("Example:"), "{command}: {text}");
    }
}
