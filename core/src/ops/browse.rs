//! What a user sees of their files: one of them, or a page. What an index answers is asked at once; what looks at many rows waits for its user's turn
//! and has a bounded time.
//! Invariant: a turn ends with its statements, also when the client has hung up.

use crate::app::App;
use crate::db::listing::{Filter, Page, Request};
use crate::db::{self, within};
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::model::File;
use sqlx::PgConnection;

/// A file outside the trash.
///
/// # Errors
/// [`Error::NotFound`]; when Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn file(app: &App, user: &UserId, id: FileId) -> Result<File> {
    let found = within(async { db::files::get(&mut *app.db.conn().await?, user, id).await }).await?;
    found.filter(|file| file.deleted_at.is_none()).ok_or(Error::NotFound)
}

/// A page, and with `wants_total` how many files its filter finds.
///
/// # Errors
/// [`Error::TooManyRequests`] when the user has too many searches running, [`Error::TooSlow`] when this one takes too
/// long.
#[expect(
    clippy::disallowed_methods,
    reason = "a turn is held until Postgres is done, not until its client hangs up"
)]
#[tracing::instrument(level = "debug", skip_all)]
pub async fn page(
    app: &App,
    user: &UserId,
    request: Request,
    wants_total: bool,
) -> Result<(Page, Option<i64>)> {
    let counts_rows = wants_total && !request.filter.is_counted();
    if !request.is_scan() && !counts_rows {
        return read(&mut *app.db.indexed().await?, user, &request, wants_total).await;
    }
    let turn = app.rates.search(user).await?;
    let (db, user) = (app.db.clone(), user.clone());
    let searching = tokio::spawn(async move {
        let _turn = turn;
        read(&mut *db.scan().await?, &user, &request, wants_total).await
    });
    searching.await.map_err(|panicked| Error::Internal(anyhow::Error::new(panicked).context("searching")))?
}

async fn read(
    conn: &mut PgConnection,
    user: &UserId,
    request: &Request,
    wants_total: bool,
) -> Result<(Page, Option<i64>)> {
    let page = db::listing::page(conn, user, request).await?;
    let total = if wants_total { Some(total(conn, user, &request.filter).await?) } else { None };
    Ok((page, total))
}

/// The ledger answers for all files and for one type; anything narrower is counted.
async fn total(conn: &mut PgConnection, user: &UserId, filter: &Filter) -> Result<i64> {
    if !filter.is_counted() {
        return db::listing::count(conn, user, filter).await;
    }
    let usage = db::storage::get(conn, user).await?;
    Ok(usage.map_or(0, |usage| match filter.file_type {
        None => usage.file_count,
        Some(wanted) => usage.by_type.iter().find(|(t, _)| *t == wanted).map_or(0, |(_, of)| of.count),
    }))
}
