//! `GET /api/admin/users`: the identity provider's users with what they store; without the provider's key, the users
//! that have storage.

use axum::Json;
use axum::extract::State;
use jam_core::Result;
use jam_core::app::App;
use jam_core::auth::clerk::ClerkUser;
use jam_core::db;
use jam_core::db::storage::UserLine;
use jam_core::edge::Admin;
use jam_core::model::ByteSize;
use serde::Serialize;
use std::collections::HashMap;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Rows read at once.
const PAGE: i64 = 1000;

/// Everybody an administrator can look at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    success: bool,
    users: Vec<UserView>,
    count: usize,
}

/// A user. Names are empty and times null where nothing is known: the live front end calls methods of strings on names.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserView {
    id: String,
    email: String,
    first_name: String,
    last_name: String,
    full_name: String,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    created_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_sign_in_at: Option<OffsetDateTime>,
    image_url: String,
    /// Null for a user who never stored anything.
    #[schema(required)]
    storage: Option<UserStorage>,
}

/// What a user stores.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserStorage {
    total_bytes: ByteSize,
    reserved_bytes: ByteSize,
    max_bytes: ByteSize,
    file_count: i64,
}

/// Everybody, for administrators.
#[utoipa::path(get, path = "/api/admin/users", tag = "quota", responses(
    (status = 200, body = UserList), (status = 403, description = "Not an administrator")))]
pub(crate) async fn list_users(State(app): State<App>, _admin: Admin) -> Result<Json<UserList>> {
    let mut lines = stored(&app).await?;
    let users: Vec<UserView> = match &app.clerk {
        Some(clerk) => clerk.users().await?.into_iter().map(|user| known(&mut lines, user)).collect(),
        None => {
            let mut lines: Vec<UserLine> = lines.into_values().collect();
            lines.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.user_id.cmp(&b.user_id)));
            lines.into_iter().map(unknown).collect()
        }
    };
    Ok(Json(UserList { success: true, count: users.len(), users }))
}

async fn stored(app: &App) -> Result<HashMap<String, UserLine>> {
    let mut conn = app.db.conn().await?;
    let mut lines = HashMap::new();
    let mut after = None;
    loop {
        let page = db::storage::list(&mut conn, after.as_ref(), PAGE).await?;
        after = page.last().map(|line| line.user_id.clone());
        let is_last = (page.len() as i64) < PAGE;
        lines.extend(page.into_iter().map(|line| (line.user_id.to_string(), line)));
        if is_last {
            return Ok(lines);
        }
    }
}

fn known(lines: &mut HashMap<String, UserLine>, user: ClerkUser) -> UserView {
    let names = [user.first_name.as_deref(), user.last_name.as_deref()];
    let full_name = names.into_iter().flatten().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ");
    UserView {
        email: user.email().unwrap_or_default().to_owned(),
        full_name,
        created_at: user.created_at.and_then(milliseconds),
        last_sign_in_at: user.last_sign_in_at.and_then(milliseconds),
        storage: lines.remove(&user.id).map(storage),
        id: user.id,
        first_name: user.first_name.unwrap_or_default(),
        last_name: user.last_name.unwrap_or_default(),
        image_url: user.image_url.unwrap_or_default(),
    }
}

fn unknown(line: UserLine) -> UserView {
    UserView {
        id: line.user_id.to_string(),
        email: String::new(),
        first_name: String::new(),
        last_name: String::new(),
        full_name: line.user_id.to_string(),
        created_at: Some(line.created_at),
        last_sign_in_at: None,
        image_url: String::new(),
        storage: Some(storage(line)),
    }
}

fn storage(line: UserLine) -> UserStorage {
    UserStorage {
        total_bytes: line.total_bytes,
        reserved_bytes: line.reserved_bytes,
        max_bytes: line.max_bytes,
        file_count: line.file_count,
    }
}

fn milliseconds(since_1970: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(since_1970) * 1_000_000).ok()
}
