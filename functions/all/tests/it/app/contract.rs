//! The contract as the code writes it: which operations there are, and what their answers must look like.

use super::Answer;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&jam_all::openapi().unwrap()).unwrap());

/// Every operation; those whose path names more come first, as a router tries them.
pub(crate) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let mut operations = Vec::new();
    for (path, methods) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // Of bytes, HEAD is GET without them.
            if method == "head" && operation["operationId"].as_str().unwrap().starts_with("head_") {
                continue;
            }
            operations.push(Operation {
                method: Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap(),
                path,
                id: operation["operationId"].as_str().unwrap(),
                function: operation["tags"][0].as_str().unwrap(),
                is_public: operation["security"] == json!([{}]),
                responses: &operation["responses"],
            });
        }
    }
    operations.sort_by_key(|operation| operation.path.matches('{').count());
    operations
});

/// Every function that answers requests, as the contract's tags name them; `/health` belongs to all.
pub(crate) fn functions() -> BTreeSet<&'static str> {
    let owners = OPERATIONS.iter().map(|operation| operation.function);
    owners.filter(|owner| *owner != "every function").collect()
}

pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    /// The function that answers it.
    pub(crate) function: &'static str,
    /// Whether it needs no token.
    pub(crate) is_public: bool,
    responses: &'static Value,
}

impl Operation {
    pub(crate) fn by_id(id: &str) -> &'static Self {
        OPERATIONS.iter().find(|operation| operation.id == id).unwrap_or_else(|| panic!("no operation {id}"))
    }

    /// The operation that answers a request; for a method that its path lacks, one that the path has.
    pub(crate) fn answering(method: &Method, target: &str) -> Option<&'static Self> {
        let path = target.split('?').next().unwrap_or_default();
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let matching = || OPERATIONS.iter().filter(|operation| operation.matches(path));
        matching().find(|operation| operation.method == *method).or_else(|| matching().next())
    }

    fn matches(&self, path: &str) -> bool {
        let (ours, theirs) = (self.path.split('/'), path.split('/'));
        ours.clone().count() == theirs.clone().count()
            && ours.zip(theirs).all(|(our, their)| our == their || our.starts_with('{'))
    }

    /// Fails unless the contract has this status for this operation, and JSON of exactly these fields if it is JSON.
    #[track_caller]
    pub(crate) fn assert_describes(&self, answer: &Answer) {
        let response = self.responses.get(answer.status.to_string());
        assert!(response.is_some(), "{}: {} is not in the contract", self.id, answer.status);
        // Failures share one schema.
        let content = if answer.status >= 400 { &self.responses["default"] } else { response.unwrap() };
        let Some(schema) = content["content"]["application/json"].get("schema") else { return };
        assert_eq!(answer.header("content-type"), Some("application/json"), "{}", self.id);
        assert_valid(schema, &answer.json(), self.id);
    }
}

#[track_caller]
fn assert_valid(schema: &Value, instance: &Value, what: &str) {
    let mut whole = schema.clone();
    whole["components"] = json!({ "schemas": *SCHEMAS });
    let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(instance).map(|fault| format!("{} {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{what}: {faults:#?}\n{instance:#}");
}

/// The schemas, made strict: a field that the contract does not name is a fault. `Problem` stays open for its numbers,
/// and what is part of another schema is closed by that one.
static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let mut schemas = DOCUMENT["components"]["schemas"].clone();
    let all = schemas.to_string();
    for (name, schema) in schemas.as_object_mut().unwrap() {
        let is_part = all.contains(&format!("\"allOf\":[{{\"$ref\":\"#/components/schemas/{name}\""));
        let is_object = schema.get("allOf").is_some() || schema["type"] == "object";
        if is_object && !is_part && name != "Problem" {
            schema["unevaluatedProperties"] = json!(false);
        }
    }
    schemas
});
