//! Who uses how much, who may, and which files are the largest.

use crate::Ended;
use crate::arguments;
use crate::output::{Output, table};
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use jam_core::db::{self, Db};
use jam_core::ids::{FileId, UserId};
use jam_core::model::{ByteSize, FileType, TypeUsage, Usage};
use serde::Serialize;
use std::collections::BTreeMap;

/// Users in one query.
const PAGE: i64 = 1000;

#[derive(Subcommand)]
pub(crate) enum QuotaVerb {
    /// Set a user's quota; below what is used it only stops new uploads
    Set {
        #[arg(value_parser = arguments::user)]
        user: UserId,
        /// Bytes, or a number with a unit: 10GB is 10 times 1024 to the third
        #[arg(value_parser = arguments::size)]
        size: ByteSize,
    },
    /// Show a user's quota and what of it is used
    Get {
        #[arg(value_parser = arguments::user)]
        user: UserId,
    },
}

#[derive(Args)]
pub(crate) struct UsageOptions {
    /// One user only
    #[arg(value_parser = arguments::user)]
    user: Option<UserId>,
    /// Only users who use so much of their quota, or more
    #[arg(long, value_name = "PERCENT", conflicts_with_all = ["user", "by_type"])]
    near: Option<f64>,
    /// By type of file
    #[arg(long)]
    by_type: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserUsage {
    user_id: UserId,
    total_bytes: ByteSize,
    reserved_bytes: ByteSize,
    max_bytes: ByteSize,
    percentage: f64,
    file_count: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetailedUsage {
    #[serde(flatten)]
    usage: UserUsage,
    trash_bytes: ByteSize,
    by_type: BTreeMap<FileType, TypeUsage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AllUsage {
    total_users: i64,
    total_files: i64,
    total_used_bytes: ByteSize,
    total_quota_bytes: ByteSize,
    users: Vec<UserUsage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ByType {
    by_type: BTreeMap<FileType, TypeUsage>,
}

/// Sets or shows a user's quota.
pub(crate) async fn quota(output: &Output, db: &Db, default: ByteSize, verb: QuotaVerb) -> Result<Ended> {
    let user = match verb {
        QuotaVerb::Set { user, size } => {
            db::storage::set_quota(&mut *db.conn().await?, &user, size).await?;
            user
        }
        QuotaVerb::Get { user } => user,
    };
    output.answer(&of_user(db, user, default).await?, |detailed| users([&detailed.usage]))?;
    Ok(Ended::Done)
}

/// Shows usage: of everybody, of those near their quota, of one user, or by type.
pub(crate) async fn usage(
    output: &Output,
    db: &Db,
    default: ByteSize,
    options: UsageOptions,
) -> Result<Ended> {
    match options {
        UsageOptions { user: Some(user), by_type, .. } => {
            output.answer(&of_user(db, user, default).await?, |detailed| match by_type {
                true => types(&detailed.by_type),
                false => {
                    let trash = detailed.trash_bytes.formatted();
                    format!("{}\n\nIn the trash: {trash}.", users([&detailed.usage]))
                }
            })?;
        }
        UsageOptions { by_type: true, .. } => {
            let by_type = db::storage::totals_by_type(&mut *db.conn().await?).await?;
            output.answer(&ByType { by_type: by_type.into() }, |all| types(&all.by_type))?;
        }
        UsageOptions { near, .. } => {
            output.answer(&of_everybody(db, near.unwrap_or(0.0)).await?, |all| {
                let (used, quota) = (all.total_used_bytes.formatted(), all.total_quota_bytes.formatted());
                let totals = format!("Users: {}. Files: {}", all.total_users, all.total_files);
                format!("{}\n\n{totals}. Used, the trash included: {used} of {quota}.", users(&all.users))
            })?;
        }
    }
    Ok(Ended::Done)
}

async fn of_user(db: &Db, user: UserId, default: ByteSize) -> Result<DetailedUsage> {
    let known = db::storage::get(&mut *db.conn().await?, &user).await?;
    let usage = known.unwrap_or_else(|| Usage::unused(user, default));
    Ok(DetailedUsage {
        trash_bytes: usage.trash_bytes,
        by_type: usage.by_type.into(),
        usage: UserUsage {
            percentage: percentage(usage.total_bytes, usage.max_bytes),
            user_id: usage.user_id,
            total_bytes: usage.total_bytes,
            reserved_bytes: usage.reserved_bytes,
            max_bytes: usage.max_bytes,
            file_count: usage.file_count,
        },
    })
}

/// Users who use at least `near` percent of their quota, those who use most first.
async fn of_everybody(db: &Db, near: f64) -> Result<AllUsage> {
    let totals = db::storage::totals(&mut *db.conn().await?).await?;
    let mut users = Vec::new();
    let mut after: Option<UserId> = None;
    loop {
        let page = db::storage::list(&mut *db.conn().await?, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.user_id.clone());
        users.extend(page.into_iter().map(|line| UserUsage {
            percentage: percentage(line.total_bytes, line.max_bytes),
            user_id: line.user_id,
            total_bytes: line.total_bytes,
            reserved_bytes: line.reserved_bytes,
            max_bytes: line.max_bytes,
            file_count: line.file_count,
        }));
        users.retain(|user| user.percentage >= near);
    }
    users.sort_by(|a, b| b.total_bytes.cmp(&a.total_bytes).then_with(|| a.user_id.cmp(&b.user_id)));
    Ok(AllUsage {
        total_users: totals.users,
        total_files: totals.files,
        total_used_bytes: totals.used,
        total_quota_bytes: totals.quota,
        users,
    })
}

/// With two decimals; a quota of nothing is always used up.
fn percentage(used: ByteSize, max: ByteSize) -> f64 {
    if max == ByteSize::ZERO {
        return 100.0;
    }
    (used.bytes() as f64 / max.bytes() as f64 * 10_000.0).round() / 100.0
}

fn users<'a>(users: impl IntoIterator<Item = &'a UserUsage>) -> String {
    let rows = users.into_iter().map(|user| {
        [
            user.user_id.to_string(),
            user.total_bytes.formatted(),
            user.reserved_bytes.formatted(),
            user.max_bytes.formatted(),
            format!("{:.2} %", user.percentage),
            user.file_count.to_string(),
        ]
    });
    table(["USER", "USED", "RESERVED", "QUOTA", "USED OF IT", "FILES"], rows)
}

fn types(by_type: &BTreeMap<FileType, TypeUsage>) -> String {
    let rows = by_type.iter();
    let rows = rows.map(|(name, usage)| [name.to_string(), usage.bytes.formatted(), usage.count.to_string()]);
    table(["TYPE", "USED", "FILES"], rows)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Largest {
    files: Vec<LargeFile>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LargeFile {
    id: FileId,
    user_id: UserId,
    original_name: String,
    file_type: FileType,
    file_size: ByteSize,
    is_trashed: bool,
}

/// Shows the largest files of all users.
pub(crate) async fn largest(output: &Output, db: &Db, limit: u32) -> Result<Ended> {
    let found = db::audit::largest(&mut *db.unhurried().await?, i64::from(limit)).await;
    let files = found.context("failed to find the largest files")?.into_iter().map(|file| LargeFile {
        id: file.id,
        user_id: file.user_id,
        original_name: file.original_name.as_str().to_owned(),
        file_type: file.file_type,
        file_size: file.size,
        is_trashed: file.deleted_at.is_some(),
    });
    output.answer(&Largest { files: files.collect() }, |largest| {
        let rows = largest.files.iter().map(|file| {
            [
                file.file_size.formatted(),
                file.user_id.to_string(),
                file.id.to_string(),
                if file.is_trashed { "trash".to_owned() } else { file.file_type.to_string() },
                file.original_name.clone(),
            ]
        });
        table(["SIZE", "USER", "FILE", "TYPE", "NAME"], rows)
    })?;
    Ok(Ended::Done)
}
