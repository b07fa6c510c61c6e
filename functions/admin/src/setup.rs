//! Before the first start: the schema, the volume, the configuration.
//! Works while the database or the volume is not there yet.

use crate::Ended;
use crate::output::{Output, table};
use anyhow::{Context as _, Result};
use jam_core::blob::Volume;
use jam_core::config::{self, Config};
use jam_core::db::Db;
use jam_core::model::ByteSize;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    schema_version: i64,
}

/// Brings the schema up to date.
pub(crate) async fn migrate(output: &Output, db: &Db) -> Result<Ended> {
    let schema_version = db.migrate().await.context("failed to apply the migrations")?;
    let text = |schema: &Schema| format!("The schema is at version {}.", schema.schema_version);
    output.answer(&Schema { schema_version }, text)?;
    Ok(Ended::Done)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    root: PathBuf,
    free_bytes: ByteSize,
    total_bytes: ByteSize,
}

/// Makes the storage root and the file that proves it mounted.
pub(crate) async fn init_volume(output: &Output, config: &Config) -> Result<Ended> {
    let root = config.storage_root.clone();
    let failed = || format!("failed to make {} a volume", root.display());
    Volume::initialize(&root).with_context(failed)?;
    let space = Volume::open(&root, config.limits.volume_floor).with_context(failed)?.space().await?;
    let made = Initialized { root, free_bytes: space.free, total_bytes: space.total };
    output.answer(&made, |made| {
        let (free, total) = (made.free_bytes.formatted(), made.total_bytes.formatted());
        format!("{} is a volume of this service: {free} free of {total}.", made.root.display())
    })?;
    Ok(Ended::Done)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    settings: Vec<Setting>,
    problem: Option<String>,
    /// What lets the service start and is likely not meant.
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Setting {
    name: &'static str,
    value: Option<String>,
    is_default: bool,
}

/// What is likely not meant.
fn warnings(config: &Config) -> Vec<String> {
    let auth = &config.auth;
    let nobody = (auth.admin_users.is_empty() && auth.admin_org.is_none()).then(|| {
        "JAM_ADMIN_USERS and JAM_ADMIN_ORG are unset: somebody is an administrator only if the session token carries \
         metadata.role, which Clerk's does not unless its template says so (docs/runbook.md, Administrators)"
            .to_owned()
    });
    nobody.into_iter().collect()
}

/// Longest value shown in a column.
const SHOWN_CHARS: usize = 60;

/// Shows every setting as the environment leaves it, secrets hidden, and the first that stops a start.
pub(crate) fn config(output: &Output) -> Result<Ended> {
    let variables = config::environment();
    let config = Config::from_env();
    let warnings = config.as_ref().map_or_else(|_| Vec::new(), warnings);
    let problem = config.err();
    let settings = config::effective(&variables).into_iter().map(|setting| Setting {
        name: setting.name,
        value: setting.value,
        is_default: setting.is_default,
    });
    let shown = Configuration {
        settings: settings.collect(),
        problem: problem.as_ref().map(ToString::to_string),
        warnings,
    };
    output.answer(&shown, |shown| {
        let rows = shown.settings.iter().map(|setting| {
            let value = setting.value.as_deref().unwrap_or("-");
            let source = if setting.is_default { "default" } else { "environment" };
            [setting.name.to_owned(), value.chars().take(SHOWN_CHARS).collect(), source.to_owned()]
        });
        let mut text = table(["SETTING", "VALUE", "FROM"], rows);
        for warning in &shown.warnings {
            text.push_str(&format!("\nwarning: {warning}"));
        }
        text
    })?;
    problem.map_or(Ok(Ended::Done), |problem| Err(problem.into()))
}
