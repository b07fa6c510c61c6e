//! Which function answers which request, as the contract says: an operation's tag names its function.
//! Invariant: the contract is the only list of functions; what starts, routes to or scrapes them reads it here.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Answers what no operation claims, with a 404 in the service's own words.
pub(crate) const DEFAULT: &str = "list";
/// Runs jobs and answers no request.
pub(crate) const WORKER: &str = "worker";
/// What every function answers for itself.
pub(crate) const EVERYWHERE: &str = "/health";

/// The programs of the functions that answer requests, by the committed contract. The first is [`DEFAULT`]'s.
static PROGRAMS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let committed = Contract::parse(include_str!("../../docs/openapi.json"));
    let functions = committed.map_or_else(|_| Vec::new(), |contract| contract.functions());
    functions.into_iter().map(|function| format!("jam-{function}")).collect()
});

/// The programs of the functions that answer requests. The first also answers what no function claims.
pub(crate) fn programs() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(String::as_str)
}

/// The contract's operations.
pub(crate) struct Contract {
    /// By path, by function: methods in upper case.
    paths: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Contract {
    /// Reads an OpenAPI document.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let document: Value = serde_json::from_str(text).context("the contract is not JSON")?;
        let paths = document["paths"].as_object().context("the contract has no paths")?;
        let paths = paths.iter().filter(|(path, _)| *path != EVERYWHERE);
        Ok(Self { paths: paths.map(|(path, item)| (path.clone(), methods_by_function(item))).collect() })
    }

    /// The functions that answer requests; the first is [`DEFAULT`].
    pub(crate) fn functions(&self) -> Vec<String> {
        let others: BTreeSet<&String> = self.paths.values().flat_map(BTreeMap::keys).collect();
        let others = others.into_iter().filter(|name| *name != DEFAULT).cloned();
        std::iter::once(DEFAULT.to_owned()).chain(others).collect()
    }

    /// The paths in order, each with the methods of each of its functions.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&String, &BTreeMap<String, Vec<String>>)> {
        self.paths.iter()
    }

    /// A function's paths in order, with its methods.
    pub(crate) fn paths_of(&self, function: &str) -> impl Iterator<Item = (&String, &Vec<String>)> {
        self.paths.iter().filter_map(move |(path, functions)| Some((path, functions.get(function)?)))
    }
}

fn methods_by_function(item: &Value) -> BTreeMap<String, Vec<String>> {
    let mut by_function: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (method, operation) in item.as_object().into_iter().flatten() {
        if let Some(function) = operation["tags"][0].as_str() {
            by_function.entry(function.to_owned()).or_default().push(method.to_uppercase());
        }
    }
    by_function
}
