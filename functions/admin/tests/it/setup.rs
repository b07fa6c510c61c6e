//! The verbs that come before everything else, and what stops a start.

use crate::jam::{run, variables};
use sqlx::PgPool;
use tempfile::TempDir;

#[sqlx::test(migrations = false)]
async fn an_empty_database_and_a_missing_directory_become_a_service(pool: PgPool) {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("not/there/yet");
    let variables = variables(&pool, root.clone());
    let failed = run(&variables, &["check"]).await;
    assert_eq!((failed.code, failed.stdout.as_str()), (3, ""));
    assert!(failed.stderr.contains("USER_STORAGE_ROOT"), "{}", failed.stderr);
    for _ in 0..2 {
        let migrated = run(&variables, &["migrate", "--json"]).await;
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);
        assert!(migrated.json()["schemaVersion"].as_i64() > Some(0));
        let made = run(&variables, &["init-volume", "--json"]).await;
        assert_eq!(made.code, 0, "{}", made.stderr);
        assert_eq!(made.json()["root"], root.to_str().unwrap());
    }
    assert_eq!(run(&variables, &["check"]).await.code, 0);
}

#[sqlx::test(migrations = false)]
async fn operators_who_migrate_at_once_wait_for_each_other(pool: PgPool) {
    let variables = variables(&pool, "/nowhere".into());
    let migrate = || run(&variables, &["migrate"]);
    let (first, second, third) = tokio::join!(migrate(), migrate(), migrate());
    for answer in [first, second, third] {
        assert_eq!(answer.code, 0, "{}", answer.stderr);
    }
    let invalid: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(invalid, 0);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_configuration_is_shown_without_its_secrets_and_with_its_fault(pool: PgPool) {
    let mut variables = variables(&pool, "/nowhere".into());
    variables.insert("CLERK_SECRET_KEY".to_owned(), "sk_test_hunter2".to_owned());
    let shown = run(&variables, &["config", "--json"]).await;
    assert_eq!(shown.code, 0, "neither database nor volume is asked");
    assert!(!shown.stdout.contains("hunter2") && !shown.stdout.contains("postgres:"));
    let json = shown.json();
    let setting =
        |name: &str| json["settings"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap();
    assert_eq!(setting("CLERK_SECRET_KEY")["value"], "[secret]");
    assert_eq!((&setting("PORT")["value"], &setting("PORT")["isDefault"]), (&"3001".into(), &true.into()));
    assert!(json["problem"].is_null());
    assert!(
        json["warnings"][0].as_str().unwrap().starts_with("JAM_ADMIN_USERS"),
        "nobody is an administrator"
    );
    let text = run(&variables, &["config"]).await.stdout;
    assert!(text.lines().last().unwrap().starts_with("warning: JAM_ADMIN_USERS"), "{text}");
    for (name, value) in [("JAM_ADMIN_USERS", "user_2abc"), ("JAM_ADMIN_ORG", "org_2abc")] {
        let mut variables = variables.clone();
        variables.insert(name.to_owned(), value.to_owned());
        assert_eq!(
            run(&variables, &["config", "--json"]).await.json()["warnings"],
            serde_json::json!([]),
            "{name}"
        );
    }

    variables.insert("MAX_FILE_SIZE".to_owned(), "big".to_owned());
    let faulty = run(&variables, &["config", "--json"]).await;
    assert_eq!(faulty.code, 2);
    assert!(faulty.json()["problem"].as_str().unwrap().starts_with("MAX_FILE_SIZE:"));
    let refused = run(&variables, &["usage"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.starts_with("error: MAX_FILE_SIZE:"), "{}", refused.stderr);

    variables.remove("MAX_FILE_SIZE");
    variables.insert("DATABASE_URL".to_owned(), "nonsense".to_owned());
    assert_eq!(run(&variables, &["usage"]).await.code, 2);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_database_that_does_not_answer_is_a_failure_and_logs_come_only_when_asked_for(pool: PgPool) {
    let mut variables = variables(&pool, "/nowhere".into());
    variables.insert("DATABASE_URL".to_owned(), "postgres://nobody@127.0.0.1:1/none".to_owned());
    let failed = run(&variables, &["usage", "--json"]).await;
    assert_eq!((failed.code, failed.stdout.as_str()), (3, ""));
    assert_eq!(failed.stderr.lines().count(), 1, "{}", failed.stderr);
    let verbose = run(&variables, &["usage", "-v"]).await;
    assert!(verbose.stderr.lines().count() > 1, "{}", verbose.stderr);
}
