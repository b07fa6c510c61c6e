//! A file's row of the legacy service in our own terms, and what can be wrong with it.
//! Never touches a store.

use crate::blob::Head;
use crate::db::adopted::Past;
use crate::db::legacy::LegacyFile;
use crate::ids::{FileId, UserId};
use crate::media::{self, Class, Sniffed};
use crate::model::{BlobKey, ByteSize, FileMetadata, FileName, FileType, Tags, nfc};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The media type that a browser receives for content that it could run.
const OPAQUE: &str = "application/octet-stream";

/// Why a user or a file stays behind, or is not taken over as its row has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub enum Problem {
    /// Stays behind: a row that makes no sense.
    UnreadableRow { table: &'static str, row: String, reason: String },
    /// Stays behind: a user id that cannot be a directory's name.
    RefusedUser { user_id: String },
    /// Stays behind: a row without its file.
    MissingFile { user_id: UserId, file_id: FileId, path: String, reason: String },
    /// Stays behind: something else has the name that the file would get.
    NameTaken { user_id: UserId, file_id: FileId, path: String, name: String },
    /// Comes along with the size that it has.
    WrongSize {
        user_id: UserId,
        file_id: FileId,
        path: String,
        expected_bytes: ByteSize,
        found_bytes: ByteSize,
    },
    /// Comes along, and can only be downloaded: a browser could run it.
    RefusedContent { user_id: UserId, file_id: FileId, path: String, found: &'static str },
}

/// A file's row that can be adopted.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: FileId,
    pub(super) user: UserId,
    pub(super) name: FileName,
    pub(super) file_type: FileType,
    pub(super) path: String,
    pub(super) size: ByteSize,
    pub(super) resolution: Option<(i32, i32)>,
    pub(super) duration_seconds: Option<f64>,
    pub(super) metadata: FileMetadata,
    pub(super) past: Past,
}

impl Record {
    /// Reads a row. Labels that our limits do not hold are left out, and so is a category that we do not know.
    pub(super) fn parse(row: LegacyFile, now: OffsetDateTime) -> Result<Self, Problem> {
        let user = UserId::parse(&row.user_id)
            .ok_or_else(|| Problem::RefusedUser { user_id: row.user_id.clone() })?;
        let unreadable =
            |reason: String| Problem::UnreadableRow { table: "user_files", row: row.id.to_string(), reason };
        let file_type = FileType::parse(&row.file_type)
            .ok_or_else(|| unreadable(format!("file_type is {:?}", row.file_type)))?;
        let instant = |text: &Option<String>| match text {
            Some(text) => {
                parse_time(text).map(Some).ok_or_else(|| unreadable(format!("{text:?} is no time")))
            }
            None => Ok(None),
        };
        let upload_date = instant(&row.upload_date)?.or(instant(&row.created_at)?).unwrap_or(now);
        let created_at = instant(&row.created_at)?.unwrap_or(upload_date);
        let past = Past {
            upload_date,
            created_at,
            updated_at: instant(&row.updated_at)?.unwrap_or(created_at),
            deleted_at: instant(&row.deleted_at)?,
            is_favorite: row.is_favorite,
        };
        Ok(Self {
            id: FileId(row.id),
            user,
            name: FileName::sanitize(&row.original_name),
            file_type,
            size: ByteSize::new(row.file_size.unsigned_abs()),
            resolution: row.resolution.as_deref().and_then(parse_resolution),
            duration_seconds: row.duration.as_deref().and_then(parse_duration),
            metadata: FileMetadata {
                package_name: row.package_name.map(|name| nfc(&name).into_owned()),
                tags: labels(row.tags),
                asset_category: row.asset_category.and_then(known),
                usage_tags: labels(row.usage_tags),
                character_names: labels(row.character_names),
                audio_category: row.audio_category.and_then(known),
                details: row.details,
            },
            path: row.file_path,
            past,
        })
    }

    pub(super) fn missing(&self, reason: &str) -> Problem {
        Problem::MissingFile {
            user_id: self.user.clone(),
            file_id: self.id,
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn name_taken(&self, key: &BlobKey) -> Problem {
        Problem::NameTaken {
            user_id: self.user.clone(),
            file_id: self.id,
            path: self.path.clone(),
            name: key.to_string(),
        }
    }

    /// Where the file is not what its row says.
    pub(super) fn differences(&self, head: &Head) -> Vec<Problem> {
        let (user_id, file_id, path) = (self.user.clone(), self.id, self.path.clone());
        let mut found = Vec::new();
        if head.size != self.size {
            let (expected_bytes, found_bytes) = (self.size, head.size);
            let (user_id, path) = (user_id.clone(), path.clone());
            found.push(Problem::WrongSize { user_id, file_id, path, expected_bytes, found_bytes });
        }
        let sniffed = media::sniff(&head.bytes, self.name.as_str());
        if sniffed.class == Class::Refused {
            found.push(Problem::RefusedContent { user_id, file_id, path, found: sniffed.label });
        }
        found
    }
}

/// The media type to store: what a browser could run is only ever downloaded.
pub(super) fn mime_type(sniffed: &Sniffed) -> &'static str {
    if sniffed.class == Class::Refused { OPAQUE } else { sniffed.mime }
}

/// A value of one of our closed lists.
fn known<T: serde::de::DeserializeOwned>(text: String) -> Option<T> {
    serde_json::from_value(Value::String(text)).ok()
}

fn labels(given: Vec<String>) -> Tags {
    let mut fitting = Tags::default();
    for label in given {
        let with = Tags::parse([label]).and_then(|label| fitting.with(&label));
        fitting = with.unwrap_or(fitting);
    }
    fitting
}

/// PostgreSQL's `timestamp` as JSON has no zone; the legacy service wrote UTC.
fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let time_of_day = text.get(11..)?;
    let has_zone = time_of_day.contains(['Z', '+', '-']);
    let zone = if has_zone { "" } else { "Z" };
    OffsetDateTime::parse(&format!("{text}{zone}"), &Rfc3339).ok()
}

/// `1920x1080`.
fn parse_resolution(text: &str) -> Option<(i32, i32)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.trim().parse::<i32>().ok().filter(|side| *side > 0);
    side(width).zip(side(height))
}

/// `MM:SS` or `HH:MM:SS`.
fn parse_duration(text: &str) -> Option<f64> {
    let parts: Option<Vec<u32>> = text.split(':').map(|part| part.trim().parse().ok()).collect();
    let parts = parts.filter(|parts| (2..=3).contains(&parts.len()))?;
    Some(parts.into_iter().fold(0.0, |seconds, part| seconds * 60.0 + f64::from(part)))
}

impl Problem {
    /// Whether the file, or its owner, was not adopted.
    #[must_use]
    pub const fn stays_behind(&self) -> bool {
        !matches!(self, Self::WrongSize { .. } | Self::RefusedContent { .. })
    }

    /// What kind of problem it is, as in its JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnreadableRow { .. } => "unreadableRow",
            Self::RefusedUser { .. } => "refusedUser",
            Self::MissingFile { .. } => "missingFile",
            Self::NameTaken { .. } => "nameTaken",
            Self::WrongSize { .. } => "wrongSize",
            Self::RefusedContent { .. } => "refusedContent",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnreadableRow { table, row, reason } => write!(f, "{table} {row}: {reason}"),
            Self::RefusedUser { user_id } => write!(f, "{user_id:?} cannot be a user id"),
            Self::MissingFile { file_id, path, reason, .. } => write!(f, "{file_id} {path}: {reason}"),
            Self::NameTaken { path, name, .. } => write!(f, "{path}: something else is {name}"),
            Self::WrongSize { path, expected_bytes, found_bytes, .. } => {
                write!(f, "{path}: has {found_bytes} bytes instead of {expected_bytes}")
            }
            Self::RefusedContent { path, found, .. } => write!(f, "{path}: is {found}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{labels, parse_duration, parse_resolution, parse_time};
    use time::macros::datetime;

    #[test]
    fn a_time_without_zone_is_utc() {
        assert_eq!(parse_time("2024-05-06T07:08:09.5"), Some(datetime!(2024-05-06 07:08:09.5 UTC)));
        assert_eq!(parse_time("2024-05-06T07:08:09+02:00"), Some(datetime!(2024-05-06 05:08:09 UTC)));
        assert_eq!(parse_time("yesterday, at some time"), None);
    }

    #[test]
    fn what_the_front_end_showed_becomes_numbers_again() {
        assert_eq!(parse_resolution("1920x1080"), Some((1920, 1080)));
        assert_eq!(parse_resolution("0x1"), None);
        assert_eq!((parse_duration("01:30"), parse_duration("01:00:01")), (Some(90.0), Some(3601.0)));
        assert_eq!((parse_duration("90"), parse_duration("a:b")), (None, None));
    }

    #[test]
    fn labels_beyond_the_limits_are_left_out() {
        let kept = labels(vec!["a".into(), "x".repeat(65), "a".into(), "b".into()]);
        assert_eq!(kept.as_slice(), ["a", "b"]);
    }
}
