//! Postgres: one module a table, all SQL of this service, checked at compile time against the migrations.
//! Zero rows is a value. Never opens a file, never decides what a change means.
//!
//! Functions take `&mut PgConnection` first, so that they run alone or within a transaction.

pub mod adopted;
pub mod audit;
pub mod contents;
pub mod derivatives;
pub mod evictions;
mod failure;
pub mod files;
mod group_commit;
pub mod jobs;
mod ledger;
pub mod legacy;
pub mod listing;
pub mod purges;
mod row_enum;
pub mod sessions;
pub mod storage;
pub mod uploads;
pub mod webhooks;

pub use ledger::{Ledger, retrying, within};

use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::ids::UserId;
use files::Arrival;
use group_commit::Groups;
use quick_cache::sync::Cache;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgConnection, PgPool, Postgres, Transaction};
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uploads::NewUpload;

/// The schema, applied in order by `jam-admin migrate`.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Held by whoever applies migrations.
const MIGRATION_LOCK: i64 = 0x6A61_6D00;
/// Before the lock is asked for again.
const MIGRATION_PAUSE: Duration = Duration::from_millis(500);
/// How long a request waits for a connection before it answers 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Unused connections are given back, so that many small processes share one Postgres.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an answer is believed whether a user was deleted.
const SEEN_FOR: Duration = Duration::from_secs(5);
/// Users of whom that is remembered.
const REMEMBERED_USERS: usize = 8192;
/// How a look at many rows begins: it changes nothing and ends after 2 s.
const BEGIN_SCAN: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '2s'";

/// How a look begins that an index answers. Its plan is made once a connection instead of each time, which costs twice as
/// much as following it. It is then made for the average user, and must not sort or gather all that a user has.
const BEGIN_INDEXED: &str = "BEGIN READ ONLY; SET LOCAL plan_cache_mode = force_generic_plan; \
    SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off";

/// The connection pool, cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
    /// Places for looks at many rows: fewer than connections, so that health and single rows always find one.
    scans: Arc<Semaphore>,
    /// Users of whom is known whether they were deleted, and when that was asked.
    seen: Arc<Cache<UserId, (bool, Instant)>>,
    reserving: Arc<Groups<NewUpload>>,
    adding: Arc<Groups<Arrival>>,
}

/// A look at many rows: a transaction that only reads, whose statements end after 2 s.
#[derive(Debug)]
pub struct Scan {
    tx: Transaction<'static, Postgres>,
    _place: OwnedSemaphorePermit,
}

impl Deref for Scan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Scan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

/// Measures how long a caller waits for a connection.
async fn waited<T>(connecting: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let connected = connecting.await;
    metrics::histogram!("jam_database_wait_seconds").record(started.elapsed().as_secs_f64());
    connected
}

impl Db {
    /// A pool that connects when it is first used: a request that needs no row never touches Postgres.
    ///
    /// # Errors
    /// When the connection string does not parse.
    pub fn connect_lazy(config: &Config) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(config.database_url.expose())
            .map_err(|_| ConfigError {
                name: "DATABASE_URL".to_owned(),
                fault: "is not a PostgreSQL connection string".to_owned(),
                default: "",
            })?
            .application_name("jam-storage")
            // A statement that outlives its caller's patience only adds to an overload.
            .options([("statement_timeout", "30s"), ("lock_timeout", "10s")])
            // A process that is gone without a word must not hold its locks for hours.
            .options([
                ("tcp_keepalives_idle", "60"),
                ("tcp_keepalives_interval", "10"),
                ("tcp_keepalives_count", "3"),
            ])
            .log_statements(tracing::log::LevelFilter::Trace);
        let pool = PgPoolOptions::new()
            .max_connections(config.database_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            // A ping before each query would double the round trips; a dead connection fails its one query with 503.
            .test_before_acquire(false)
            .before_acquire(|_, connection| Box::pin(async move { Ok(failure::is_current(connection.age)) }))
            .connect_lazy_with(options);
        Ok(Self::from_pool(pool))
    }

    /// Wraps a pool that a test made for its own database.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        let scans = (pool.options().get_max_connections() / 2).max(1);
        let seen = Arc::new(Cache::new(REMEMBERED_USERS));
        Self {
            pool,
            scans: Arc::new(Semaphore::new(scans as usize)),
            seen,
            reserving: Arc::default(),
            adding: Arc::default(),
        }
    }

    /// A connection; one statement a transaction.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when none is free in time.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn conn(&self) -> Result<PoolConnection<Postgres>> {
        Ok(waited(self.pool.acquire()).await?)
    }

    /// Begins a transaction, also when its caller is gone meanwhile. sqlx (0.9) does not end one whose beginning nobody waits
    /// for, or whose first statement fails: its connection would go back to the pool within it, and what the next one writes
    /// there would be lost.
    #[expect(clippy::disallowed_methods, reason = "a client that hangs up must not stop it half way")]
    async fn begin_to_the_end(&self, statement: &'static str) -> Result<Transaction<'static, Postgres>> {
        let pool = self.pool.clone();
        let beginning = tokio::spawn(async move { pool.begin_with(statement).await });
        let begun = beginning
            .await
            .map_err(|panicked| Error::Internal(anyhow::Error::new(panicked).context("BEGIN")))?;
        if matches!(begun, Err(sqlx::Error::Database(_) | sqlx::Error::BeginFailed)) {
            failure::retire_connections();
        }
        Ok(begun?)
    }

    /// A transaction; rolled back unless committed.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when no connection is free in time.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        waited(self.begin_to_the_end("BEGIN")).await
    }

    /// A look that an index answers in its order: a transaction that only reads.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when no connection is free in time.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn indexed(&self) -> Result<Transaction<'static, Postgres>> {
        waited(self.begin_to_the_end(BEGIN_INDEXED)).await
    }

    /// A look at many rows. At most half of the connections are used for those at once.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when there is no place for it in time.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn scan(&self) -> Result<Scan> {
        let place = tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.scans).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(Error::Unavailable { part: "database" }) };
        Ok(Scan { tx: self.begin_to_the_end(BEGIN_SCAN).await?, _place: place })
    }

    /// Lets users pass who were not deleted, as Postgres said within the last 5 s: their tokens live on for a minute.
    ///
    /// # Errors
    /// [`crate::Error::Unauthenticated`] for a deleted user; when Postgres does not answer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn require_present(&self, user: &UserId) -> Result<()> {
        let known = self.seen.get(user).filter(|(_, asked)| asked.elapsed() < SEEN_FOR);
        let is_deleted = match known {
            Some((is_deleted, _)) => is_deleted,
            None => {
                let is_deleted = storage::is_deleted(&mut *self.conn().await?, user).await?;
                self.seen.insert(user.clone(), (is_deleted, Instant::now()));
                is_deleted
            }
        };
        if is_deleted { Err(Error::Unauthenticated) } else { Ok(()) }
    }

    /// A connection for an operator's look at everything: its statements may take as long as they need.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when none is free in time.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn unhurried(&self) -> Result<PoolConnection<Postgres>> {
        let mut conn = self.conn().await?;
        // The setting stays with the connection, so nobody else may get it, not even when the caller is gone by then.
        conn.close_on_drop();
        sqlx::query_scalar!("SELECT set_config('statement_timeout', '0', false)")
            .fetch_one(&mut *conn)
            .await?;
        Ok(conn)
    }

    /// Brings the schema up to date, and older rows with it, and answers its version. Safe to repeat and to run from several processes.
    ///
    /// # Errors
    /// When Postgres does not answer or the schema is from a newer release.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn migrate(&self) -> anyhow::Result<i64> {
        let mut conn = self.unhurried().await?;
        // sqlx's own lock is a statement that waits, and CREATE INDEX CONCURRENTLY waits for every statement: two at once
        // would be a deadlock. This lock ends with the connection.
        while !sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "is_held!""#, MIGRATION_LOCK)
            .fetch_one(&mut *conn)
            .await?
        {
            tokio::time::sleep(MIGRATION_PAUSE).await;
        }
        let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
        migrator.set_locking(false).run(&mut *conn).await?;
        drop(conn);
        contents::fill(self).await?;
        Ok(MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0))
    }

    /// Returns once [`Db::close`] was called.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn closing(&self) {
        self.pool.close_event().await;
    }

    /// Waits for connections to come home and closes them.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
