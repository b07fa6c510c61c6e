//! The query of a listing: its parameters and its cursor, read into one request.
//! A cursor carries filter and sort, so that it continues the listing it came from.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jam_core::db::listing::{Filter, Order, Place, Request, Sort, Start};
use jam_core::edge::Params;
use jam_core::model::{AssetCategory, AudioCategory, FileType};
use jam_core::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Files on a page unless asked otherwise.
pub const DEFAULT_LIMIT: i64 = 50;
/// Deepest offset; a cursor has no such bound.
pub const MAX_OFFSET: i64 = 10_000;
/// Longest text to search for.
pub const MAX_TEXT_BYTES: usize = 255;
/// Most entries of a comma list.
pub const MAX_LIST: usize = 64;
/// Largest width in pixels to ask for.
pub const MAX_WIDTH: i32 = 1_000_000;

#[derive(Serialize, Deserialize)]
struct Cursor {
    filter: Filter,
    sort: Sort,
    order: Order,
    place: Place,
}

/// Reads the parameters.
pub(crate) fn parse(params: &Params, max_limit: i64) -> Result<Request> {
    let limit = params.number_at_most("limit", 1, max_limit)?.unwrap_or(DEFAULT_LIMIT);
    if let Some(cursor) = params.parsed("cursor", "a nextCursor as it was given", read_cursor)? {
        let Cursor { filter, sort, order, place } = cursor;
        return Ok(Request { filter, sort, order, start: Start::After(place), limit });
    }
    let depth = format!(
        "a whole number from 0 to {MAX_OFFSET}; to go deeper, pass the nextCursor of each page as cursor"
    );
    let offset = params.parsed("offset", &depth, |text| {
        text.parse().ok().filter(|offset| (0..=MAX_OFFSET).contains(offset))
    })?;
    let offset = offset.unwrap_or(0);
    let sort_names = format!("one of {}", Sort::NAMES.map(|(name, _)| name).join(", "));
    Ok(Request {
        filter: filter(params)?,
        sort: params.parsed("sortBy", &sort_names, Sort::parse)?.unwrap_or_default(),
        order: params
            .parsed("sortOrder", "ASC or DESC", |text| match text.to_ascii_uppercase().as_str() {
                "ASC" => Some(Order::Asc),
                "DESC" => Some(Order::Desc),
                _ => None,
            })?
            .unwrap_or_default(),
        start: Start::Offset(offset),
        limit,
    })
}

fn filter(params: &Params) -> Result<Filter> {
    let expected = format!("at most {MAX_TEXT_BYTES} bytes");
    let text = |name| params.parsed(name, &expected, |text| short(text).map(str::to_owned));
    Ok(Filter {
        file_type: params.parsed("type", "video, image, scene, project or audio", FileType::parse)?,
        favorite: params.flag("favorite")?,
        package: text("package")?,
        tags: list(params, "tags")?,
        asset_category: params.parsed("assetCategory", "an asset category", named::<AssetCategory>)?,
        usage_tags: list(params, "usageTags")?,
        audio_category: params.parsed("audioCategory", "an audio category", named::<AudioCategory>)?,
        character_names: list(params, "characterNames")?,
        min_width: min_width(params)?,
        q: text("q")?,
        trash: params.flag("trash")?.unwrap_or(false),
    })
}

fn short(text: &str) -> Option<&str> {
    (text.len() <= MAX_TEXT_BYTES).then_some(text)
}

fn min_width(params: &Params) -> Result<Option<i32>> {
    params.parsed("minWidth", &format!("a whole number from 1 to {MAX_WIDTH}"), |text| {
        text.parse().ok().filter(|width| (1..=MAX_WIDTH).contains(width))
    })
}

fn list(params: &Params, name: &'static str) -> Result<Vec<String>> {
    params.list(name, MAX_LIST, MAX_TEXT_BYTES)
}

/// A value by its name on the wire.
fn named<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

/// The cursor of the page that starts at `place`.
pub(crate) fn cursor(request: &Request, place: Place) -> Result<String> {
    let cursor = Cursor { filter: request.filter.clone(), sort: request.sort, order: request.order, place };
    let json = serde_json::to_vec(&cursor).map_err(|cause| Error::Internal(cause.into()))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn read_cursor(text: &str) -> Option<Cursor> {
    let cursor: Cursor = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let texts = [&cursor.filter.package, &cursor.filter.q];
    let is_clean = texts
        .iter()
        .all(|text| text.as_ref().is_none_or(|text| short(text).is_some() && !text.contains('\0')));
    let lists = [&cursor.filter.tags, &cursor.filter.usage_tags, &cursor.filter.character_names];
    let is_short =
        lists.iter().all(|list| list.len() <= MAX_LIST && list.iter().all(|entry| !entry.contains('\0')));
    (is_clean && is_short && cursor.place.fits(cursor.sort)).then_some(cursor)
}
