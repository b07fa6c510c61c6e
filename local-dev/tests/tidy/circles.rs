//! No file imports another one that, directly or through others, imports it: in core, in media, in the packages for
//! clients. What a file imports is read from its text: in Rust `use` lines and paths from `crate`, `super` and `self`, and
//! of the modules that it declares; in TypeScript what is imported from a path, types included.

use super::{root, sources, tracked, without_tests};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A file's place in the tree of modules, such as `["ops", "upload"]`.
type Module = Vec<String>;

/// Every module below this folder with the code of its file.
fn modules(folder: &str) -> BTreeMap<Module, String> {
    let module = |(name, text): (String, String)| {
        let path = name.strip_prefix(folder)?.strip_suffix(".rs")?;
        let mut module: Module = path.split('/').map(str::to_owned).collect();
        module.pop_if(|name| name == "mod");
        let is_code = path != "lib" && !module.iter().any(|name| name.ends_with("tests"));
        is_code.then(|| (module, without_comments(without_tests(&text))))
    };
    sources().into_iter().filter_map(module).collect()
}

fn without_comments(code: &str) -> String {
    code.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
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
    let (first, rest) = path.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Module::new(),
        "self" => module.clone(),
        "super" => module[..module.len() - 1].to_vec(),
        // A module that this file declares.
        child => module.iter().cloned().chain([child.to_owned()]).collect(),
    };
    for name in rest {
        if name == "super" {
            at.pop()?;
            continue;
        }
        at.push(name.clone());
        if !modules.contains_key(&at) {
            // An item of that module.
            at.pop();
            break;
        }
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

fn check_crate(folder: &str, fewest_imports: usize) {
    let modules = modules(folder);
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
    assert!(circular.is_empty(), "these files of {folder} import each other: {}", circular.join(", "));
}

#[test]
fn no_file_of_core_imports_what_imports_it() {
    check_crate("core/src/", 300);
}

#[test]
fn no_file_of_media_imports_what_imports_it() {
    check_crate("core/media/src/", 100);
}

/// The files of a package with what each imports.
fn imports_of_package(files: &[(String, String)], folder: &str) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let imports = |(name, text): &(String, String)| {
        let path = root().join(name).canonicalize().unwrap();
        let parts = text.split("from \"").skip(1).filter_map(|rest| rest.split_once('"'));
        let imported = parts.filter(|(from, _)| from.starts_with('.')).filter_map(|(from, _)| {
            let target = path.with_file_name("").join(from.trim_end_matches(".js"));
            ["ts", "tsx"].iter().find_map(|extension| target.with_extension(extension).canonicalize().ok())
        });
        (path.clone(), imported.collect())
    };
    files.iter().filter(|(name, _)| name.starts_with(folder)).map(imports).collect()
}

#[test]
fn no_file_of_the_packages_imports_what_imports_it() {
    let files = tracked("client/*.ts*");
    for (folder, fewest_imports) in
        [("client/sdk/src/", 15), ("client/react/src/", 30), ("client/dashboard/src/", 30)]
    {
        let uses = imports_of_package(&files, folder);
        let imports = uses.values().map(BTreeSet::len).sum::<usize>();
        assert!(imports > fewest_imports, "{folder}: only {imports} imports are seen");
        let circular = circular(&uses);
        assert!(circular.is_empty(), "these import each other: {circular:?}");
    }
}
