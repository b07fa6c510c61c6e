//! Listings of `user_files`: filters, sort orders and cursors.
//! The one query here is assembled at run time from a closed set of fragments, because a sort order cannot be a bound
//! parameter and still use its index; a test prepares and explains every combination. Values are always bound.

use super::derivatives;
use super::files::FileRow;
use crate::error::Result;
use crate::ids::{ContentId, FileId, UserId};
use crate::model::{AssetCategory, AudioCategory, File, FileType};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use time::OffsetDateTime;

/// Longest text about a file that a page shows, and the largest document.
const MAX_LISTED_BYTES: i32 = 1024;
/// Whether all that is said about a file is short, without reading it: a compressed one may be long.
const IS_SHORT: &str =
    "(pg_column_size(f.asset_details) <= 1024 AND pg_column_compression(f.asset_details) IS NULL)";

/// Rows that a page may skip and still count as quick.
const MAX_QUICK_OFFSET: i64 = 1000;

/// Everything a listing can be narrowed by; unset fields do not narrow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only this type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_type: Option<FileType>,
    /// Only favourites, or only others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favorite: Option<bool>,
    /// Only this package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Any of these labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Only this category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_category: Option<AssetCategory>,
    /// Any of these labels of use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usage_tags: Vec<String>,
    /// Only this category of audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_category: Option<AudioCategory>,
    /// Any of these characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub character_names: Vec<String>,
    /// Only files of at least so many pixels across; what has no width is never found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_width: Option<i32>,
    /// Part of the name, any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// The trash instead of the files outside it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trash: bool,
}

/// What a listing is sorted by; ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each names its column")]
pub enum Sort {
    #[default]
    UploadDate,
    CreatedAt,
    OriginalName,
    FileName,
    FileSize,
    Duration,
}

impl Sort {
    /// Every sort order.
    pub const ALL: [Self; 6] = [
        Self::UploadDate,
        Self::CreatedAt,
        Self::OriginalName,
        Self::FileName,
        Self::FileSize,
        Self::Duration,
    ];

    /// Every name on the wire: the columns', then the short ones of the front end. The first is the default's.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("upload_date", Self::UploadDate),
        ("created_at", Self::CreatedAt),
        ("original_name", Self::OriginalName),
        ("file_name", Self::FileName),
        ("file_size", Self::FileSize),
        ("duration", Self::Duration),
        ("date", Self::UploadDate),
        ("name", Self::OriginalName),
        ("size", Self::FileSize),
    ];

    /// Reads `sortBy`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(name, _)| *name == text).map(|(_, sort)| sort)
    }

    /// The expression an index exists for.
    const fn expression(self) -> &'static str {
        match self {
            Self::UploadDate => "f.upload_date",
            Self::CreatedAt => "f.created_at",
            Self::OriginalName => "f.original_name",
            Self::FileName => "f.file_name",
            Self::FileSize => "f.file_size",
            Self::Duration => "coalesce(f.duration_seconds, -1::double precision)",
        }
    }

    /// The value of a file in this order.
    fn key(self, file: &File) -> SortKey {
        match self {
            Self::UploadDate => SortKey::Time(micros(file.upload_date)),
            Self::CreatedAt => SortKey::Time(micros(file.created_at)),
            Self::OriginalName => SortKey::Text(file.original_name.as_str().to_owned()),
            Self::FileName => SortKey::Text(file.file_name.clone()),
            Self::FileSize => SortKey::Whole(file.size.bytes() as i64),
            Self::Duration => SortKey::Real(file.duration_seconds.unwrap_or(-1.0)),
        }
    }
}

/// Microseconds since 1970, which is all that Postgres keeps of a time.
fn micros(time: OffsetDateTime) -> i64 {
    (time.unix_timestamp_nanos() / 1000) as i64
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as SQL names them")]
pub enum Order {
    Asc,
    #[default]
    Desc,
}

/// The place a page ended at: where in the order, and which file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    key: SortKey,
    id: FileId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum SortKey {
    #[serde(rename = "t")]
    Time(i64),
    #[serde(rename = "s")]
    Text(String),
    #[serde(rename = "n")]
    Whole(i64),
    #[serde(rename = "r")]
    Real(f64),
}

impl Place {
    /// Whether the place belongs to this order: a cursor may have been tampered with.
    #[must_use]
    pub fn fits(&self, sort: Sort) -> bool {
        match (&self.key, sort) {
            (SortKey::Time(micros), Sort::UploadDate | Sort::CreatedAt) => to_time(*micros).is_some(),
            (SortKey::Text(text), Sort::OriginalName | Sort::FileName) => !text.contains('\0'),
            (SortKey::Whole(_), Sort::FileSize) => true,
            (SortKey::Real(number), Sort::Duration) => number.is_finite(),
            _ => false,
        }
    }
}

/// Only times that Postgres knows as well: its calendar begins later than the type's.
fn to_time(micros: i64) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok();
    time.filter(|time| time.year() > 0)
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// After so many files; grows slower with depth, kept for the live front end.
    Offset(i64),
    /// After the file at this place; as fast at any depth.
    After(Place),
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Request {
    /// What it is narrowed by.
    pub filter: Filter,
    /// What it is sorted by.
    pub sort: Sort,
    /// Up or down.
    pub order: Order,
    /// Where it starts.
    pub start: Start,
    /// Files at most.
    pub limit: i64,
    /// Whether the files come with what was made of them.
    pub with_derivatives: bool,
}

impl Filter {
    /// Whether the ledger knows how many files it finds: all, or all of one type.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        *self == Self { file_type: self.file_type, ..Self::default() }
    }
}

impl Request {
    /// Whether the page may have to look at many more rows than it shows: no index has its filter in its order, or it
    /// skips many.
    #[must_use]
    pub fn is_scan(&self) -> bool {
        let by_index = [
            Filter::default(),
            Filter { file_type: self.filter.file_type, ..Filter::default() },
            Filter { package: self.filter.package.clone(), ..Filter::default() },
            Filter { favorite: self.filter.favorite.filter(|only| *only), ..Filter::default() },
        ];
        let is_indexed = self.filter == Filter::default()
            || (self.sort == Sort::UploadDate && by_index.contains(&self.filter));
        !is_indexed || matches!(self.start, Start::Offset(skipped) if skipped > MAX_QUICK_OFFSET)
    }
}

/// The files of one page, and where the next one starts if there is one.
#[derive(Debug)]
pub struct Page {
    /// The files.
    pub files: Vec<File>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Place>,
}

/// One page of a user's files.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn page(conn: &mut PgConnection, user: &UserId, request: &Request) -> Result<Page> {
    let mut query = select(user, request);
    let rows: Vec<FileRow> = query.build_query_as().fetch_all(&mut *conn).await?;
    let mut files = rows.into_iter().map(File::try_from).collect::<Result<Vec<_>>>()?;
    // One row more than asked for tells whether another page follows.
    let has_more = files.len() as i64 > request.limit;
    files.truncate(request.limit as usize);
    if request.with_derivatives {
        put_derivatives(conn, user, &mut files).await?;
    }
    let next = if has_more {
        files.last().map(|last| Place { key: request.sort.key(last), id: last.id })
    } else {
        None
    };
    Ok(Page { files, next })
}

/// A query of its own, because a subquery in every row of a page cost as much as the rest of the listing.
async fn put_derivatives(conn: &mut PgConnection, user: &UserId, files: &mut [File]) -> Result<()> {
    let ids: Vec<ContentId> = files.iter().map(|file| file.content_id).collect();
    let found = derivatives::of_contents(conn, user, &ids).await?;
    for file in files {
        file.derivatives = found.get(&file.content_id).cloned().unwrap_or_default();
    }
    Ok(())
}

/// How many files a filter finds. Reads them all: only for filters that no counter answers.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn count(conn: &mut PgConnection, user: &UserId, filter: &Filter) -> Result<i64> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM user_files f WHERE ");
    narrow(&mut query, user, filter);
    Ok(query.build_query_scalar().fetch_one(conn).await?)
}

/// The plan of a page as Postgres explains it, for the tests that prove the indexes.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn explain(conn: &mut PgConnection, user: &UserId, request: &Request) -> Result<String> {
    let mut explained = QueryBuilder::new("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ");
    push_select(&mut explained, user, request);
    let lines: Vec<String> = explained.build_query_scalar().fetch_all(conn).await?;
    Ok(lines.join("\n"))
}

fn select(user: &UserId, request: &Request) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("");
    push_select(&mut query, user, request);
    query
}

fn push_select(query: &mut QueryBuilder<Postgres>, user: &UserId, request: &Request) {
    query.push(
        "SELECT f.id, f.user_id, f.content_id, f.file_name, f.original_name, f.file_type, f.mime_type, f.file_size, f.file_path, f.sha256
              , f.width, f.height, f.duration_seconds, f.needs_playback, f.scan_state, f.thumbhash, f.package_name, f.tags, f.is_favorite, f.asset_category, f.usage_tags
              , f.character_names, f.audio_category, f.upload_date, f.created_at, f.updated_at, f.deleted_at
              , f.url_epoch, (SELECT s.url_epoch FROM user_storage s WHERE s.user_id = ",
    );
    query.push_bind(user.as_str().to_owned());
    query.push(format_args!(
        ") AS user_url_epoch
         , CASE WHEN {IS_SHORT} THEN f.asset_details
                ELSE (SELECT coalesce(jsonb_object_agg(d.key, d.value), '{{}}') FROM jsonb_each(f.asset_details) d
                       WHERE octet_length(d.value #>> '{{}}') <= {MAX_LISTED_BYTES} OR d.value = 'null') END AS asset_details
         , CASE WHEN {IS_SHORT} THEN '{{}}'
                ELSE ARRAY(SELECT d.key FROM jsonb_each(f.asset_details) d
                            WHERE octet_length(d.value #>> '{{}}') > {MAX_LISTED_BYTES}) END AS truncated_fields
         "
    ));
    query.push("FROM user_files f WHERE ");
    narrow(query, user, &request.filter);
    let (expression, comparison, direction) = match request.order {
        Order::Asc => (request.sort.expression(), ">", "ASC"),
        Order::Desc => (request.sort.expression(), "<", "DESC"),
    };
    if let Start::After(place) = &request.start {
        query.push(format_args!(" AND ({expression}, f.id) {comparison} ("));
        match &place.key {
            SortKey::Time(micros) => query.push_bind(to_time(*micros)),
            SortKey::Text(text) => query.push_bind(text.clone()),
            SortKey::Whole(number) => query.push_bind(*number),
            SortKey::Real(number) => query.push_bind(*number),
        };
        query.push(", ").push_bind(place.id).push(")");
    }
    query.push(format_args!(" ORDER BY {expression} {direction}, f.id {direction} LIMIT "));
    query.push_bind(request.limit + 1);
    if let Start::Offset(offset) = request.start
        && offset > 0
    {
        query.push(" OFFSET ").push_bind(offset);
    }
}

fn narrow(query: &mut QueryBuilder<Postgres>, user: &UserId, filter: &Filter) {
    query.push("f.user_id = ").push_bind(user.as_str().to_owned());
    query.push(if filter.trash { " AND f.deleted_at IS NOT NULL" } else { " AND f.deleted_at IS NULL" });
    if let Some(file_type) = filter.file_type {
        query.push(" AND f.file_type = ").push_bind(file_type);
    }
    match filter.favorite {
        Some(true) => drop(query.push(" AND f.is_favorite")),
        Some(false) => drop(query.push(" AND NOT f.is_favorite")),
        None => {}
    }
    if let Some(package) = &filter.package {
        query.push(" AND f.package_name = ").push_bind(package.clone());
    }
    if let Some(category) = filter.asset_category {
        query.push(" AND f.asset_category = ").push_bind(category);
    }
    if let Some(category) = filter.audio_category {
        query.push(" AND f.audio_category = ").push_bind(category);
    }
    if let Some(min_width) = filter.min_width {
        query.push(" AND f.width >= ").push_bind(min_width);
    }
    for (column, any_of) in [
        ("tags", &filter.tags),
        ("usage_tags", &filter.usage_tags),
        ("character_names", &filter.character_names),
    ] {
        if !any_of.is_empty() {
            query.push(format_args!(" AND f.{column} && ")).push_bind(any_of.clone());
        }
    }
    if let Some(q) = &filter.q {
        let escaped = q.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        query.push(" AND f.original_name ILIKE ").push_bind(format!("%{escaped}%"));
    }
}
