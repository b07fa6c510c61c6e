//! Rules for the sources: which modules may use which, sizes, names, headers and words.
//! A failure names the place and the rule.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that reads the tree's own sources"
)]

mod circles;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file.
const MAX_LINES: usize = 500;

/// The siblings that each module of core may use; a module that is not listed may use none.
const MODULES: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("model", &["ids"]),
    ("error", &["model"]),
    ("clock", &[]),
    ("scanner", &["config", "error"]),
    ("crash", &[]),
    ("config", &["ids", "model"]),
    ("blob", &["error", "ids", "model"]),
    ("db", &["config", "error", "ids", "model"]),
    ("media", &["model"]),
    ("auth", &["clock", "config", "error", "ids", "model"]),
    ("rates", &["config", "error", "ids"]),
    ("writers", &["ids"]),
    ("upkeep", &[]),
    ("app", &["auth", "blob", "clock", "config", "db", "error", "media", "rates", "upkeep", "writers"]),
    ("ops", &["app", "blob", "crash", "db", "error", "ids", "media", "model", "scanner", "writers"]),
    ("edge", &["app", "auth", "blob", "config", "db", "error", "ids", "media", "model"]),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "misc", "types", "manager"];

/// Words that the project does not use, in any case, and why.
const BANNED_WORDS: &[(&str, &str)] = &[
    ("film", "the API says video"),
    ("films", "the API says video"),
    ("picture", "the API says image and thumbnail; what a video consists of is a frame"),
    ("pictures", "the API says image and thumbnail; what a video consists of is a frame"),
    ("soundness", "audio and correctness are meant by other words"),
    ("hearing", "a process listens"),
    ("replaced system", "it is the legacy service"),
];

/// Where a banned word is somebody else's: a file, the text in it that is not looked at, and why.
const FOREIGN_WORDS: &[(&str, &str, &str)] = &[
    ("core/media/src/thumbnail/decode/av1.rs", "Picture", "rav1d's name of a decoded frame"),
    ("core/media/src/thumbnail/decode/av1.rs", "get_picture", "rav1d's function"),
    ("client/react/src/media-card.tsx", "Film", "an icon of lucide"),
    ("core/media/fuzz/make-seeds", "-still-picture", "an option of ffmpeg"),
];

/// Files whose words are not looked at: the beginnings or ends of their paths, and why.
const UNREAD_FILES: &[(&str, &str)] = &[
    ("migrations/", "a migration that has run cannot be changed: its checksum is recorded"),
    (".sqlx/", "generated from the queries"),
    (".lock", "names of other projects"),
    ("-lock.json", "names of other projects"),
    ("LICENSE", "somebody else's text"),
    ("core/media/fuzz/seeds/", "media"),
    ("core/media/fuzz/found/", "media"),
    ("local-dev/tests/tidy/main.rs", "lists the words"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file that git tracks under names of this pattern, with its text.
fn tracked(pattern: &str) -> Vec<(String, String)> {
    let listed = Command::new("git").args(["ls-files", "-z", pattern]).current_dir(root()).output().unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    let read = |name: &str| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?));
    let files: Vec<_> = names.split_terminator('\0').filter_map(read).collect();
    assert!(files.len() > 50, "git lists the files");
    files
}

/// Every Rust file that git tracks, with its text.
fn sources() -> Vec<(String, String)> {
    tracked("*.rs")
}

/// The code of a file without its tests, which may use anything.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn modules_of_core_depend_one_way() {
    for (name, text) in sources() {
        let Some(path) = name.strip_prefix("core/src/") else { continue };
        let module = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
        if module == "lib" || path.contains("/tests/") {
            continue;
        }
        let allowed = MODULES.iter().find(|(name, _)| *name == module);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{path}: the module {module} is not listed"));
        for (number, line) in without_tests(&text).lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_ascii_lowercase()).collect();
                let is_sibling = MODULES.iter().any(|(name, _)| *name == used);
                let is_fine = used == module || allowed.contains(&used.as_str());
                assert!(!is_sibling || is_fine, "{name}:{}: {module} must not use {used}", number + 1);
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
        for other in
            ["upload", "list", "download", "thumbnail", "quota", "organize", "webhook", "worker", "all"]
        {
            let uses = text.contains(&format!("jam_{other}::"));
            assert!(!uses || other == function, "{name}: {function} must not use {other}");
        }
    }
}

#[test]
fn functions_know_neither_the_store_nor_the_volume() {
    // They set an installation up, and take a legacy service's files over.
    const OF_OPERATORS: [&str; 2] = ["functions/admin/src/adopt.rs", "functions/admin/src/setup.rs"];
    for (name, text) in sources() {
        let is_function = name.starts_with("functions/") && name.contains("/src/");
        if !is_function || OF_OPERATORS.contains(&name.as_str()) {
            continue;
        }
        for used in ["sqlx::", "blob::"] {
            assert!(!without_tests(&text).contains(used), "{name}: functions must not use {used}");
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

/// What a statement begins with that changes or locks files, or what is made from them.
fn touches_files(sql: &str) -> bool {
    let words: Vec<&str> =
        sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    let is_theirs = |table: &str| matches!(table, "user_files" | "contents" | "derivatives");
    let changes = words.windows(3).any(|three| match three {
        ["UPDATE", table, _] => is_theirs(table),
        ["INSERT" | "DELETE", "INTO" | "FROM", table] => is_theirs(table),
        _ => false,
    });
    let locks = words.windows(2).any(|two| matches!(two, ["FOR", "UPDATE" | "SHARE" | "NO" | "KEY"]));
    changes || (locks && words.iter().any(|word| is_theirs(word)))
}

/// The functions of a file: from each `fn` to the next.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    without_tests(text).split("\npub ").flat_map(|part| part.split("\nasync fn "))
}

#[test]
fn whatever_changes_files_holds_the_ledger_first() {
    let mut seen = 0;
    for (name, text) in sources().iter().filter(|(name, _)| name.starts_with("core/src/db/")) {
        for function in functions(text) {
            if touches_files(function) {
                seen += 1;
                let first = function.lines().next().unwrap_or_default();
                let head = function.split('{').next().unwrap_or_default();
                let takes_it = "WITH ledger AS MATERIALIZED (\n               SELECT user_id";
                assert!(
                    head.contains("ledger: &mut Ledger") || function.contains(takes_it),
                    "{name}: `{first}` changes files without the ledger"
                );
            }
            // A statement that changes an upload and the ledger takes both by itself, in the same order.
            let has_both = function.contains("UPDATE user_storage") && function.contains("uploads");
            let place = |texts: &[&str]| texts.iter().filter_map(|text| function.find(text)).min();
            let ledger = place(&["FROM user_storage", "UPDATE user_storage"]);
            let upload = place(&["UPDATE uploads", "DELETE FROM uploads", "JOIN uploads"]);
            let is_ordered = upload.is_none() || ledger < upload;
            assert!(!has_both || is_ordered, "{name}: an upload is locked before the ledger:\n{function}");
        }
    }
    assert!(seen > 20, "only {seen} functions change files");
    let (_, ledger) = sources().into_iter().find(|(name, _)| name == "core/src/db/ledger.rs").unwrap();
    let made = ledger.split("Ok(Ledger {").collect::<Vec<_>>();
    assert!(
        made.len() == 2 && made[0].contains("storage::lock(&mut tx, user)"),
        "one way to a ledger: it locks first"
    );
    assert!(touches_files("WITH x AS (SELECT 1) UPDATE user_files SET a = 1"));
    assert!(touches_files("SELECT 1 FROM user_files WHERE a FOR NO KEY UPDATE"));
    assert!(!touches_files("SELECT 1 FROM user_files JOIN derivatives USING (id)"));
}

#[test]
fn there_is_one_way_to_a_caller() {
    let verifying = sources().into_iter().filter(|(name, text)| {
        !name.contains("/tests/")
            && !name.starts_with("core/src/auth/")
            && (text.contains("verifier.identify(") || text.contains("app.verifier"))
    });
    let names: Vec<String> = verifying.map(|(name, _)| name).collect();
    assert_eq!(names, ["core/src/edge/extract.rs"], "a token is checked, counted and audited in one place");
}

#[test]
fn an_error_is_logged_with_its_causes() {
    for (name, text) in sources() {
        if name.contains("/tests/") || name.starts_with("local-dev/") {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let forbidden = ["%error", "?error", "%cause", "?cause", "error = format!", "error = error"];
            let is_bare = forbidden.iter().any(|bare| line.contains(bare));
            assert!(!is_bare, "{name}:{}: log `error = %chain(&error)`", number + 1);
        }
    }
}

#[test]
fn every_operation_and_database_function_has_a_span() {
    const SPAN: &str = "#[tracing::instrument(level = \"debug\", skip_all)]";
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !path.starts_with("core/src/ops/") && !path.starts_with("core/src/db/") {
            continue;
        }
        let lines: Vec<&str> = without_tests(&text).lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let [before, line] = pair else { continue };
            let is_public = line.starts_with("pub") && line.contains(" async fn ");
            if is_public && *before != SPAN {
                wrong.push(format!("{path}: `{line}` has no span: put {SPAN} above it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// The banned words of a line: whole words, or parts of identifiers in snake_case.
fn banned_words(line: &str) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let line = line.to_lowercase();
    let words: Vec<String> = line
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    BANNED_WORDS.iter().filter(move |(banned, _)| {
        let banned: Vec<&str> = banned.split(' ').collect();
        words.windows(banned.len()).any(|part| part == banned)
    })
}

#[test]
fn words_are_the_contracts() {
    let is_read = |name: &str| {
        !UNREAD_FILES.iter().any(|(affix, _)| name.starts_with(*affix) || name.ends_with(*affix))
    };
    let mut faults = Vec::new();
    for (name, text) in tracked("*").iter().filter(|(name, _)| is_read(name)) {
        let foreign: Vec<&str> =
            FOREIGN_WORDS.iter().filter(|(file, ..)| file == name).map(|(_, text, _)| *text).collect();
        for (number, line) in text.lines().enumerate() {
            let own = foreign.iter().fold(line.to_owned(), |line, text| line.replace(*text, ""));
            faults.extend(
                banned_words(&own).map(|(word, why)| format!("{name}:{}: \"{word}\": {why}", number + 1)),
            );
        }
    }
    assert!(faults.is_empty(), "{} banned words:\n{}", faults.len(), faults.join("\n"));
    let words = |line: &str| banned_words(line).map(|(word, _)| *word).collect::<Vec<_>>();
    assert_eq!(
        words("let first_picture = PICTURES[0]; // of the replaced system"),
        ["picture", "pictures", "replaced system"]
    );
    assert!(words("Fujifilm, picturesque, a system that was replaced").is_empty());
}

/// A dependency that is named nowhere costs everybody its build.
#[test]
fn every_dependency_is_used() {
    let listed = Command::new("git").args(["ls-files", "*Cargo.toml"]).current_dir(root()).output().unwrap();
    let sources = sources();
    let mut unused = Vec::new();
    for manifest in String::from_utf8(listed.stdout).unwrap().lines().filter(|name| *name != "Cargo.toml") {
        let folder = manifest.trim_end_matches("Cargo.toml");
        let text = std::fs::read_to_string(root().join(manifest)).unwrap();
        let code: Vec<&str> = sources
            .iter()
            .filter(|(name, _)| name.starts_with(folder))
            .map(|(_, text)| text.as_str())
            .collect();
        let mut is_dependency = false;
        for line in text.lines() {
            if line.starts_with('[') {
                is_dependency = line.ends_with("dependencies]");
            }
            let name: String =
                line.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
            let path = format!("{}::", name.replace('-', "_"));
            let is_named =
                || code.iter().any(|text| text.contains(&path) || text.contains(&path.replace("::", ";")));
            if is_dependency && !name.is_empty() && !is_named() {
                unused.push(format!("{manifest}: {name}"));
            }
        }
    }
    assert!(unused.is_empty(), "not used: {}", unused.join(", "));
}
