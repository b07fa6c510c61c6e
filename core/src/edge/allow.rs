//! What the edge knows of the API's paths: which methods each has in the whole service, of which one function may serve
//! only some, and where resumable uploads are. Methods are read from the contract; never decides what a method does.

use axum::http::HeaderValue;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What the paths of resumable uploads begin with.
pub(super) const UPLOADS: &str = "/api/uploads";

/// What an operation of a path can be called by; a path's other keys describe it.
const METHODS_OF_CONTRACTS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// The value of `Allow` by path, in the contract's spelling, which is the routers' too.
static METHODS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let contract: Value =
        serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap_or_default();
    let paths = contract["paths"].as_object().into_iter().flatten();
    let listed = paths.map(|(path, operations)| {
        let keys = operations.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let methods = keys.filter(|key| METHODS_OF_CONTRACTS.contains(key));
        let mut methods: Vec<String> = methods.map(str::to_uppercase).collect();
        if methods.iter().any(|method| method == "GET") && !methods.iter().any(|method| method == "HEAD") {
            methods.push("HEAD".to_owned());
        }
        methods.sort();
        (path.clone(), methods.join(","))
    });
    listed.collect()
});

/// What `Allow` says about a route; `None` when the contract does not have it.
pub(super) fn allow(route: &str) -> Option<HeaderValue> {
    METHODS.get(route).and_then(|methods| HeaderValue::from_str(methods).ok())
}

/// The same for an answer to OPTIONS, which every path has.
pub(super) fn allow_with_options(route: &str) -> Option<HeaderValue> {
    let mut methods: Vec<&str> = METHODS.get(route)?.split(',').collect();
    if !methods.contains(&"OPTIONS") {
        methods.push("OPTIONS");
        methods.sort_unstable();
    }
    HeaderValue::from_str(&methods.join(",")).ok()
}

#[cfg(test)]
mod tests {
    use super::allow;

    #[test]
    fn a_path_of_several_functions_has_the_methods_of_all() {
        assert_eq!(allow("/api/files/{id}").unwrap(), "DELETE,GET,HEAD,PATCH");
        assert_eq!(allow("/api/files/upload").unwrap(), "POST");
        assert_eq!(allow("/nowhere"), None);
    }
}
