//! The contract's routes in the files that people wrote around them: README's table, the AWS template, what Prometheus
//! scrapes. Never changes anything else in them.

use crate::contract::{Contract, DEFAULT, EVERYWHERE, WORKER};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;

const TABLE_START: &str = "<!-- Written by `cargo dev sync`. -->\n";
const TABLE_END: &str = "<!-- End of the table. -->\n";
/// API Gateway does not send HEAD to the function of GET; of these two clients ask it.
const READERS: [&str; 2] = ["download", "thumbnail"];
/// Of other functions' operations, what the template routes. Preflights are the gateway's.
const ROUTED: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];

/// README with its table of routes: those of a function that take the same methods share a line.
pub(crate) fn in_readme(readme: &str, contract: &Contract) -> Result<String> {
    let mut table = String::from("| methods | paths | function |\n|---|---|---|\n");
    for function in contract.functions() {
        let mut by_methods: BTreeMap<&[String], Vec<String>> = BTreeMap::new();
        for (path, methods) in contract.paths_of(&function) {
            by_methods.entry(methods).or_default().push(format!("`{path}`"));
        }
        for (methods, paths) in by_methods {
            let methods: Vec<String> = methods.iter().map(|method| format!("`{method}`")).collect();
            table.push_str(&format!("| {} | {} | {function} |\n", methods.join(" "), paths.join(", ")));
        }
    }
    table.push_str(&format!("| `GET` | `{EVERYWHERE}` | every function |\n"));
    let (before, rest) = readme.split_once(TABLE_START).context("README.md has no table of routes")?;
    let (_, after) = rest.split_once(TABLE_END).context("README.md's table of routes has no end")?;
    Ok(format!("{before}{TABLE_START}\n{table}\n{TABLE_END}{after}"))
}

/// The SAM template with the events of every function.
pub(crate) fn in_template(template: &str, contract: &Contract) -> Result<String> {
    let mut text = String::new();
    let (mut resource, mut done) = (None, 0);
    for line in template.split_inclusive('\n') {
        if let Some(name) = resource_name(line) {
            resource = contract.functions().into_iter().find(|known| *known == name);
        }
        let is_route = line.starts_with("        ") && line.contains(": { Type: HttpApi,");
        if is_route && resource.is_some() && !line.contains("Method: ANY,") {
            continue;
        }
        text.push_str(line);
        if let (Some(function), "      Events:\n") = (&resource, line) {
            text.push_str(&events(contract, function));
            done += 1;
        }
    }
    ensure!(done == contract.functions().len(), "infra/aws/template.yaml lacks a function, or its events");
    Ok(text)
}

/// The function of a line like `  UploadFunction:`.
fn resource_name(line: &str) -> Option<String> {
    let name = line.strip_prefix("  ")?.strip_suffix(":\n")?;
    (!name.starts_with(' ')).then(|| name.trim_end_matches("Function").to_lowercase())
}

fn events(contract: &Contract, function: &str) -> String {
    let mut events = String::new();
    let mut add = |method: &str, path: &str| {
        let name = capitalized(&method.to_lowercase()) + &words(path);
        events.push_str(&format!(
            "        {name}: {{ Type: HttpApi, Properties: {{ ApiId: !Ref Api, Method: {method}, Path: \"{path}\" }} }}\n"
        ));
    };
    let routed = |method: &str| ROUTED.contains(&method) || (method == "HEAD" && READERS.contains(&function));
    for (path, methods) in contract.paths_of(function) {
        for method in methods.iter().filter(|method| routed(method)) {
            add(method, path);
        }
    }
    // Every function answers it for itself; at the gateway's address one does.
    if function == DEFAULT {
        add("GET", EVERYWHERE);
    }
    events
}

/// A path's words as one name.
fn words(path: &str) -> String {
    let words = path.trim_end_matches(".json").split(|letter: char| !letter.is_ascii_alphabetic());
    words.map(capitalized).collect()
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// Prometheus's configuration with every function as a target.
pub(crate) fn in_scrape_config(config: &str, contract: &Contract) -> Result<String> {
    const TARGETS: &str = "      - targets: [";
    let line =
        config.lines().find(|line| line.starts_with(TARGETS)).context("prometheus.yml has no targets")?;
    let functions = [contract.functions(), vec![WORKER.to_owned()]].concat();
    Ok(config.replace(line, &format!("{TARGETS}{}]", functions.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::{in_readme, in_scrape_config, in_template};
    use crate::contract::Contract;

    fn contract() -> Contract {
        let text = r#"{"paths": {
            "/health": {"get": {"tags": ["every function"]}},
            "/api/files": {"get": {"tags": ["list"]}},
            "/api/files/{id}": {"get": {"tags": ["list"]}},
            "/f/{id}/stream": {"get": {"tags": ["download"]}, "head": {"tags": ["download"]}},
            "/api/uploads": {"options": {"tags": ["upload"]}, "post": {"tags": ["upload"]}}
        }}"#;
        Contract::parse(text).unwrap()
    }

    #[test]
    fn routes_of_one_function_and_the_same_methods_share_a_line_of_the_table() {
        let readme = "# A\n<!-- Written by `cargo dev sync`. -->\nold\n<!-- End of the table. -->\nend\n";
        let expected = "# A\n<!-- Written by `cargo dev sync`. -->\n\n| methods | paths | function |\n|---|---|---|\n\
            | `GET` | `/api/files`, `/api/files/{id}` | list |\n\
            | `GET` `HEAD` | `/f/{id}/stream` | download |\n\
            | `OPTIONS` `POST` | `/api/uploads` | upload |\n\
            | `GET` | `/health` | every function |\n\n<!-- End of the table. -->\nend\n";
        let written = in_readme(readme, &contract()).unwrap();
        assert_eq!(written, expected);
        assert_eq!(in_readme(&written, &contract()).unwrap(), expected);
        assert!(in_readme("# A\n", &contract()).is_err());
    }

    #[test]
    fn the_template_gets_the_routes_and_keeps_everything_else() {
        let template = "Resources:\n  ListFunction:\n    Properties:\n      Events:\n        \
            Old: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: GET, Path: \"/old\" } }\n        \
            Rest: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: ANY, Path: \"/{any+}\" } }\n\n  \
            DownloadFunction:\n    Properties:\n      Events:\n\n  UploadFunction:\n    Properties:\n      \
            Events:\n\n  WorkerFunction:\n    Properties:\n      Events:\n        \
            Minute: { Type: Schedule }\n";
        let written = in_template(template, &contract()).unwrap();
        for kept in ["Method: ANY, Path: \"/{any+}\"", "Minute: { Type: Schedule }"] {
            assert!(written.contains(kept), "{written}");
        }
        for route in [
            "        GetHealth: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: GET, Path: \"/health\" } }\n",
            "        GetApiFilesId: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: GET, Path: \"/api/files/{id}\" } }\n",
            "        HeadFIdStream: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: HEAD, Path: \"/f/{id}/stream\" } }\n",
            "        PostApiUploads: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: POST, Path: \"/api/uploads\" } }\n",
        ] {
            assert!(written.contains(route), "{written}");
        }
        assert!(!written.contains("/old") && !written.contains("OPTIONS"), "{written}");
        assert_eq!(in_template(&written, &contract()).unwrap(), written);
        assert!(in_template("Resources:\n", &contract()).is_err());
    }

    #[test]
    fn every_function_is_scraped_and_the_worker_too() {
        let config = "a:\n      - targets: [old]\nb: c\n";
        let expected = "a:\n      - targets: [list, download, upload, worker]\nb: c\n";
        assert_eq!(in_scrape_config(config, &contract()).unwrap(), expected);
    }
}
