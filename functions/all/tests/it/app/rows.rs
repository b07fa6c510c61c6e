//! Rows that no request makes: thousands of files at once, leases that lapse, jobs that cannot succeed.
#![expect(clippy::disallowed_methods, reason = "these statements exist for tests only")]

use jam_core::ids::UserId;
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};

/// Adds `count` files without bytes: sizes, names, dates and labels follow from their number.
pub(crate) async fn add_files(conn: &mut PgConnection, user: &UserId, count: i32) {
    sqlx::query("INSERT INTO user_storage (user_id) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(user.as_str())
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO user_files (user_id, id, file_name, original_name, file_type, mime_type, file_size, file_path, sha256
                               , width, height, duration_seconds, package_name, tags, usage_tags, character_names, is_favorite
                               , asset_category, audio_category, upload_date, created_at, deleted_at)
         SELECT $1, gen_random_uuid(), 'stored-' || n, 'name ' || (n * 7919 % 100003)
              , (ARRAY['video', 'image', 'scene', 'project', 'audio'])[1 + n % 5], 'application/octet-stream', n * 31 % 10007
              , $1 || '/projects/' || n, decode(repeat('00', 32), 'hex')
              , CASE WHEN n % 5 = 1 THEN 1 + n % 4000 END, CASE WHEN n % 5 = 1 THEN 100 END
              , CASE WHEN n % 3 = 0 THEN n * 17 % 1009 END
              , CASE WHEN n % 4 = 0 THEN 'package ' || n % 400 END
              , ARRAY['common', 'tag ' || n % 1000], ARRAY['use ' || n % 1000], ARRAY['character ' || n % 1000]
              , n % 50 = 0
              , CASE WHEN n % 10 = 0 THEN 'clip' END, CASE WHEN n % 10 = 5 THEN 'jingle' END
              , now() - n * interval '1 second', now() - n * interval '2 seconds'
              , CASE WHEN n % 100 = 99 THEN now() END
           FROM generate_series(1, $2) n",
    )
    .bind(user.as_str())
    .bind(count)
    .execute(&mut *conn)
    .await
    .unwrap();
}

/// Whether statements of this connection run within a transaction that was begun before them: its time stands still.
pub(crate) async fn is_in_transaction(conn: &mut PgConnection) -> bool {
    let mut times: [Option<time::OffsetDateTime>; 2] = [None; 2];
    for time in &mut times {
        *time = sqlx::query_scalar("SELECT now()").fetch_one(&mut *conn).await.unwrap();
    }
    times[0] == times[1]
}

/// In which columns two of a user's files differ, by name.
pub(crate) async fn columns_that_differ(
    conn: &mut PgConnection,
    user: &UserId,
    [one, other]: &[String; 2],
) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT key
           FROM user_files f, user_files g, jsonb_each(to_jsonb(f)) a JOIN jsonb_each(to_jsonb(g)) b USING (key)
          WHERE f.user_id = $1 AND g.user_id = $1 AND f.id = $2::uuid AND g.id = $3::uuid
            AND a.value IS DISTINCT FROM b.value
          ORDER BY key",
    )
    .bind(user.as_str())
    .bind(one)
    .bind(other)
    .fetch_all(conn)
    .await
    .unwrap()
}

/// Lets the planner know what is in the tables.
pub(crate) async fn analyze(conn: &mut PgConnection) {
    sqlx::query("ANALYZE user_files, contents, user_storage, derivatives").execute(conn).await.unwrap();
}

/// The plan that this connection made once for the pages in an index's order, as it reads a user's first one.
pub(crate) async fn plan_made_once(conn: &mut PgConnection, index: &str, user: &str) -> String {
    let column = index.trim_start_matches("user_files_by_");
    let (name, again): (String, i64) = sqlx::query_as(
        "SELECT name, custom_plans FROM pg_prepared_statements
          WHERE statement LIKE '%ORDER BY %' || $1 || '%' AND statement LIKE '%LIMIT%' AND name LIKE 'sqlx%'",
    )
    .bind(column)
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert_eq!(again, 0, "{index}: planned again");
    let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE {name} ('{user}', '{user}', 51)");
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain)).fetch_all(conn).await.unwrap();
    lines.join("\n")
}

/// Keeps every other statement from reading files until the transaction ends.
pub(crate) async fn lock_files(conn: &mut PgConnection) {
    sqlx::query("LOCK TABLE user_files IN ACCESS EXCLUSIVE MODE").execute(conn).await.unwrap();
}

/// Says something longer about a user's files than a request may.
pub(crate) async fn lengthen_lyrics(conn: &mut PgConnection, user: &UserId, bytes: i32) {
    sqlx::query(
        "UPDATE user_files SET asset_details = asset_details || jsonb_build_object('audioLyrics', repeat('x', $2))
          WHERE user_id = $1",
    )
    .bind(user.as_str())
    .bind(bytes)
    .execute(conn)
    .await
    .unwrap();
}

/// Whether nobody between us and Postgres can read along.
pub(crate) async fn is_encrypted(conn: &mut PgConnection) -> bool {
    let asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    sqlx::query_scalar(asked).fetch_one(conn).await.unwrap()
}

/// Lets waiting jobs run now.
pub(crate) async fn make_jobs_due(conn: &mut PgConnection) {
    sqlx::query("UPDATE jobs SET run_at = now() WHERE state = 'ready'").execute(conn).await.unwrap();
}

/// Removes jobs that are set aside.
pub(crate) async fn forget_dead_jobs(conn: &mut PgConnection) {
    sqlx::query("DELETE FROM jobs WHERE state = 'dead'").execute(conn).await.unwrap();
}

/// Lets the leases of jobs and of thumbnails lapse, as if their owners had been silent for too long.
pub(crate) async fn lapse_leases(conn: &mut PgConnection) {
    run_each(
        conn,
        [
            "UPDATE jobs SET lease_expires_at = now() - interval '1 second' WHERE state = 'running'",
            "UPDATE derivatives SET lease_expires_at = NULL WHERE state = 'pending'",
        ],
    )
    .await;
}

/// Changes of `user_files` as an SQL user might make them; after the last one there are no rows.
pub(crate) const CHANGES: [&str; 8] = [
    "UPDATE user_files SET deleted_at = now() WHERE file_size % 2 = 0",
    "UPDATE user_files SET deleted_at = NULL WHERE file_size % 3 = 0",
    "UPDATE user_files SET file_type = 'video' WHERE file_type <> 'image'",
    "UPDATE user_files SET file_size = file_size * 2, file_type = 'audio', deleted_at = now() WHERE file_size % 5 = 0",
    "UPDATE user_files SET tags = '{}'",
    "UPDATE user_files SET file_size = 0 WHERE false",
    "DELETE FROM user_files WHERE file_size % 2 = 0",
    "DELETE FROM user_files",
];

/// Makes one of [`CHANGES`].
pub(crate) async fn change_files(conn: &mut PgConnection, change: &'static str) {
    sqlx::query(change).execute(conn).await.unwrap();
}

/// What `check_storage_available` says.
pub(crate) async fn fits(conn: &mut PgConnection, user: &UserId, bytes: i64) -> bool {
    sqlx::query_scalar("SELECT check_storage_available($1, $2)")
        .bind(user.as_str())
        .bind(bytes)
        .fetch_one(conn)
        .await
        .unwrap()
}

/// Lets the time of every open upload be over.
pub(crate) async fn expire_uploads(conn: &mut PgConnection) {
    sqlx::query("UPDATE uploads SET expires_at = now() - interval '1 second'").execute(conn).await.unwrap();
}

/// Makes it look as if the kernel had been restarted since anybody wrote to an upload.
pub(crate) async fn forget_the_boot(conn: &mut PgConnection) {
    sqlx::query("UPDATE upload_sessions SET boot_id = gen_random_uuid()").execute(conn).await.unwrap();
}

/// Breaks every other connection to this database.
pub(crate) async fn disconnect_others(conn: &mut PgConnection) {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'jam-storage'",
    )
    .execute(conn)
    .await
    .unwrap();
}

/// How many connections processes have to this database.
pub(crate) async fn connections(conn: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'jam-storage'",
    )
    .fetch_one(conn)
    .await
    .unwrap()
}

/// Counts from now on how often a derivative comes to be ready.
pub(crate) async fn count_what_is_made(conn: &mut PgConnection) {
    run_each(
        conn,
        [
            "CREATE TABLE made (file_id uuid, kind text)",
            "CREATE FUNCTION count_made() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO made VALUES (NEW.file_id, NEW.kind); RETURN NULL; END $$",
            "CREATE TRIGGER count_made AFTER UPDATE ON derivatives
                FOR EACH ROW WHEN (NEW.state = 'ready') EXECUTE FUNCTION count_made()",
        ],
    )
    .await;
}

/// How often derivatives of this kind came to be ready.
pub(crate) async fn times_made(conn: &mut PgConnection, kind: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM made WHERE kind = $1").bind(kind).fetch_one(conn).await.unwrap()
}

/// Records from now on how many long jobs are being run whenever a job changes.
pub(crate) async fn watch_long_jobs(conn: &mut PgConnection) {
    run_each(
        conn,
        [
            "CREATE TABLE long_jobs (running bigint)",
            "CREATE FUNCTION watch_long_jobs() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN
                 INSERT INTO long_jobs SELECT count(*) FROM jobs WHERE is_long AND state = 'running';
                 RETURN NULL;
             END $$",
            "CREATE TRIGGER watch_long_jobs AFTER UPDATE ON jobs EXECUTE FUNCTION watch_long_jobs()",
        ],
    )
    .await;
}

/// How many long jobs were run at the same time at most.
pub(crate) async fn most_long_jobs(conn: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT max(running) FROM long_jobs").fetch_one(conn).await.unwrap()
}

/// Where the programs of this server are.
pub(crate) async fn programs_of_postgres(conn: &mut PgConnection) -> String {
    sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetch_one(conn).await.unwrap()
}

/// Ends the connections over which processes listen for uploads that others want; how many there were.
pub(crate) async fn end_listening(conn: &mut PgConnection) -> i64 {
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                  WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    sqlx::query_scalar(ended).fetch_one(conn).await.unwrap()
}

/// Sets one field of what is known of each of a user's assets, to any JSON.
pub(crate) async fn set_asset_detail(
    conn: &mut PgConnection,
    user: &UserId,
    name: &str,
    value: &serde_json::Value,
) {
    sqlx::query("UPDATE user_files SET asset_details = asset_details || jsonb_build_object($2::text, $3::jsonb) WHERE user_id = $1")
        .bind(user.as_str())
        .bind(name)
        .bind(sqlx::types::Json(value))
        .execute(conn)
        .await
        .unwrap();
}

/// Lets so much time pass for everything that waits: the trash, uploads and what is remembered of them.
pub(crate) async fn let_time_pass(conn: &mut PgConnection, time: std::time::Duration) {
    for statement in [
        "UPDATE user_files SET deleted_at = deleted_at - make_interval(secs => $1) WHERE deleted_at IS NOT NULL",
        "UPDATE uploads SET created_at = created_at - make_interval(secs => $1), expires_at = expires_at - make_interval(secs => $1)",
        "UPDATE upload_sessions SET created_at = created_at - make_interval(secs => $1), touched_at = touched_at - make_interval(secs => $1)",
        "UPDATE webhook_deliveries SET received_at = received_at - make_interval(secs => $1)",
    ] {
        sqlx::query(statement).bind(time.as_secs_f64()).execute(&mut *conn).await.unwrap();
    }
}

/// How many deadlocks Postgres has ended in a database whose connections are closed: they tell it when they end.
pub(crate) async fn deadlocks(options: &sqlx::postgres::PgConnectOptions) -> i64 {
    let mut conn = <PgConnection as sqlx::Connection>::connect_with(options).await.unwrap();
    super::eventually("nobody else is connected", async || {
        // A pool may take a connection back while it is closed, and then keeps it.
        let others: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        .fetch_one(&mut conn)
        .await
        .unwrap();
        (others == 0).then_some(())
    })
    .await;
    sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        .fetch_one(&mut conn)
        .await
        .unwrap()
}

/// Gives the leases of everything that is pending to somebody who never makes it.
pub(crate) async fn lease_derivatives(conn: &mut PgConnection) {
    let statement =
        "UPDATE derivatives SET lease_expires_at = now() + interval '2 minutes' WHERE state = 'pending'";
    sqlx::query(statement).execute(conn).await.unwrap();
}

/// Whether somebody holds the lease of a derivative in this state.
pub(crate) async fn is_any_leased(conn: &mut PgConnection, state: &str) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM derivatives WHERE state = $1 AND lease_expires_at > now())",
    )
    .bind(state)
    .fetch_one(conn)
    .await
    .unwrap()
}

/// Whether a statement waits for a lock in this database.
pub(crate) async fn is_anybody_waiting(conn: &mut PgConnection) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')",
    )
    .fetch_one(conn)
    .await
    .unwrap()
}

/// Lets columns hold what a newer release might write.
pub(crate) async fn drop_checks(conn: &mut PgConnection) {
    let statement = "DO $$ DECLARE c record; BEGIN
        FOR c IN SELECT conrelid::regclass AS of, conname FROM pg_constraint
                  WHERE contype = 'c' AND connamespace = 'public'::regnamespace LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.of, c.conname);
        END LOOP; END $$";
    sqlx::query(statement).execute(conn).await.unwrap();
}

/// Runs a statement of a test's own.
pub(crate) async fn run(conn: &mut PgConnection, statement: &'static str) {
    sqlx::query(statement).execute(conn).await.unwrap();
}

/// The number that a question of a test's own answers.
pub(crate) async fn count(conn: &mut PgConnection, question: &'static str) -> i64 {
    sqlx::query_scalar(question).fetch_one(conn).await.unwrap()
}

/// Whether a question of a test's own finds something.
pub(crate) async fn finds(conn: &mut PgConnection, question: &'static str) -> bool {
    sqlx::query(question).fetch_optional(conn).await.unwrap().is_some()
}

/// Adds a job as anybody might write it.
pub(crate) async fn add_job(conn: &mut PgConnection, user: &str, task: &str, state: &str, is_long: bool) {
    sqlx::query("INSERT INTO jobs (id, user_id, task, state, is_long) VALUES (gen_random_uuid(), $1, $2::jsonb, $3, $4)")
        .bind(user)
        .bind(task)
        .bind(state)
        .bind(is_long)
        .execute(conn)
        .await
        .unwrap();
}

/// Moves so many files to the trash, as if so many days ago.
pub(crate) async fn trash_files(conn: &mut PgConnection, count: i64, days: i32) {
    sqlx::query(
        "UPDATE user_files SET deleted_at = now() - make_interval(days => $2)
          WHERE (user_id, id) IN (SELECT user_id, id FROM user_files WHERE deleted_at IS NULL LIMIT $1)",
    )
    .bind(count)
    .bind(days)
    .execute(conn)
    .await
    .unwrap();
}

/// Lets new connections to this database only read, as those to a primary that was demoted, or write again.
pub(crate) async fn set_read_only(conn: &mut PgConnection, reads_only: bool) {
    let setting = if reads_only { "on" } else { "off" };
    let statement = format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {setting}', current_database()); END $$"
    );
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(conn).await.unwrap();
}

/// Lets the next `count` changes of files lose against another transaction, as a deadlock does.
pub(crate) async fn lose_races(conn: &mut PgConnection, count: i32) {
    for statement in [
        "DROP TRIGGER IF EXISTS lose_races ON user_files",
        "DROP SEQUENCE IF EXISTS races",
        // What a sequence has counted stays when its transaction ends.
        "CREATE SEQUENCE races",
        &format!(
            "CREATE OR REPLACE FUNCTION lose_races() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN
                 IF nextval('races') <= {count} THEN RAISE EXCEPTION 'lost' USING ERRCODE = '40P01'; END IF;
                 RETURN NEW;
             END $$"
        ),
        "CREATE TRIGGER lose_races BEFORE UPDATE ON user_files FOR EACH ROW EXECUTE FUNCTION lose_races()",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut *conn).await.unwrap();
    }
}

/// A role that may do with the tables there are what the service's role may (infra/hetzner/grants.sql).
pub(crate) async fn add_role_of_the_service(conn: &mut PgConnection) -> String {
    let role = format!("jam_{}", uuid::Uuid::new_v4().simple());
    let created = format!("CREATE ROLE {role} NOLOGIN");
    let allowed = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}");
    run_each(conn, [created, allowed].map(AssertSqlSafe)).await;
    role
}

/// Adds a file, changes what is known about it, and removes it, with the rights of that role.
pub(crate) async fn write_files_as(conn: &mut PgConnection, role: &str) {
    run_each(conn, [AssertSqlSafe(format!("SET ROLE {role}"))]).await;
    run_each(
        conn,
        [
            "INSERT INTO user_storage (user_id) VALUES ('user_a')",
            "INSERT INTO user_files (user_id, id, file_name, original_name, file_type, mime_type, file_size, file_path, sha256)
             VALUES ('user_a', gen_random_uuid(), 'a', 'a', 'image', 'image/png', 1, 'user_a/images/a', decode(repeat('00', 32), 'hex'))",
            "UPDATE user_files SET width = 1, height = 1",
            "DELETE FROM user_files",
            "RESET ROLE",
        ],
    )
    .await;
}

/// Removes such a role.
pub(crate) async fn remove_role(conn: &mut PgConnection, role: &str) {
    let statements = [format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")];
    run_each(conn, statements.map(AssertSqlSafe)).await;
}

async fn run_each<S: SqlSafeStr>(conn: &mut PgConnection, statements: impl IntoIterator<Item = S>) {
    for statement in statements {
        sqlx::query(statement).execute(&mut *conn).await.unwrap();
    }
}
