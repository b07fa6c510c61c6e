//! Where a secret comes from when the environment names its place instead of its value: a file (systemd credentials,
//! mounted secrets), or, with the feature `aws`, Parameter Store or Secrets Manager.
//! Never asks anybody for a secret that no variable names.

use super::fault::ConfigError;
use super::places::{Place, place_of};
use super::settings::SETTINGS;
use std::collections::BTreeMap;
use std::io::Read as _;

/// A secret is far shorter; a wrong path may be anything.
const MAX_BYTES: u64 = 64 * 1024;

/// Puts the secrets that are somewhere else into the variables.
///
/// # Errors
/// Names the variable whose place has no readable secret.
pub(super) fn resolve(
    mut variables: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    for setting in SETTINGS {
        let Some((place, variable, says)) =
            setting.secret.then(|| place_of(&variables, setting.name)).flatten()
        else {
            continue;
        };
        let secret = match place {
            Place::File => read(says),
            Place::Parameter | Place::Secret => fetch(place, says.to_owned()),
        };
        let secret = secret.map_err(|error| ConfigError {
            name: variable.clone(),
            fault: format!("names no readable secret: {error:#}"),
            default: "",
        })?;
        variables.insert(setting.name.to_owned(), secret);
    }
    Ok(variables)
}

#[expect(clippy::disallowed_methods, reason = "a secret's file is not on the volume")]
fn read(path: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() as u64 <= MAX_BYTES, "the file is too large");
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(not(feature = "aws"))]
fn fetch(_: Place, _: String) -> anyhow::Result<String> {
    anyhow::bail!("this program was built without the feature aws")
}

/// On a thread of its own, because the caller may be inside an async runtime already.
#[cfg(feature = "aws")]
fn fetch(place: Place, id: String) -> anyhow::Result<String> {
    let fetching = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(fetch_from_aws(place, id))
    });
    fetching.join().map_err(|_| anyhow::anyhow!("the AWS client panicked"))?
}

#[cfg(feature = "aws")]
async fn fetch_from_aws(place: Place, id: String) -> anyhow::Result<String> {
    use anyhow::Context as _;
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    if place == Place::Parameter {
        let request = aws_sdk_ssm::Client::new(&config).get_parameter().name(id).with_decryption(true);
        let parameter = request.send().await.context("Parameter Store")?.parameter;
        return parameter.and_then(|parameter| parameter.value).context("the parameter has no value");
    }
    let request = aws_sdk_secretsmanager::Client::new(&config).get_secret_value().secret_id(id);
    request.send().await.context("Secrets Manager")?.secret_string.context("the secret is not text")
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::config::settings::is_place;
    use std::collections::BTreeMap;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_secret_in_a_file_counts_unless_the_variable_itself_is_set() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"postgres:///from-file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let read = resolve(variables(&[("DATABASE_URL_FILE", path)])).unwrap();
        assert_eq!(read["DATABASE_URL"], "postgres:///from-file");
        let both = variables(&[("DATABASE_URL_FILE", "/nowhere"), ("DATABASE_URL", "postgres:///set")]);
        assert_eq!(resolve(both).unwrap()["DATABASE_URL"], "postgres:///set");
    }

    #[test]
    fn a_place_without_a_secret_stops_the_start_by_its_name() {
        for name in ["JAM_URL_KEYS_FILE", "CLERK_SECRET_KEY_FILE"] {
            let fault = resolve(variables(&[(name, "/nowhere")])).unwrap_err().to_string();
            assert!(fault.starts_with(&format!("{name}: names no readable secret: No such file")), "{fault}");
        }
    }

    #[test]
    fn only_secrets_have_places() {
        assert!(is_place("JAM_URL_KEYS_FILE") && is_place("DATABASE_URL_SECRET_ARN"));
        assert!(!is_place("JAM_LISTEN_FILE") && !is_place("JAM_URL_KEYS_URL"));
        let untouched = variables(&[("PORT_FILE", "/nowhere")]);
        assert_eq!(resolve(untouched.clone()).unwrap(), untouched);
    }
}
