//! The tables of the legacy service, read for `jam-admin adopt`: `user_storage` and `user_files` of
//! another database or schema, with the columns of its API in snake_case.
//! Never writes there. Its schema is not ours, so nothing here is checked at compile time: a row comes as one JSON
//! document, and a column that an installation lacks is a field that is not there.
#![expect(clippy::disallowed_methods, reason = "a foreign schema cannot be checked at compile time")]

use crate::config::Secret;
use crate::error::Result;
use crate::model::AssetDetails;
use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::str::FromStr as _;
use uuid::Uuid;

/// The legacy service's database.
#[derive(Debug, Clone)]
pub struct Legacy {
    pool: PgPool,
}

/// A user's row.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LegacyUser {
    /// The user.
    pub user_id: String,
    /// Their quota in bytes.
    pub max_bytes: Option<i64>,
}

/// A file's row. Fields without which a file cannot be adopted are not optional.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's own")]
pub struct LegacyFile {
    pub id: Uuid,
    pub user_id: String,
    pub original_name: String,
    pub file_type: String,
    pub file_path: String,
    #[serde(default)]
    pub file_size: i64,
    #[serde(default, deserialize_with = "text")]
    pub resolution: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub duration: Option<String>,
    pub package_name: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub is_favorite: bool,
    pub asset_category: Option<String>,
    #[serde(default)]
    pub usage_tags: Vec<String>,
    #[serde(default)]
    pub character_names: Vec<String>,
    pub audio_category: Option<String>,
    /// Without a zone they are UTC.
    pub upload_date: Option<String>,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
    pub deleted_at: Option<String>,
    #[serde(skip)]
    pub details: AssetDetails,
}

/// A row that was read, or its id and why it cannot be read.
pub type Row<T> = std::result::Result<T, (String, String)>;

impl Legacy {
    /// A connection to read from.
    ///
    /// # Errors
    /// When the connection string does not parse or the database does not answer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn connect(url: &Secret) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(url.expose())
            .map_err(|_| anyhow::anyhow!("JAM_ADOPT_DATABASE_URL is not a PostgreSQL connection string"))?
            .application_name("jam-storage adopt")
            .options([("default_transaction_read_only", "on"), ("TimeZone", "UTC")]);
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await;
        Ok(Self { pool: pool.context("the database in JAM_ADOPT_DATABASE_URL does not answer")? })
    }

    /// How many files there are, and their bytes as their rows have it.
    ///
    /// # Errors
    /// When there are no such tables.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn totals(&self) -> Result<(i64, i64)> {
        let sql = "SELECT count(*), coalesce(sum(file_size), 0)::bigint FROM user_files";
        Ok(sqlx::query_as(sql).fetch_one(&self.pool).await?)
    }

    /// Users in the order of their ids, after `after`, at most `limit`.
    ///
    /// # Errors
    /// When there is no such table.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn users(&self, after: &str, limit: i64) -> Result<Vec<Row<LegacyUser>>> {
        let sql = "SELECT to_jsonb(u) FROM user_storage u WHERE u.user_id > $1 ORDER BY u.user_id LIMIT $2";
        let rows: Vec<Value> = sqlx::query_scalar(sql).bind(after).bind(limit).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| read(row, "userId")).collect())
    }

    /// Files in the order of their ids, after `after`, at most `limit`.
    ///
    /// # Errors
    /// When there is no such table.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn files(&self, after: Uuid, limit: i64) -> Result<Vec<Row<LegacyFile>>> {
        let sql = "SELECT to_jsonb(f) FROM user_files f WHERE f.id > $1 ORDER BY f.id LIMIT $2";
        let rows: Vec<Value> = sqlx::query_scalar(sql).bind(after).bind(limit).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(read_file).collect())
    }
}

fn read_file(row: Value) -> Row<LegacyFile> {
    let fields = fields(row);
    let details = details(&fields);
    read_fields(fields, "id").map(|file: LegacyFile| LegacyFile { details, ..file })
}

/// A file's details. Columns have other types there than here (a tempo is INTEGER): what is a number in a text or
/// a text of a number is read as such, and the rest is left out. No file is rejected for its description.
fn details(fields: &Map<String, Value>) -> AssetDetails {
    let one = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
    let fits = |one: &Map<String, Value>| serde_json::from_value::<AssetDetails>(one.clone().into()).is_ok();
    let mut fitting = Map::new();
    for (name, value) in fields {
        let other = match value {
            Value::Number(number) => Some(Value::String(number.to_string())),
            Value::String(text) => serde_json::from_str(text.trim()).ok().filter(Value::is_number),
            _ => None,
        };
        let readings = [Some(value.clone()), other].into_iter().flatten();
        fitting.extend(readings.map(|value| one(name, value)).find(fits).unwrap_or_default());
    }
    serde_json::from_value(fitting.into()).unwrap_or_default()
}

/// A text, or a number as one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn read<T: DeserializeOwned>(row: Value, key: &str) -> Row<T> {
    read_fields(fields(row), key)
}

/// A row whose columns are in snake_case; NULL is a field that is not there.
fn fields(row: Value) -> Map<String, Value> {
    let columns = match row {
        Value::Object(columns) => columns,
        _ => Map::new(),
    };
    let present = columns.into_iter().filter(|(_, value)| !value.is_null());
    present.map(|(name, value)| (camel_case(&name), value)).collect()
}

fn read_fields<T: DeserializeOwned>(fields: Map<String, Value>, key: &str) -> Row<T> {
    let name = fields.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    serde_json::from_value(Value::Object(fields)).map_err(|error| (name, error.to_string()))
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let mut letters = word.chars();
        let upper = letters.next().map(|letter| letter.to_ascii_uppercase());
        text + &upper.into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use super::read_file;
    use serde_json::json;

    #[test]
    fn a_row_is_read_whatever_columns_its_installation_has() {
        let row = json!({
            "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "user_id": "user_1", "original_name": "a.mp4",
            "file_type": "video", "file_path": "user_1/video/a.mp4", "tags": null, "audio_vocals": null,
            "object_description": "a lamp", "some_column": 1,
        });
        let file = read_file(row).unwrap();
        assert_eq!(file.details.object_description.as_deref(), Some("a lamp"));
        assert!(file.tags.is_empty() && !file.details.audio_vocals && file.upload_date.is_none());
    }

    #[test]
    fn a_column_of_another_type_keeps_no_file_back() {
        let row = json!({
            "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "user_id": "user_1", "original_name": "a.mp3",
            "file_type": "audio", "file_path": "user_1/audio/a.mp3", "audio_tempo": 120, "duration": 93,
            "audio_duration_seconds": "93", "audio_key": 7, "has_alpha_channel": 1, "voiceover_type": "robot",
            "ai_metadata": "none",
        });
        let file = read_file(row).unwrap();
        let kept = serde_json::to_value(&file.details).unwrap();
        assert_eq!((&kept["audioTempo"], &kept["audioKey"]), (&json!("120"), &json!("7")));
        assert_eq!(file.details.audio_duration_seconds, Some(93.0));
        assert!(!file.details.has_alpha_channel && file.details.voiceover_type.is_none());
        assert_eq!(file.duration.as_deref(), Some("93"));
    }

    #[test]
    fn a_row_that_makes_no_sense_says_which_it_is() {
        let fault = read_file(json!({ "id": "x" })).unwrap_err();
        assert_eq!(fault.0, "x");
    }
}
