//! The query of a listing: one row a parameter, which says its name, what the contract says of it, and how it is read; and
//! the cursor. A cursor carries filter and sort, so that it continues the listing it came from.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jam_core::app::App;
use jam_core::db::listing::{Filter, Order, Place, Request, Sort, Start};
use jam_core::edge::{Fields, Params, UserFile};
use jam_core::model::{AssetCategory, AudioCategory, FileType};
use jam_core::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::{RefOr, Schema};

/// Files on a page unless asked otherwise.
const DEFAULT_LIMIT: i64 = 50;
/// Deepest offset; a cursor has no such bound.
const MAX_OFFSET: i64 = 10_000;
/// Longest text to search for.
const MAX_TEXT_BYTES: usize = 255;
/// Most entries of a comma list.
const MAX_LIST: usize = 64;
/// Largest width in pixels to ask for.
const MAX_WIDTH: i32 = 1_000_000;

/// What a listing asks for.
pub(crate) struct ListQuery {
    pub(crate) request: Request,
    pub(crate) wants_total: bool,
    pub(crate) fields: Fields,
}

/// A parameter.
struct Row {
    name: &'static str,
    about: &'static str,
    schema: fn() -> Value,
    read: fn(&Params, &'static str, &mut Given) -> Result<()>,
}

/// What has been read of a query so far.
struct Given {
    filter: Filter,
    sort: Sort,
    order: Order,
    offset: i64,
    cursor: Option<Cursor>,
    limit: i64,
    max_limit: i64,
    total: bool,
    fields: Fields,
}

/// Read in this order; a cursor ends the reading, because filter and sort are its own.
const ROWS: [Row; 18] = [
    row(
        "limit",
        "Files per page, from 1 on; 50 by default. What is above 1,000 counts as 1,000.",
        || json!({ "type": "integer", "minimum": 1, "default": DEFAULT_LIMIT }),
        |params, name, given| set(&mut given.limit, params.number_at_most(name, 1, given.max_limit)?),
    ),
    row("includeTotal", "Add `total`.", flag, |params, name, given| {
        set(&mut given.total, params.flag(name)?)
    }),
    row(
        Fields::PARAMETER,
        "Only these fields of each file, as `tags` are written. The answer is smaller and comes sooner. Fields that are not\nnamed are missing, also those that the schema requires.",
        || json!({ "type": "array", "items": { "type": "string", "enum": UserFile::fields() } }),
        |params, _, given| {
            given.fields = Fields::read(params, UserFile::fields())?;
            Ok(())
        },
    ),
    row(
        "cursor",
        "`nextCursor` of the page before; filter and sort are then taken from it.",
        || json!({ "type": "string" }),
        |params, name, given| {
            given.cursor = params.parsed(name, "a nextCursor as it was given", read_cursor)?;
            Ok(())
        },
    ),
    row(
        "offset",
        "Files to skip, 0 to 10,000; `cursor` has no such bound.",
        || json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_OFFSET, "default": 0 }),
        |params, name, given| {
            let expected = format!(
                "a whole number from 0 to {MAX_OFFSET}; to go deeper, pass the nextCursor of each page as cursor"
            );
            set(
                &mut given.offset,
                params.parsed(name, &expected, |text| {
                    text.parse().ok().filter(|offset| (0..=MAX_OFFSET).contains(offset))
                })?,
            )
        },
    ),
    row(
        "type",
        "`video`, `image`, `scene`, `project` or `audio`.",
        || component("FileType"),
        |params, name, given| {
            given.filter.file_type =
                params.parsed(name, "video, image, scene, project or audio", FileType::parse)?;
            Ok(())
        },
    ),
    row("favorite", "Only favourites, or only others.", flag, |params, name, given| {
        given.filter.favorite = params.flag(name)?;
        Ok(())
    }),
    row("package", "Only this package.", text, |params, name, given| {
        given.filter.package = read_text(params, name)?;
        Ok(())
    }),
    row(
        "tags",
        "Files with any of these: a comma list, the parameter several times, or `tags[]=` and `tags[0]=`, where an entry may\nhold a comma.",
        labels,
        |params, name, given| {
            given.filter.tags = read_labels(params, name)?;
            Ok(())
        },
    ),
    row(
        "assetCategory",
        "Only this asset category.",
        || component("AssetCategory"),
        |params, name, given| {
            given.filter.asset_category = params.parsed(name, "an asset category", named::<AssetCategory>)?;
            Ok(())
        },
    ),
    row("usageTags", "Files with any of these, as `tags`.", labels, |params, name, given| {
        given.filter.usage_tags = read_labels(params, name)?;
        Ok(())
    }),
    row(
        "audioCategory",
        "Only this audio category.",
        || component("AudioCategory"),
        |params, name, given| {
            given.filter.audio_category = params.parsed(name, "an audio category", named::<AudioCategory>)?;
            Ok(())
        },
    ),
    row("characterNames", "Files with any of these, as `tags`.", labels, |params, name, given| {
        given.filter.character_names = read_labels(params, name)?;
        Ok(())
    }),
    row(
        "minWidth",
        "Only images and videos of at least so many pixels across. What has no width is not found.",
        || json!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": MAX_WIDTH }),
        |params, name, given| {
            given.filter.min_width =
                params.parsed(name, &format!("a whole number from 1 to {MAX_WIDTH}"), |text| {
                    text.parse().ok().filter(|width| (1..=MAX_WIDTH).contains(width))
                })?;
            Ok(())
        },
    ),
    row("q", "Part of the name, any case.", text, |params, name, given| {
        given.filter.q = read_text(params, name)?;
        Ok(())
    }),
    row("trash", "The trash instead of the files outside it.", flag, |params, name, given| {
        set(&mut given.filter.trash, params.flag(name)?)
    }),
    row(
        "sortBy",
        "`upload_date` (default), `created_at`, `original_name`, `file_name`, `file_size`, `duration`, `date`, `name` or `size`.",
        || json!({ "type": "string", "enum": Sort::NAMES.map(|(name, _)| name), "default": Sort::NAMES[0].0 }),
        |params, name, given| {
            let names = format!("one of {}", Sort::NAMES.map(|(name, _)| name).join(", "));
            set(&mut given.sort, params.parsed(name, &names, Sort::parse)?)
        },
    ),
    row(
        "sortOrder",
        "`ASC` or `DESC` (default), any case.",
        || json!({ "type": "string", "enum": ["ASC", "DESC"], "default": "DESC" }),
        |params, name, given| {
            let order =
                params.parsed(name, "ASC or DESC", |text| match text.to_ascii_uppercase().as_str() {
                    "ASC" => Some(Order::Asc),
                    "DESC" => Some(Order::Desc),
                    _ => None,
                })?;
            set(&mut given.order, order)
        },
    ),
];

const fn row(
    name: &'static str,
    about: &'static str,
    schema: fn() -> Value,
    read: fn(&Params, &'static str, &mut Given) -> Result<()>,
) -> Row {
    Row { name, about, schema, read }
}

impl FromRequestParts<App> for ListQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let params = Params::from_request_parts(parts, app).await?;
        Self::read(&params, app.config.limits.max_page)
    }
}

impl ListQuery {
    fn read(params: &Params, max_limit: i64) -> Result<Self> {
        let mut given = Given {
            filter: Filter::default(),
            sort: Sort::default(),
            order: Order::default(),
            offset: 0,
            cursor: None,
            limit: DEFAULT_LIMIT,
            max_limit,
            total: false,
            fields: Fields::ALL,
        };
        for row in &ROWS {
            (row.read)(params, row.name, &mut given)?;
            if given.cursor.is_some() {
                break;
            }
        }
        let Given { filter, sort, order, offset, cursor, limit, total: wants_total, fields, .. } = given;
        let (filter, sort, order, start) = match cursor {
            Some(Cursor { filter, sort, order, place }) => (filter, sort, order, Start::After(place)),
            None => (filter, sort, order, Start::Offset(offset)),
        };
        let with_derivatives = fields.need_derivatives();
        let request = Request { filter, sort, order, start, limit, with_derivatives };
        Ok(Self { request, wants_total, fields })
    }
}

impl IntoParams for ListQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameters = ROWS.iter().map(|row| {
            let schema = (row.schema)();
            let is_list = schema["type"] == "array";
            ParameterBuilder::new()
                .name(row.name)
                .parameter_in(ParameterIn::Query)
                .description(Some(row.about))
                .schema(serde_json::from_value::<RefOr<Schema>>(schema).ok())
                .style(is_list.then_some(ParameterStyle::Form))
                .explode(is_list.then_some(true))
                .build()
        });
        parameters.collect()
    }
}

fn set<T>(field: &mut T, read: Option<T>) -> Result<()> {
    if let Some(value) = read {
        *field = value;
    }
    Ok(())
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn text() -> Value {
    json!({ "type": "string", "maxLength": MAX_TEXT_BYTES, "pattern": "^[^\\u0000]*$" })
}

fn labels() -> Value {
    let entry = json!({ "type": "string", "maxLength": MAX_TEXT_BYTES, "pattern": "^[^,\\u0000]*$" });
    json!({ "type": "array", "maxItems": MAX_LIST, "items": entry })
}

fn component(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn read_text(params: &Params, name: &'static str) -> Result<Option<String>> {
    let expected = format!("at most {MAX_TEXT_BYTES} bytes");
    params.parsed(name, &expected, |text| is_short(text).then(|| text.to_owned()))
}

fn is_short(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES
}

fn read_labels(params: &Params, name: &'static str) -> Result<Vec<String>> {
    params.list(name, MAX_LIST, MAX_TEXT_BYTES)
}

/// A value by its name on the wire.
fn named<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    filter: Filter,
    sort: Sort,
    order: Order,
    place: Place,
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
    let is_clean =
        texts.iter().all(|text| text.as_ref().is_none_or(|text| is_short(text) && !text.contains('\0')));
    let lists = [&cursor.filter.tags, &cursor.filter.usage_tags, &cursor.filter.character_names];
    let is_bounded =
        lists.iter().all(|list| list.len() <= MAX_LIST && list.iter().all(|entry| !entry.contains('\0')));
    (is_clean && is_bounded && cursor.place.fits(cursor.sort)).then_some(cursor)
}
