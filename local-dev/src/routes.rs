//! Which running function answers a request, by the contract.
//! Never sends anything.

use crate::contract::Contract;
use crate::router::Upstream;
use anyhow::{Context as _, Result};
use axum::http::Method;
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
    pub(crate) fn of_functions(functions: Vec<Upstream>, contract: &Contract) -> Result<Self> {
        let mut router = matchit::Router::new();
        for (path, by_function) in contract.paths() {
            let mut indices = Methods::new();
            for (function, methods) in by_function {
                let name = format!("jam-{function}");
                let index = functions.iter().position(|upstream| upstream.name() == name);
                let index = index.with_context(|| format!("{path} belongs to {name}, which does not run"))?;
                indices.extend(methods.iter().map(|method| (method.clone(), index)));
            }
            router.insert(path.clone(), indices).with_context(|| format!("failed to route {path}"))?;
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

#[cfg(test)]
mod tests {
    use super::Routes;
    use crate::contract::Contract;
    use crate::router::Upstream;
    use axum::http::Method;
    use std::path::Path;

    fn routes(names: &[&'static str]) -> anyhow::Result<Routes> {
        let contract = r#"{"paths": {
            "/health": {"get": {"tags": ["every function"]}},
            "/api/files": {"get": {"tags": ["list"]}},
            "/api/files/{id}": {"get": {"tags": ["list"]}, "patch": {"tags": ["organize"]}, "delete": {"tags": ["organize"]}},
            "/api/files/upload": {"post": {"tags": ["upload"]}}
        }}"#;
        let functions = names.iter().map(|name| Upstream::new(name, Path::new("/nowhere"))).collect();
        Routes::of_functions(functions, &Contract::parse(contract)?)
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
