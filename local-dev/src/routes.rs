//! Which function answers which request, read from the contract: an operation's tag names its function.
//! Never sends anything.

use crate::router::Upstream;
use anyhow::{Context as _, Result};
use axum::http::Method;
use serde_json::Value;
use std::collections::BTreeMap;

/// A path's functions by upper-case method.
type Methods = BTreeMap<String, usize>;

/// The table of a running service.
pub(crate) struct Routes {
    functions: Vec<Upstream>,
    paths: matchit::Router<Methods>,
}

impl Routes {
    /// One process answers everything.
    pub(crate) fn single(process: Upstream) -> Self {
        Self { functions: vec![process], paths: matchit::Router::new() }
    }

    /// Every function by the contract (OpenAPI); the first also answers what no function claims.
    ///
    /// # Errors
    /// An operation of the contract belongs to none of the functions.
    pub(crate) fn of_functions(functions: Vec<Upstream>, contract: &Value) -> Result<Self> {
        let mut paths: BTreeMap<String, Methods> = BTreeMap::new();
        for (path, method, function) in operations(contract) {
            let name = format!("jam-{function}");
            let index = functions.iter().position(|upstream| upstream.name() == name);
            let index =
                index.with_context(|| format!("{method} {path} belongs to {name}, which does not run"))?;
            paths.entry(path.to_owned()).or_default().insert(method, index);
        }
        let mut router = matchit::Router::new();
        for (path, methods) in paths {
            router.insert(path.clone(), methods).with_context(|| format!("failed to route {path}"))?;
        }
        Ok(Self { functions, paths: router })
    }

    /// Who answers a request; for a method that a path lacks, someone who knows the path.
    pub(crate) fn find(&self, method: &Method, path: &str) -> &Upstream {
        let methods = self.paths.at(path).ok().map(|found| found.value);
        let index = methods.and_then(|methods| {
            let asked = methods.get(method.as_str());
            let like_get = methods.get("GET").filter(|_| method == Method::HEAD);
            asked.or(like_get).or_else(|| methods.values().next())
        });
        &self.functions[index.copied().unwrap_or(0)]
    }
}

/// Path, method and function of every operation that is not every function's own.
fn operations(contract: &Value) -> Vec<(&str, String, &str)> {
    let paths = contract["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.filter_map(|(method, operation)| {
            let function = operation["tags"][0].as_str()?;
            Some((path.as_str(), method.to_uppercase(), function))
        })
    });
    operations.filter(|(path, ..)| *path != "/health").collect()
}

#[cfg(test)]
mod tests {
    use super::Routes;
    use crate::router::Upstream;
    use axum::http::Method;
    use serde_json::json;
    use std::path::Path;

    fn routes(names: &[&'static str]) -> anyhow::Result<Routes> {
        let contract = json!({"paths": {
            "/health": {"get": {"tags": ["every function"]}},
            "/api/files": {"get": {"tags": ["list"]}},
            "/api/files/{id}": {"get": {"tags": ["list"]}, "patch": {"tags": ["organize"]}, "delete": {"tags": ["organize"]}},
            "/api/files/upload": {"post": {"tags": ["upload"]}},
        }});
        let functions = names.iter().map(|name| Upstream::new(name, Path::new("/nowhere"))).collect();
        Routes::of_functions(functions, &contract)
    }

    #[test]
    fn a_path_shared_by_two_functions_goes_by_method() {
        let routes = routes(&["jam-list", "jam-organize", "jam-upload"]).unwrap();
        let name = |method: Method, path| routes.find(&method, path).name();
        assert_eq!(name(Method::GET, "/api/files/7"), "jam-list");
        assert_eq!(name(Method::HEAD, "/api/files/7"), "jam-list");
        assert_eq!(name(Method::DELETE, "/api/files/7"), "jam-organize");
        assert_eq!(name(Method::POST, "/api/files/upload"), "jam-upload");
    }

    #[test]
    fn what_nobody_claims_still_reaches_a_function_that_answers_404() {
        let routes = routes(&["jam-list", "jam-organize", "jam-upload"]).unwrap();
        assert_eq!(routes.find(&Method::GET, "/nothing").name(), "jam-list");
        assert_eq!(routes.find(&Method::OPTIONS, "/api/files/upload").name(), "jam-upload");
    }

    #[test]
    fn an_operation_without_its_function_stops_the_start() {
        let fault = routes(&["jam-list", "jam-upload"]).err().unwrap().to_string();
        assert!(fault.ends_with("/api/files/{id} belongs to jam-organize, which does not run"), "{fault}");
    }
}
