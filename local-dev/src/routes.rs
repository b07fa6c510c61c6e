//! Which function answers which request, read from the functions' own OpenAPI documents.
//! Invariant: an endpoint belongs to one function; two that claim it stop the start.
//! Never sends anything.

use crate::router::Upstream;
use anyhow::{Context as _, Result, bail};
use axum::Json;
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Every function answers these for itself.
const OF_EVERY_FUNCTION: [&str; 2] = ["/health", "/openapi.json"];

/// A path's functions by upper-case method.
type Methods = BTreeMap<String, usize>;

/// The table of a running service.
pub(crate) struct Routes {
    functions: Vec<Upstream>,
    paths: matchit::Router<Methods>,
    document: Option<Value>,
}

impl Routes {
    /// One process answers everything.
    pub(crate) fn single(process: Upstream) -> Self {
        Self { functions: vec![process], paths: matchit::Router::new(), document: None }
    }

    /// Each function with its OpenAPI document; the first also answers what no function claims.
    ///
    /// # Errors
    /// There is none, or two claim the same endpoint.
    pub(crate) fn of_functions(functions: Vec<(Upstream, Value)>) -> Result<Self> {
        let mut paths: BTreeMap<String, Methods> = BTreeMap::new();
        let mut document = Value::Null;
        let mut upstreams: Vec<Upstream> = Vec::new();
        for (upstream, part) in functions {
            for (path, method) in endpoints(&part) {
                match paths.entry(path.clone()).or_default().entry(method) {
                    Entry::Vacant(free) => {
                        free.insert(upstreams.len());
                    }
                    Entry::Occupied(taken) => {
                        let other = upstreams.get(*taken.get()).map_or(upstream.name(), Upstream::name);
                        bail!("{other} and {} both claim {} {path}", upstream.name(), taken.key());
                    }
                }
            }
            merge(&mut document, part);
            upstreams.push(upstream);
        }
        if upstreams.is_empty() {
            bail!("there is no function to route to");
        }
        let mut router = matchit::Router::new();
        for (path, methods) in paths {
            router.insert(path.clone(), methods).with_context(|| format!("failed to route {path}"))?;
        }
        Ok(Self { functions: upstreams, paths: router, document: Some(document) })
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

    /// The OpenAPI document of all functions together, when this request asks for it.
    pub(crate) fn own_answer(&self, request: &Request) -> Option<Response> {
        let document = self.document.as_ref()?;
        let asked = request.method() == Method::GET && request.uri().path() == "/openapi.json";
        asked.then(|| Json(document).into_response())
    }
}

fn endpoints(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .filter(|(path, _)| !OF_EVERY_FUNCTION.contains(&path.as_str()))
        .flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flat_map(|item| item.keys());
            methods.map(|method| (path.clone(), method.to_uppercase()))
        })
        .filter(|(_, method)| !["PARAMETERS", "SERVERS", "SUMMARY", "DESCRIPTION"].contains(&method.as_str()))
        .collect()
}

/// Adds what `whole` lacks.
fn merge(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                merge(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole @ Value::Null, part) => *whole = part,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Routes, merge};
    use crate::router::Upstream;
    use axum::http::Method;
    use serde_json::{Value, json};
    use std::path::Path;

    fn function(name: &'static str, paths: Value) -> (Upstream, Value) {
        (Upstream::new(name, Path::new("/nowhere")), json!({ "paths": paths }))
    }

    fn routes() -> Routes {
        Routes::of_functions(vec![
            function(
                "jam-list",
                json!({"/api/files": {"get": {}}, "/api/files/{id}": {"get": {}}, "/health": {"get": {}}}),
            ),
            function(
                "jam-organize",
                json!({"/api/files/{id}": {"patch": {}, "delete": {}}, "/health": {"get": {}}}),
            ),
            function("jam-upload", json!({"/api/files/upload": {"post": {}}})),
        ])
        .unwrap()
    }

    #[test]
    fn a_path_shared_by_two_functions_goes_by_method() {
        let routes = routes();
        let name = |method: Method, path| routes.find(&method, path).name();
        assert_eq!(name(Method::GET, "/api/files/7"), "jam-list");
        assert_eq!(name(Method::HEAD, "/api/files/7"), "jam-list");
        assert_eq!(name(Method::DELETE, "/api/files/7"), "jam-organize");
        assert_eq!(name(Method::POST, "/api/files/upload"), "jam-upload");
    }

    #[test]
    fn what_nobody_claims_still_reaches_a_function_that_answers_404() {
        let routes = routes();
        assert_eq!(routes.find(&Method::GET, "/nothing").name(), "jam-list");
        assert_eq!(routes.find(&Method::OPTIONS, "/api/files/upload").name(), "jam-upload");
    }

    #[test]
    fn an_endpoint_claimed_twice_stops_the_start() {
        let one = function("jam-list", json!({"/api/files": {"get": {}}}));
        let two = function("jam-quota", json!({"/api/files": {"get": {}}}));
        let fault = Routes::of_functions(vec![one, two]).err().unwrap().to_string();
        assert_eq!(fault, "jam-list and jam-quota both claim GET /api/files");
    }

    #[test]
    fn documents_join_path_by_path() {
        let mut whole = json!({"info": 1, "paths": {"/a": {"get": 1}}});
        merge(&mut whole, json!({"info": 2, "paths": {"/a": {"post": 2}, "/b": {"get": 3}}}));
        assert_eq!(whole, json!({"info": 1, "paths": {"/a": {"get": 1, "post": 2}, "/b": {"get": 3}}}));
    }
}
