//! A second file of a content.

use super::super::Ledger;
use crate::error::Result;
use crate::ids::{ContentId, FileId};
use crate::model::FileName;

/// A file that is made of another one's row.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The other one.
    pub of: FileId,
    /// Its id.
    pub id: FileId,
    /// Its name on the volume.
    pub file_name: String,
    /// Where its bytes are.
    pub file_path: String,
    /// Its name as the user knows it, if it is not the other one's.
    pub original_name: Option<FileName>,
}

/// What decides which derivatives a copy gets.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The content that both show.
    pub content: ContentId,
    /// Its media type.
    pub mime_type: String,
    /// Whether browsers need another form of it; `None` when nobody looked yet.
    pub needs_playback: Option<bool>,
}

/// Adds a file with everything that another one's row says, except what belongs to one file alone. Columns that only a
/// newer release knows come along, so none but the exceptions is named. `None` when there is no such file outside the
/// trash.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn copy(ledger: &mut Ledger, copy: &Copy) -> Result<Option<Copied>> {
    let copied = sqlx::query_as!(
        Copied,
        r#"INSERT INTO user_files
         SELECT made.*
           FROM user_files f
              , jsonb_populate_record(f, jsonb_build_object(
                    'id', $3::uuid, 'file_name', $4::text, 'file_path', $5::text
                  , 'original_name', coalesce($6::text, f.original_name)
                  , 'is_favorite', false, 'url_epoch', 0
                  , 'upload_date', now(), 'created_at', now(), 'updated_at', now())) made
          WHERE f.user_id = $1 AND f.id = $2 AND f.deleted_at IS NULL
         RETURNING content_id AS "content!: ContentId", mime_type, needs_playback"#,
        ledger.user().as_str(),
        copy.of as FileId,
        copy.id as FileId,
        copy.file_name,
        copy.file_path,
        copy.original_name.as_ref().map(FileName::as_str),
    )
    .fetch_optional(&mut **ledger)
    .await?;
    Ok(copied)
}
