//! Paths on the volume, over every table that names one.
//! Invariant: one statement, one look: a file on its way from one table to the next is never taken for unnamed.
//! Never touches the volume.

use crate::error::Result;
use crate::ids::UserId;
use sqlx::PgConnection;

/// Of paths in a user's directory, those that no row names: no file, derivative, upload, nor job that removes it.
///
/// # Errors
/// When Postgres does not answer.
pub async fn unnamed(conn: &mut PgConnection, user: &UserId, paths: &[String]) -> Result<Vec<String>> {
    // Uploads of every user: an administrator's upload keeps its staging path when it gets its owner.
    Ok(sqlx::query_scalar!(
        r#"SELECT unnest($2::text[]) AS "path!"
           EXCEPT SELECT file_path FROM user_files WHERE user_id = $1
           EXCEPT SELECT path FROM derivatives WHERE user_id = $1
           EXCEPT SELECT unnest(ARRAY[staging_path, final_path]) FROM uploads
           EXCEPT SELECT jsonb_array_elements_text(task -> 'paths') FROM jobs
                   WHERE user_id = $1 AND task ->> 'task' = 'remove_blobs'"#,
        user.as_str(),
        paths,
    )
    .fetch_all(conn)
    .await?)
}
