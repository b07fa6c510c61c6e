//! The walls of the house: directions between rooms, sizes, names and headers. A failure names the place and the rule.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that reads the tree's own sources"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file.
const MAX_LINES: usize = 500;

/// What each room of core may use of its siblings; a room that is not named may use none.
const ROOMS: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("model", &["ids"]),
    ("error", &["model"]),
    ("clock", &[]),
    ("crash", &[]),
    ("config", &["ids", "model"]),
    ("blob", &["error", "ids", "model"]),
    ("db", &["blob", "config", "error", "ids", "model"]),
    ("media", &["model"]),
    ("auth", &["clock", "config", "error", "ids", "model"]),
    ("rates", &["config", "error", "ids"]),
    ("writers", &["ids"]),
    ("app", &["auth", "blob", "clock", "config", "db", "media", "rates", "writers"]),
    ("ops", &["app", "blob", "crash", "db", "error", "ids", "media", "model", "writers"]),
    ("edge", &["app", "auth", "blob", "config", "db", "error", "ids", "media", "model"]),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "misc", "types", "manager"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file that git knows of, with its text.
fn sources() -> Vec<(String, String)> {
    let listed = Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()).output().unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    let read = |name: &str| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?));
    let found: Vec<_> = names.lines().filter_map(read).collect();
    assert!(found.len() > 50, "git lists the sources");
    found
}

/// The code of a file without its tests, which may use anything.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn rooms_of_core_depend_one_way() {
    for (name, text) in sources() {
        let Some(path) = name.strip_prefix("core/src/") else { continue };
        let room = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
        if room == "lib" || path.contains("/tests/") {
            continue;
        }
        let allowed = ROOMS.iter().find(|(known, _)| *known == room);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{name}: the room {room} is not in the plan"));
        for (number, line) in without_tests(&text).lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_ascii_lowercase()).collect();
                let is_sibling = ROOMS.iter().any(|(known, _)| *known == used);
                let is_fine = used == room || allowed.contains(&used.as_str());
                assert!(!is_sibling || is_fine, "{name}:{}: {room} must not use {used}", number + 1);
            }
        }
    }
}

#[test]
fn functions_do_not_know_each_other() {
    for (name, text) in sources() {
        let Some(path) = name.strip_prefix("functions/") else { continue };
        let function = path.split('/').next().unwrap_or(path);
        if function == "all" {
            continue;
        }
        for other in ["upload", "list", "download", "thumbnail", "quota", "organize", "worker", "all"] {
            let uses = text.contains(&format!("jam_{other}::"));
            assert!(!uses || other == function, "{name}: {function} must not use {other}");
        }
    }
}

#[test]
fn every_file_says_what_belongs_there_and_stays_short() {
    for (name, text) in sources() {
        assert!(text.starts_with("//!"), "{name}: starts with its purpose");
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{name}: {lines} lines");
        let stem = Path::new(&name).file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!EMPTY_NAMES.contains(&stem.as_str()), "{name}: says nothing about what is inside");
    }
}

#[test]
fn sql_is_only_in_the_store() {
    for (name, text) in sources() {
        let is_store = name.starts_with("core/src/db/") || name.contains("/tests/");
        assert!(is_store || !text.contains("sqlx::query"), "{name}: SQL belongs to core/src/db");
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["unimplemented", "!("].concat(),
        ["#[ig", "nore"].concat(),
    ];
    for (name, text) in sources() {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{name}: {mark}");
        }
    }
}
