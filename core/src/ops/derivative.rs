//! What is made from a file: asked for, tried again, given up.
//! Invariant: what no reader waits for has a job from the statement on that asked for it.
//! Never makes anything itself (see `ops::thumbnail` and `ops::playback`).

mod rebuild;

pub use rebuild::{Scope, Tally, rebuild};

use crate::app::App;
use crate::db;
use crate::db::derivatives::Name;
use crate::db::files::NewFile;
use crate::db::jobs::Task;
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::media::PictureFormat;
use crate::model::{DerivativeKind, DerivativeState, File};
use crate::ops::{playback, thumbnail};
use sqlx::PgConnection;

/// The name of a derivative as everybody sees it; pictures in other formats are made for old clients only.
#[must_use]
pub fn name(user: &UserId, file: FileId, kind: DerivativeKind) -> Name<'_> {
    match kind.picture() {
        Some(kind) => thumbnail::Wanted { user, file, kind, format: PictureFormat::WebP }.name(),
        None => playback::name(user, file),
    }
}

/// Asks for what a new file should have: the picture that lists show, and a film that browsers can play. Made once the
/// caller's transaction is committed.
///
/// # Errors
/// When Postgres does not answer.
pub async fn queue(conn: &mut PgConnection, file: &NewFile) -> Result<()> {
    if thumbnail::can_have(&file.mime_type) {
        request(conn, &file.user_id, file.id, DerivativeKind::Default).await?;
    }
    if file.needs_playback == Some(true) {
        request(conn, &file.user_id, file.id, DerivativeKind::Playback).await?;
    }
    Ok(())
}

/// Names a derivative's path and gives the worker its job.
async fn request(conn: &mut PgConnection, user: &UserId, file: FileId, kind: DerivativeKind) -> Result<()> {
    let name = name(user, file, kind);
    let key = match kind.picture() {
        Some(_) => thumbnail::key(&name)?,
        None => playback::new_key(user, file)?,
    };
    db::derivatives::request(conn, &name, &key).await?;
    db::jobs::enqueue(conn, user, &Task::Derive { file, kind }).await
}

/// Lets the worker try again what failed or was cancelled; what it has not done yet stays as it is.
///
/// # Errors
/// [`Error::NotFound`] when there is no such file outside the trash, or it has no such derivative;
/// [`Error::Conflict`] when the derivative is ready.
pub async fn retry(app: &App, user: &UserId, id: FileId, kind: DerivativeKind) -> Result<File> {
    let mut tx = app.db.begin().await?;
    let file = locked(&mut tx, user, id).await?;
    let mime_type = name(user, id, kind).mime_type;
    let found = file.derivatives.iter().find(|made| made.kind == kind && made.mime_type == mime_type);
    match found.map(|made| made.state) {
        Some(DerivativeState::Ready) => {
            return Err(Error::Conflict { reason: "It is ready: there is nothing to try again".to_owned() });
        }
        Some(DerivativeState::Pending) => {}
        Some(DerivativeState::Failed) => {
            db::derivatives::forgive(&mut tx, user, id, kind).await?;
            // One that was given up may lie there for an operator.
            db::jobs::cancel_derive(&mut tx, user, id, kind).await?;
            db::jobs::enqueue(&mut tx, user, &Task::Derive { file: id, kind }).await?;
        }
        None if can_have(&file.mime_type, file.needs_playback, kind) => {
            request(&mut tx, user, id, kind).await?
        }
        None => return Err(Error::NotFound),
    }
    let file = db::files::get(&mut tx, user, id).await?.ok_or(Error::NotFound)?;
    tx.commit().await?;
    Ok(file)
}

fn can_have(mime_type: &str, needs_playback: Option<bool>, kind: DerivativeKind) -> bool {
    match kind {
        DerivativeKind::Playback => mime_type.starts_with("video/") && needs_playback != Some(false),
        _ => thumbnail::can_have(mime_type),
    }
}

/// Gives up a film for browsers, whether it waits, is being made, is there or failed: in one transaction its job and its
/// row go, and another job removes its bytes. Whoever makes it finds its job gone and stops.
///
/// # Errors
/// [`Error::NotFound`] when there is no such file outside the trash, or it has no such derivative;
/// [`Error::Conflict`] for pictures.
pub async fn cancel(app: &App, user: &UserId, id: FileId, kind: DerivativeKind) -> Result<File> {
    if kind.picture().is_some() {
        let reason = "A thumbnail is made whenever somebody asks for it, so there is nothing to cancel";
        return Err(Error::Conflict { reason: reason.to_owned() });
    }
    let mut tx = app.db.begin().await?;
    locked(&mut tx, user, id).await?;
    if !give_up(&mut tx, user, id, kind).await? {
        return Err(Error::NotFound);
    }
    let file = db::files::get(&mut tx, user, id).await?.ok_or(Error::NotFound)?;
    tx.commit().await?;
    Ok(file)
}

/// Removes a derivative's job and row, and has its bytes removed. `false` when there is no such row.
async fn give_up(conn: &mut PgConnection, user: &UserId, id: FileId, kind: DerivativeKind) -> Result<bool> {
    // The job first, in the order in which its worker takes both.
    db::jobs::cancel_derive(conn, user, id, kind).await?;
    let Some(path) = db::derivatives::remove(conn, &name(user, id, kind)).await? else { return Ok(false) };
    db::jobs::enqueue(conn, user, &Task::RemoveBlobs { paths: vec![path] }).await?;
    Ok(true)
}

async fn locked(conn: &mut PgConnection, user: &UserId, id: FileId) -> Result<File> {
    if !db::files::lock(conn, user, id).await? {
        return Err(Error::NotFound);
    }
    db::files::get(conn, user, id).await?.ok_or(Error::NotFound)
}

/// Has a derivative made again whose bytes are lost. `false` when it is not ready any more.
///
/// # Errors
/// When Postgres does not answer.
pub(in crate::ops) async fn renew(app: &App, user: &UserId, file: FileId, path: &str) -> Result<bool> {
    let mut tx = app.db.begin().await?;
    let Some(kind) = db::derivatives::renew(&mut tx, user, file, path).await? else { return Ok(false) };
    if kind.picture().is_none() {
        db::jobs::enqueue(&mut tx, user, &Task::Derive { file, kind }).await?;
    }
    tx.commit().await?;
    Ok(true)
}
