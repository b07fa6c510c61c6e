//! The restore drill: what `infra/hetzner/jam-storage-backup` makes of a service that has stored something becomes a
//! service again, in a fresh database and on a fresh volume, and a check that reads every byte finds nothing.

use crate::jam::{Jam, PNG, receive, run, user_id, variables};
use jam_core::ids::FileId;
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

struct Drill {
    jam: Jam,
    directory: TempDir,
    /// The database that is made for a restore.
    fresh: String,
}

impl Drill {
    async fn new(pool: PgPool) -> Self {
        let fresh = format!("restored_{}", FileId::new());
        let jam = Jam::new(pool).await;
        jam.store("user_a", "a.png", PNG).await;
        jam.store("user_b", "b.scene", b"bytes of a scene").await;
        while jam_core::ops::work::run_next(&jam.app).await.unwrap() {}
        Self { jam, directory: TempDir::new().unwrap(), fresh }
    }

    /// Runs the script against a database and a storage root; its exit code and what it said.
    async fn backup(&self, database: &str, root: &Path, arguments: &[&str]) -> (i32, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/hetzner/jam-storage-backup");
        let mut command = Command::new(script);
        command.args(arguments).env_clear().envs(self.variables(database, root));
        let tool = Path::new(env!("CARGO_BIN_EXE_jam-admin")).parent().unwrap().display().to_string();
        let programs = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{tool}:{programs}"));
        command.env("BACKUP_DIRECTORY", self.backups()).env("BACKUP_KEEP", "2");
        let output = command.output().await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), said)
    }

    /// An environment whose connection string libpq understands too.
    fn variables(&self, database: &str, root: &Path) -> BTreeMap<String, String> {
        let mut variables = variables(&self.jam.pool, root.to_owned());
        let options = self.jam.pool.connect_options();
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let (port, user) = (options.get_port(), options.get_username());
        let url = format!("postgres:///{database}?host={host}&port={port}&user={user}");
        variables.insert("DATABASE_URL".to_owned(), url);
        variables
    }

    async fn create(&self) -> PathBuf {
        let database = self.jam.pool.connect_options().get_database().unwrap().to_owned();
        let (code, said) = self.backup(&database, &self.jam.path(""), &["create"]).await;
        assert_eq!(code, 0, "{said}");
        self.complete().pop().unwrap()
    }

    fn backups(&self) -> PathBuf {
        self.directory.path().join("backups")
    }

    /// The complete backups, the newest last.
    fn complete(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.backups()).unwrap().map(|entry| entry.unwrap().path());
        let mut complete: Vec<_> = entries.filter(|path| path.join("complete").exists()).collect();
        complete.sort();
        complete
    }

    async fn in_fresh_database(&self, work: impl AsyncFnOnce(&str, &Path)) {
        let pool = &self.jam.pool;
        let create = format!("CREATE DATABASE \"{}\"", self.fresh);
        sqlx::raw_sql(AssertSqlSafe(create)).execute(pool).await.unwrap();
        work(&self.fresh, &self.directory.path().join("restored/users")).await;
        let drop = format!("DROP DATABASE \"{}\" WITH (FORCE)", self.fresh);
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(pool).await.unwrap();
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_backup_becomes_a_service_again_in_which_everything_agrees(pool: PgPool) {
    let drill = Drill::new(pool).await;
    let under_way = receive(&drill.jam.app, &user_id("user_a"), "c.scene", b"half of it").await;
    let backup = drill.create().await;
    drop(under_way);
    drill
        .in_fresh_database(async |database, root| {
            let restore = ["restore", backup.to_str().unwrap()];
            let (code, said) = drill.backup(database, root, &restore).await;
            assert_eq!(code, 0, "{said}");
            let variables = drill.variables(database, root);
            let check = run(&variables, &["check", "--read-data", "--json"]).await;
            assert_eq!((check.code, check.json()["filesRead"].as_u64()), (0, Some(2)), "{check:?}");
            let usage = run(&variables, &["usage", "--json"]).await.json();
            assert_eq!(usage["totalUsedBytes"].as_u64(), Some(PNG.len() as u64 + 16));
            let (code, said) = drill.backup(database, root, &restore).await;
            assert_eq!(code, 1, "a restore writes over nothing: {said}");
        })
        .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_next_backup_shares_what_has_not_changed_and_old_ones_go(pool: PgPool) {
    let drill = Drill::new(pool).await;
    let kept = drill.jam.store("user_a", "kept.scene", b"kept").await;
    let first = drill.create().await;
    drill.jam.store("user_a", "new.scene", b"new").await;
    let second = drill.create().await;
    let inode = |backup: &Path| std::fs::metadata(backup.join("volume").join(&kept.file_path)).unwrap().ino();
    assert_eq!(inode(&first), inode(&second));
    let third = drill.create().await;
    assert_eq!(drill.complete(), [second, third]);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_empty_mount_point_and_a_half_made_backup_are_refused(pool: PgPool) {
    let drill = Drill::new(pool).await;
    let empty = drill.directory.path().join("unmounted");
    std::fs::create_dir(&empty).unwrap();
    let (code, said) = drill.backup("unused", &empty, &["create"]).await;
    assert!(code == 1 && said.contains("has no .jam-volume"), "{said}");
    let backup = drill.create().await;
    std::fs::remove_file(backup.join("complete")).unwrap();
    let (code, said) = drill.backup("unused", &empty, &["restore", backup.to_str().unwrap()]).await;
    assert!(code == 1 && said.contains("is no complete backup"), "{said}");
}
