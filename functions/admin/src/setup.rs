//! Before the first start: the schema, the volume, the configuration.
//! Works while the database or the volume is not there yet.

use crate::Ended;
use crate::output::Output;
use anyhow::{Context as _, Result};
use jam_core::blob::Volume;
use jam_core::config::Config;
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
