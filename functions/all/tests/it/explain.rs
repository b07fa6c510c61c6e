//! Listings of a hundred thousand files, as Postgres plans them: every order and every filter has its index.

use crate::app::{ANN, BOB, rows, user_id};
use jam_core::db::Db;
use jam_core::db::files::{self, Removable};
use jam_core::db::listing::{Filter, Order, Request, Sort, Start, explain, page};
use jam_core::ids::UserId;
use jam_core::model::{AssetCategory, AudioCategory, FileType};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;

const FILES: i32 = 100_000;
/// Files that this transaction has read by an index.
const READ: &str = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'user_files'";

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn files_are_removed_by_their_ids_also_right_after_many_went_to_the_trash(pool: PgPool) {
    let db = Db::from_pool(pool);
    let user = user_id(ANN);
    let conn = &mut *db.conn().await.unwrap();
    rows::add_files(conn, &user, FILES / 5).await;
    rows::analyze(conn).await;
    rows::change_files(conn, "UPDATE user_files SET deleted_at = now()").await;
    let mut ledger = db.ledger(&user).await.unwrap();
    let ids = files::trashed(&mut ledger, &user, 100).await.unwrap();
    for which in [Removable::Trashed, Removable::TrashedFor(Duration::ZERO), Removable::Any] {
        let before = rows::count(&mut ledger, READ).await;
        assert_eq!(files::lock_removable(&mut ledger, &ids, which).await.unwrap().len(), 100);
        let read = rows::count(&mut ledger, READ).await - before;
        assert!(read < 1000, "{which:?}: {read} files read for 100");
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_order_and_filter_is_answered_by_its_index_at_a_hundred_thousand_files(pool: PgPool) {
    let db = Db::from_pool(pool);
    let conn = &mut *db.conn().await.unwrap();
    let user = user_id(ANN);
    rows::add_files(conn, &user, FILES).await;
    rows::add_files(conn, &user_id(BOB), FILES / 100).await;
    rows::analyze(conn).await;
    for sort in Sort::ALL {
        for order in [Order::Asc, Order::Desc] {
            for start in [Start::Offset(0), deep_in(conn, &user, sort, order).await] {
                let request = Request { sort, order, start, ..first_page(Filter::default()) };
                let plan = explain(conn, &user, &request).await.unwrap();
                assert_ordered_by(index_of(sort), &plan);
                assert!(!of_files(&plan).contains("Removed"), "rows are read and thrown away:\n{plan}");
            }
        }
    }
    for (index, filter) in filters_with_an_ordered_index() {
        let plan = explain(conn, &user, &first_page(filter)).await.unwrap();
        assert_ordered_by(index, &plan);
    }
    for (index, filter) in filters_with_an_index_of_labels() {
        let plan = explain(conn, &user, &first_page(filter)).await.unwrap();
        assert!(plan.contains(index) && !plan.contains("Seq Scan on user_files"), "{index}:\n{plan}");
    }
    // Neither has an index of its own: the newest are looked through until the page is full.
    for filter in [
        Filter { favorite: Some(false), ..Filter::default() },
        Filter { q: Some("name 7".to_owned()), ..Filter::default() },
    ] {
        let plan = explain(conn, &user, &first_page(filter)).await.unwrap();
        assert_ordered_by("user_files_by_upload_date", &plan);
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_plan_that_is_made_once_follows_the_index_also_for_a_library_far_above_the_average(pool: PgPool) {
    let db = Db::from_pool(pool);
    let user = user_id(ANN);
    let conn = &mut *db.conn().await.unwrap();
    rows::add_files(conn, &user, 20_000).await;
    for number in 0..200 {
        rows::add_files(conn, &user_id(&format!("user_{number}")), 10).await;
    }
    rows::analyze(conn).await;
    let look = &mut *db.indexed().await.unwrap();
    for sort in Sort::ALL {
        for limit in [50, 1000] {
            let request = Request { sort, limit, ..first_page(Filter::default()) };
            for _ in 0..3 {
                assert_eq!(page(look, &user, &request).await.unwrap().files.len() as i64, limit);
            }
        }
        assert_ordered_by(index_of(sort), &rows::plan_made_once(look, index_of(sort), ANN).await);
    }
}

/// The place that a listing reaches after most of its files.
async fn deep_in(conn: &mut PgConnection, user: &UserId, sort: Sort, order: Order) -> Start {
    let start = Start::Offset(i64::from(FILES) * 9 / 10);
    let request = Request { sort, order, start, limit: 1, ..first_page(Filter::default()) };
    Start::After(page(conn, user, &request).await.unwrap().next.unwrap())
}

fn first_page(filter: Filter) -> Request {
    let (sort, order) = (Sort::default(), Order::default());
    Request { filter, sort, order, start: Start::Offset(0), limit: 50, with_derivatives: true }
}

fn index_of(sort: Sort) -> &'static str {
    match sort {
        Sort::UploadDate => "user_files_by_upload_date",
        Sort::CreatedAt => "user_files_by_created_at",
        Sort::OriginalName => "user_files_by_original_name",
        Sort::FileName => "user_files_by_file_name",
        Sort::FileSize => "user_files_by_file_size",
        Sort::Duration => "user_files_by_duration",
    }
}

fn filters_with_an_ordered_index() -> [(&'static str, Filter); 7] {
    let all = Filter::default;
    [
        ("user_files_by_type", Filter { file_type: Some(FileType::Image), ..all() }),
        ("user_files_favorites", Filter { favorite: Some(true), ..all() }),
        ("user_files_by_package", Filter { package: Some("package 40".to_owned()), ..all() }),
        ("user_files_by_asset_category", Filter { asset_category: Some(AssetCategory::Clip), ..all() }),
        ("user_files_by_audio_category", Filter { audio_category: Some(AudioCategory::Jingle), ..all() }),
        ("user_files_by_width", Filter { min_width: Some(3), ..all() }),
        ("user_files_by_width", Filter { min_width: Some(3990), ..all() }),
    ]
}

/// Labels that few files have; what the index finds is sorted afterwards.
fn filters_with_an_index_of_labels() -> [(&'static str, Filter); 4] {
    let all = Filter::default;
    [
        ("user_files_by_tags", Filter { tags: vec!["tag 17".to_owned()], ..all() }),
        ("user_files_by_usage_tags", Filter { usage_tags: vec!["use 17".to_owned()], ..all() }),
        (
            "user_files_by_character_names",
            Filter { character_names: vec!["character 17".to_owned()], ..all() },
        ),
        ("user_files_trash", Filter { trash: true, ..all() }),
    ]
}

/// The part of a plan that reads `user_files`.
fn of_files(plan: &str) -> &str {
    let start = plan.find("on user_files").unwrap();
    let end = plan[start..].find("SubPlan").map_or(plan.len(), |at| start + at);
    &plan[start..end]
}

#[track_caller]
fn assert_ordered_by(index: &str, plan: &str) {
    let uses_it = plan.contains(&format!("using {index} on user_files"));
    assert!(
        uses_it && !plan.contains("Sort") && !plan.contains("Seq Scan on user_files"),
        "{index}:\n{plan}"
    );
}
