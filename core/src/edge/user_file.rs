//! A file as the API shows it: field for field what the live front end reads, and the new fields beside them.
//! Never decides who may see it.

use super::asset_view::AssetView;
use super::fields::Fields;
use crate::app::App;
use crate::auth::{Signer, Variant};
use crate::ids::{FileId, UserId};
use crate::media::{self, ThumbnailFormat};
use crate::model::{
    AssetCategory, AudioCategory, ByteSize, Derivative, DerivativeKind, DerivativeState, File, FileName,
    FileType, ScanState, Tags, ThumbnailSize,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use std::sync::LazyLock;
use time::OffsetDateTime;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema as _, ToSchema};

/// A file in an answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserFile {
    id: FileId,
    user_id: UserId,
    /// Name on the volume.
    file_name: String,
    /// Name as the user knows it.
    #[schema(value_type = String)]
    original_name: FileName,
    file_type: FileType,
    /// Media type as decided by the content.
    mime_type: String,
    /// Bytes.
    file_size: ByteSize,
    file_size_formatted: String,
    /// Relative to the storage root; for information.
    file_path: String,
    /// Relative to the storage root; for information.
    #[schema(required)]
    thumbnail_path: Option<String>,
    /// As displayed, such as `1920x1080`.
    #[schema(required)]
    resolution: Option<String>,
    /// `MM:SS`, from an hour on `HH:MM:SS`.
    #[schema(required)]
    duration: Option<String>,
    #[schema(required)]
    package_name: Option<String>,
    #[schema(value_type = Vec<String>)]
    tags: Tags,
    is_favorite: bool,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    upload_date: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[schema(required)]
    asset_category: Option<AssetCategory>,
    #[schema(value_type = Vec<String>)]
    usage_tags: Tags,
    #[schema(value_type = Vec<String>)]
    character_names: Tags,
    #[schema(required)]
    audio_category: Option<AudioCategory>,
    #[serde(flatten)]
    details: AssetView,
    /// Hex.
    sha256: String,
    #[schema(required)]
    width: Option<i32>,
    #[schema(required)]
    height: Option<i32>,
    #[schema(required)]
    duration_seconds: Option<f64>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    deleted_at: Option<OffsetDateTime>,
    /// When a file in the trash is removed for good, at the earliest; null outside the trash.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    purge_at: Option<OffsetDateTime>,
    /// Base64 of a blurred preview of about 25 bytes (ThumbHash), to show until the thumbnail has loaded.
    #[schema(required)]
    thumbhash: Option<String>,
    /// What the virus scanner said; null for files that came when none was configured. Until it is `clean` or `skipped`
    /// (too large for the scanner), `downloadUrl` and `streamUrl` need a token.
    #[schema(required)]
    scan: Option<ScanState>,
    /// Ready for `<img>`; null in the trash, like every URL.
    #[schema(required)]
    thumbnail_url: Option<String>,
    /// Null in the trash.
    #[schema(required)]
    download_url: Option<String>,
    /// Ready for `<video>` and `<audio>`: the file, or the `playback` derivative once it is there; null for what a browser
    /// must not show.
    #[schema(required)]
    stream_url: Option<String>,
    derivatives: Vec<DerivativeView>,
    /// Fields over 1 KiB, which a listing leaves out (null, or an empty object): `GET /api/files/{id}` has them. A listing
    /// of some fields says it of those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    truncated_fields: Vec<String>,
}

/// Something made from a file.
#[derive(Debug, Serialize, ToSchema)]
pub struct DerivativeView {
    kind: DerivativeKind,
    state: DerivativeState,
    /// How much of it is made, in percent; null unless it is being made and takes long.
    #[schema(required)]
    progress: Option<i16>,
    /// Why it could not be made.
    #[schema(required)]
    error: Option<String>,
    #[schema(required)]
    url: Option<String>,
}

/// Some fields of a file.
#[derive(Debug)]
pub struct FileFields {
    file: UserFile,
    fields: Fields,
}

impl FileFields {
    /// Shows these fields of a file.
    #[must_use]
    pub fn new(file: File, app: &App, fields: &Fields) -> Self {
        Self { file: UserFile::with(file, app, fields), fields: fields.clone() }
    }
}

impl Serialize for FileFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(&self.file, serializer)
    }
}

impl UserFile {
    /// The names of its fields, as the contract has them.
    #[must_use]
    pub fn fields() -> &'static [String] {
        static FIELDS: LazyLock<Vec<String>> = LazyLock::new(|| {
            let mut names = properties(AssetView::schema());
            names.extend(properties(UserFile::schema()));
            names
        });
        &FIELDS
    }

    /// Shows a file with URLs that work in a browser without a token.
    #[must_use]
    pub fn new(file: File, app: &App) -> Self {
        Self::with(file, app, &Fields::ALL)
    }

    /// The same without the URLs that are not wanted: signing costs as much as everything else.
    fn with(file: File, app: &App, wanted: &Fields) -> Self {
        let signer = &app.signer;
        let url = |variant: Variant| url(&file, variant, signer);
        // In the trash a file has no content, as its URLs would say.
        let is_there = file.deleted_at.is_none();
        let is_ready = |made: &&Derivative| made.state == DerivativeState::Ready;
        let default = shown(&file).find(|made| made.kind == DerivativeKind::Default);
        let has_thumbnail = default.is_some_and(|made| made.state != DerivativeState::Failed);
        let has_playback = shown(&file).filter(is_ready).any(|made| made.kind == DerivativeKind::Playback);
        let stream = match has_playback {
            true => Some(Variant::Playback),
            false => media::is_inline_safe(&file.mime_type).then_some(Variant::Stream),
        };
        let wants_url = |name: &str| is_there && wanted.has(name);
        let derivatives =
            if wanted.has("derivatives") { DerivativeView::all(&file, signer) } else { Vec::new() };
        let resolution = file.width.zip(file.height).map(|(width, height)| format!("{width}x{height}"));
        Self {
            file_size_formatted: file.size.formatted(),
            thumbnail_path: default.filter(is_ready).map(|thumbnail| thumbnail.path.clone()),
            resolution,
            duration: file.duration_seconds.map(clock_time),
            thumbnail_url: (wants_url("thumbnailUrl") && has_thumbnail).then(|| {
                let default = derivatives.iter().find(|made| made.kind == DerivativeKind::Default);
                let made = default.and_then(|made| made.url.clone());
                made.unwrap_or_else(|| url(Variant::Thumbnail(ThumbnailSize::Default)))
            }),
            download_url: wants_url("downloadUrl").then(|| url(Variant::Download)),
            stream_url: stream.filter(|_| wants_url("streamUrl")).map(url),
            purge_at: file.deleted_at.map(|at| at + app.config.limits.trash_keep),
            derivatives,
            truncated_fields: file.truncated_fields.into_iter().filter(|name| wanted.has(name)).collect(),
            scan: file.scan,
            thumbhash: file.thumbhash.map(|hash| STANDARD.encode(hash)),
            id: file.id,
            user_id: file.user_id,
            file_name: file.file_name,
            original_name: file.original_name,
            file_type: file.file_type,
            mime_type: file.mime_type,
            file_size: file.size,
            file_path: file.file_path,
            package_name: file.metadata.package_name,
            tags: file.metadata.tags,
            is_favorite: file.is_favorite,
            upload_date: file.upload_date,
            created_at: file.created_at,
            asset_category: file.metadata.asset_category,
            usage_tags: file.metadata.usage_tags,
            character_names: file.metadata.character_names,
            audio_category: file.metadata.audio_category,
            details: file.metadata.details.into(),
            sha256: file.sha256.to_string(),
            width: file.width,
            height: file.height,
            duration_seconds: file.duration_seconds,
            updated_at: file.updated_at,
            deleted_at: file.deleted_at,
        }
    }
}

impl DerivativeView {
    /// All derivatives of a file, made or still to be made, thumbnails first.
    #[must_use]
    pub fn all(file: &File, signer: &Signer) -> Vec<Self> {
        let mut all: Vec<Self> = shown(file)
            .map(|made| {
                let variant = made.kind.thumbnail().map_or(Variant::Playback, Variant::Thumbnail);
                Self {
                    kind: made.kind,
                    state: made.state,
                    progress: made.progress,
                    error: made.error.clone(),
                    url: (made.state == DerivativeState::Ready && file.deleted_at.is_none())
                        .then(|| url(file, variant, signer)),
                }
            })
            .collect();
        all.sort_by_key(|made| made.kind);
        all
    }
}

/// The names of an object's properties, without those of the components it includes.
fn properties(schema: RefOr<Schema>) -> Vec<String> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.properties.into_keys().collect(),
        RefOr::T(Schema::AllOf(all)) => all.items.into_iter().flat_map(properties).collect(),
        _ => Vec::new(),
    }
}

/// Other formats of the same thumbnail are made for old clients; nobody else needs to see them.
fn shown(file: &File) -> impl Iterator<Item = &Derivative> {
    file.derivatives.iter().filter(|made| {
        made.kind == DerivativeKind::Playback || made.mime_type == ThumbnailFormat::WebP.mime()
    })
}

/// A signed URL; without signing keys, and for bytes that no scanner has passed yet, the path that needs a token.
fn url(file: &File, variant: Variant, signer: &Signer) -> String {
    let may_sign = !variant.is_original() || file.scan.is_none_or(ScanState::allows_links);
    may_sign
        .then(|| signer.sign(&file.user_id, file.id, variant, file.url_epochs, None))
        .flatten()
        .map_or_else(|| format!("/api/files/{}/{}", file.id, variant.api_path()), |signed| signed.url)
}

fn clock_time(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours:02}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::clock_time;

    #[test]
    fn durations_read_as_on_a_player() {
        let shown = [0.0, 9.6, 65.0, 3599.4, 3600.0, 36_610.0].map(clock_time);
        assert_eq!(shown, ["00:00", "00:10", "01:05", "59:59", "01:00:00", "10:10:10"]);
    }
}
