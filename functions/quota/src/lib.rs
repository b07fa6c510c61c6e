//! The quota function: what a user stores and may store, and an administrator's view of all users.
//! Never touches a file.

mod users;

use axum::Json;
use axum::extract::State;
use jam_core::app::App;
use jam_core::auth::Caller;
use jam_core::db;
use jam_core::edge::{Admin, JsonBody, MaxAppend};
use jam_core::ids::UserId;
use jam_core::model::{ByteSize, TypeUsage, Usage, Whole};
use jam_core::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Largest quota: what JSON readers hold exactly. A larger one would not be shown as it is.
pub const MAX_QUOTA_BYTES: u64 = 1 << 53;

/// This function's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(usage))
        .routes(routes!(initialize))
        .routes(routes!(set_quota))
        .routes(routes!(stats))
        .routes(routes!(users::list_users))
}

/// An answer about one user's storage.
#[derive(Debug, Serialize, ToSchema)]
struct StorageAnswer {
    success: bool,
    storage: StorageInfo,
}

/// What a user stores and may store.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StorageInfo {
    user_id: UserId,
    /// Stored bytes, trash included.
    total_bytes: ByteSize,
    /// The quota.
    max_bytes: ByteSize,
    /// Files outside the trash.
    file_count: i64,
    /// Of the quota, two decimals.
    percentage: f64,
    total_formatted: String,
    max_formatted: String,
    /// What can still be uploaded: quota less stored and promised bytes.
    available_bytes: ByteSize,
    available_formatted: String,
    /// Bytes promised to uploads under way.
    reserved_bytes: ByteSize,
    /// The part of the stored bytes that is in the trash.
    trash_bytes: ByteSize,
    by_type: ByType,
    limits: UploadLimits,
}

/// Files outside the trash by type.
#[derive(Debug, Serialize, ToSchema)]
struct ByType {
    video: TypeUsage,
    image: TypeUsage,
    scene: TypeUsage,
    project: TypeUsage,
    audio: TypeUsage,
}

/// What one upload may be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UploadLimits {
    max_file_bytes: ByteSize,
    /// Largest piece of a resumable upload; null: no bound.
    #[schema(required)]
    max_append_bytes: Option<ByteSize>,
    max_files_per_upload: usize,
    /// Files that the user may have, trash included.
    max_files_per_user: i64,
}

/// The caller's storage. A user who never stored anything has zeros and the default quota.
#[utoipa::path(get, path = "/api/storage/usage", tag = "quota", responses((status = 200, body = StorageAnswer)))]
async fn usage(
    State(app): State<App>,
    caller: Caller,
    MaxAppend(max_append): MaxAppend,
) -> Result<Json<StorageAnswer>> {
    answer(&app, caller.user, max_append).await
}

/// What to set up. Only administrators may choose the quota.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Initialize {
    #[schema(value_type = Option<u64>)]
    max_bytes: Option<Whole>,
}

/// Sets up the caller's storage; nothing happens if it is.
#[utoipa::path(post, path = "/api/storage/initialize", tag = "quota", request_body = Initialize, responses(
    (status = 200, body = StorageAnswer), (status = 403, description = "A quota from someone who is no administrator")))]
async fn initialize(
    State(app): State<App>,
    caller: Caller,
    MaxAppend(max_append): MaxAppend,
    JsonBody(wanted): JsonBody<Initialize>,
) -> Result<Json<StorageAnswer>> {
    let mut conn = app.db.conn().await?;
    match wanted.max_bytes {
        Some(max_bytes) => {
            caller.require_admin()?;
            db::storage::set_quota(&mut conn, &caller.user, quota(max_bytes)?).await?;
        }
        None => db::storage::ensure(&mut conn, &caller.user, app.config.limits.default_quota).await?,
    }
    drop(conn);
    answer(&app, caller.user, max_append).await
}

/// A user's new quota.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetQuota {
    user_id: UserId,
    #[schema(value_type = u64)]
    max_bytes: Whole,
}

/// Sets a user's quota. Below what they store it only blocks new uploads.
#[utoipa::path(put, path = "/api/storage/quota", tag = "quota", request_body = SetQuota, responses(
    (status = 200, body = StorageAnswer), (status = 403, description = "Not an administrator")))]
async fn set_quota(
    State(app): State<App>,
    Admin(admin): Admin,
    MaxAppend(max_append): MaxAppend,
    JsonBody(wanted): JsonBody<SetQuota>,
) -> Result<Json<StorageAnswer>> {
    let max = quota(wanted.max_bytes)?;
    db::storage::set_quota(&mut *app.db.conn().await?, &wanted.user_id, max).await?;
    tracing::info!(admin = %admin.user, user.id = %wanted.user_id, max_bytes = max.bytes(), "quota set");
    answer(&app, wanted.user_id, max_append).await
}

/// Sums over all users.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Stats {
    total_users: i64,
    total_used: ByteSize,
    total_quota: ByteSize,
    avg_used: ByteSize,
    total_files: i64,
    total_used_formatted: String,
    total_quota_formatted: String,
    avg_used_formatted: String,
}

/// An answer about all users.
#[derive(Debug, Serialize, ToSchema)]
struct StatsAnswer {
    success: bool,
    stats: Stats,
}

/// Sums over all users, for administrators.
#[utoipa::path(get, path = "/api/storage/stats", tag = "quota", responses(
    (status = 200, body = StatsAnswer), (status = 403, description = "Not an administrator")))]
async fn stats(State(app): State<App>, _admin: Admin) -> Result<Json<StatsAnswer>> {
    let totals = db::storage::totals(&mut *app.db.conn().await?).await?;
    let average = totals.used.bytes().checked_div(totals.users.unsigned_abs()).unwrap_or(0);
    let average = ByteSize::new(average);
    let stats = Stats {
        total_users: totals.users,
        total_used: totals.used,
        total_quota: totals.quota,
        avg_used: average,
        total_files: totals.files,
        total_used_formatted: totals.used.formatted(),
        total_quota_formatted: totals.quota.formatted(),
        avg_used_formatted: average.formatted(),
    };
    Ok(Json(StatsAnswer { success: true, stats }))
}

fn quota(Whole(max_bytes): Whole) -> Result<ByteSize> {
    if max_bytes > MAX_QUOTA_BYTES {
        let reason = format!("{max_bytes} was sent, expected at most {MAX_QUOTA_BYTES}");
        return Err(Error::invalid_parameter("maxBytes", reason));
    }
    Ok(ByteSize::new(max_bytes))
}

async fn answer(app: &App, user: UserId, max_append: Option<ByteSize>) -> Result<Json<StorageAnswer>> {
    let found = db::storage::get(&mut *app.db.conn().await?, &user).await?;
    let usage = found.unwrap_or_else(|| Usage::unused(user, app.config.limits.default_quota));
    Ok(Json(StorageAnswer { success: true, storage: info(app, usage, max_append) }))
}

fn info(app: &App, usage: Usage, max_append: Option<ByteSize>) -> StorageInfo {
    let limits = &app.config.limits;
    let available = usage.max_bytes.saturating_sub(usage.total_bytes.saturating_add(usage.reserved_bytes));
    let [(_, video), (_, image), (_, scene), (_, project), (_, audio)] = usage.by_type;
    StorageInfo {
        user_id: usage.user_id,
        percentage: percentage(usage.total_bytes, usage.max_bytes),
        total_formatted: usage.total_bytes.formatted(),
        max_formatted: usage.max_bytes.formatted(),
        available_bytes: available,
        available_formatted: available.formatted(),
        total_bytes: usage.total_bytes,
        max_bytes: usage.max_bytes,
        file_count: usage.file_count,
        reserved_bytes: usage.reserved_bytes,
        trash_bytes: usage.trash_bytes,
        by_type: ByType { video, image, scene, project, audio },
        limits: UploadLimits {
            max_file_bytes: limits.max_file,
            max_append_bytes: max_append,
            max_files_per_upload: limits.max_files_per_upload,
            max_files_per_user: limits.max_files_per_user,
        },
    }
}

/// Two decimals; a quota of nothing is full as soon as anything is stored.
fn percentage(used: ByteSize, max: ByteSize) -> f64 {
    match (used.bytes(), max.bytes()) {
        (0, _) => 0.0,
        (_, 0) => 100.0,
        (used, max) => (used as f64 / max as f64 * 10_000.0).round() / 100.0,
    }
}
