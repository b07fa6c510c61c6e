//! No file imports another one that, directly or through others, imports it: in core, in media, in the packages for
//! clients. What a file imports is read from its text: in Rust `use` lines and paths from `crate`, `super` and `self`, and
//! of the modules that it declares; in TypeScript what is imported from a path, types included.
#![expect(clippy::unwrap_used, reason = "a test that reads the tree's own sources")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A file's place in the tree of modules, such as `["ops", "upload"]`.
type Module = Vec<String>;

/// Every module of a crate with the code of its file.
fn modules(sources: &str) -> BTreeMap<Module, String> {
    fn collect(folder: &Path, at: &Module, found: &mut BTreeMap<Module, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let mut module = at.clone();
            if path.is_dir() {
                module.push(name);
                collect(&path, &module, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") && name != "lib" {
                if name != "mod" {
                    module.push(name);
                }
                found.insert(module, code(&std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(sources), &Vec::new(), &mut found);
    found.retain(|module, _| !module.iter().any(|name| name.ends_with("tests")));
    found
}

/// A file without its comments and its tests.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or(text);
    before_tests.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Every path that the code names, with the groups of `use` spelled out.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let statement = statement.trim_start();
        let used = statement.rsplit_once("use ").filter(|(before, _)| !before.contains(['{', '=']));
        match used {
            Some((_, tree)) => spell_out(&[], tree, &mut found),
            None => found.extend(
                statement
                    .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                    .filter(|path| path.contains("::"))
                    .map(|path| path.split("::").map(str::to_owned).collect()),
            ),
        }
    }
    found
}

fn spell_out(prefix: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let mut start = 0;
    let mut depth = 0;
    let mut parts = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    for part in parts {
        let (path, group) = part
            .split_once('{')
            .map_or((part, None), |(path, rest)| (path, rest.rsplit_once('}').map(|(group, _)| group)));
        let names = path.split("::").map(|name| name.split(" as ").next().unwrap_or(name).trim());
        let whole: Vec<String> =
            prefix.iter().cloned().chain(names.filter(|name| !name.is_empty()).map(str::to_owned)).collect();
        match group {
            Some(group) => spell_out(&whole, group, found),
            None => found.push(whole),
        }
    }
}

/// The file that a path named in `module` leads to.
fn resolve(path: &[String], module: &Module, modules: &BTreeMap<Module, String>) -> Option<Module> {
    let mut at = module.clone();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => at.clear(),
        "self" => {}
        "super" => {}
        // A module that this file declares.
        child => {
            at.push(child.to_owned());
            if !modules.contains_key(&at) {
                return None;
            }
        }
    }
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "super" => {
                at.pop()?;
            }
            name if rest.len() < path.len() || !matches!(name, "crate" | "self") => {
                if rest.len() < path.len() {
                    at.push(name.to_owned());
                }
                if !modules.contains_key(&at) && !modules.keys().any(|known| known.starts_with(&at)) {
                    at.pop();
                    break;
                }
            }
            _ => {}
        }
        rest = others;
    }
    (modules.contains_key(&at) && at != *module).then_some(at)
}

/// The files that are in a circle with others.
fn circular<File: Ord + Clone>(uses: &BTreeMap<File, BTreeSet<File>>) -> Vec<File> {
    fn reached<'a, File: Ord>(
        from: &'a File,
        uses: &'a BTreeMap<File, BTreeSet<File>>,
    ) -> BTreeSet<&'a File> {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(uses.get(file).into_iter().flatten().filter(|used| seen.insert(*used)));
        }
        seen
    }
    uses.keys().filter(|file| reached(*file, uses).contains(*file)).cloned().collect()
}

fn check_crate(sources: &str, fewest_imports: usize) {
    let modules = modules(sources);
    let uses: BTreeMap<Module, BTreeSet<Module>> = modules
        .iter()
        .map(|(module, code)| {
            let used = paths(code).into_iter().filter_map(|path| resolve(&path, module, &modules));
            // A file may say `super`: what it is a part of declares it.
            (module.clone(), used.filter(|used| !module.starts_with(used)).collect())
        })
        .collect();
    let imports = uses.values().map(BTreeSet::len).sum::<usize>();
    assert!(imports > fewest_imports, "only {imports} imports are seen");
    let circular: Vec<String> = circular(&uses).iter().map(|module| module.join("::")).collect();
    assert!(circular.is_empty(), "these files of {sources} import each other: {}", circular.join(", "));
}

#[test]
fn no_file_of_core_imports_what_imports_it() {
    check_crate("core/src", 300);
}

#[test]
fn no_file_of_media_imports_what_imports_it() {
    check_crate("core/media/src", 100);
}

/// The files of a package with what each imports.
fn imports_of_package(folder: &Path) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(imports_of_package(&path));
        } else if path.extension().is_some_and(|extension| extension == "ts" || extension == "tsx") {
            let text = std::fs::read_to_string(&path).unwrap();
            let parts = text.split("from \"").skip(1).filter_map(|rest| rest.split_once('"'));
            let imported = parts.filter(|(from, _)| from.starts_with('.')).filter_map(|(from, _)| {
                let target = folder.join(from.trim_end_matches(".js"));
                ["ts", "tsx"]
                    .iter()
                    .find_map(|extension| target.with_extension(extension).canonicalize().ok())
            });
            found.insert(path.canonicalize().unwrap(), imported.collect());
        }
    }
    found
}

#[test]
fn no_file_of_the_packages_imports_what_imports_it() {
    for (package, fewest_imports) in [("sdk", 15), ("react", 30), ("dashboard", 30)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client").join(package).join("src");
        let uses = imports_of_package(&folder);
        let imports = uses.values().map(BTreeSet::len).sum::<usize>();
        assert!(imports > fewest_imports, "{package}: only {imports} imports are seen");
        let circular = circular(&uses);
        assert!(circular.is_empty(), "these import each other: {circular:?}");
    }
}
