//! Lengths, first lines and absences, over every Rust file that git tracks or
//! would.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::source::{code_lines, functions, without_text};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
/// Tests longer than this stand in a file of their own.
const INLINE_TEST_LINES: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file, with its text.
fn rust_files() -> Vec<(PathBuf, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let paths = listed.lines().map(PathBuf::from);
    let files: Vec<_> = paths
        .filter_map(|path| Some((path.clone(), std::fs::read_to_string(root().join(path)).ok()?)))
        .collect();
    assert!(files.len() > 50, "the house has more files than {}", files.len());
    files
}

fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// Fails with all findings at once.
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn files_are_short() {
    let long =
        rust_files().into_iter().filter(|(path, _)| !is_test(path)).filter_map(|(path, text)| {
            let lines = code_lines(&text);
            (lines > FILE_LINES).then(|| format!("{}: {lines} lines of code", path.display()))
        });
    none(&long.collect::<Vec<_>>());
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for (path, text) in rust_files() {
        for function in functions(&text) {
            if function.lines > FUNCTION_LINES {
                let (line, lines) = (function.line, function.lines);
                long.push(format!(
                    "{}:{line}: `{}` has {lines} lines",
                    path.display(),
                    function.name
                ));
            }
        }
    }
    none(&long);
}

#[test]
fn every_file_begins_with_what_it_owns() {
    let silent = rust_files().into_iter().filter(|(_, text)| !text.starts_with("//!"));
    none(&silent.map(|(path, _)| format!("{}: no //! first", path.display())).collect::<Vec<_>>());
}

#[test]
fn long_tests_stand_in_their_own_files() {
    let mixed = rust_files().into_iter().filter_map(|(path, text)| {
        let inline = text.lines().skip_while(|line| *line != "mod tests {").count();
        (inline > INLINE_TEST_LINES)
            .then(|| format!("{}: {inline} lines of tests within", path.display()))
    });
    none(&mixed.collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["todo!(", "unimplemented!(", "#[ignore"];
    let mut left = Vec::new();
    for (path, text) in rust_files() {
        for (number, line) in without_text(&text).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                left.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    none(&left);
}

#[test]
fn modules_have_no_mod_rs() {
    let old = rust_files().into_iter().filter(|(path, _)| path.ends_with("mod.rs"));
    none(&old.map(|(path, _)| path.display().to_string()).collect::<Vec<_>>());
}

#[test]
fn the_readme_shows_both_commands() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["make demo", "make test"] {
        assert!(readme.contains(command), "README.md does not show `{command}`");
    }
}
