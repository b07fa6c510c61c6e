//! The media crate in this service's terms: which types of file a content can be stored as, and what the named sizes of
//! thumbnails are in pixels.
//! Never reads a byte itself.

pub use jam_media::*;

use crate::model::{FileType, ThumbnailSize};

/// The type of file that a content makes, if it makes one.
#[must_use]
pub const fn file_type(sniffed: &Sniffed) -> Option<FileType> {
    match sniffed.class {
        Class::Image => Some(FileType::Image),
        Class::Video => Some(FileType::Video),
        Class::Audio => Some(FileType::Audio),
        Class::Other | Class::Refused => None,
    }
}

/// Whether a content may be stored as `declared`: a later change of the type gets the same answer.
#[must_use]
pub fn accepts(sniffed: &Sniffed, declared: FileType) -> bool {
    sniffed.class != Class::Refused && mime_accepts(sniffed.mime, declared)
}

/// Whether content that was sniffed as `mime` and is not refused may be stored as `declared`.
/// A scene or project is anything; a container of tracks passes as audio or video, because its first bytes do not
/// show which tracks it holds.
#[must_use]
pub fn mime_accepts(mime: &str, declared: FileType) -> bool {
    match declared {
        FileType::Scene | FileType::Project => true,
        FileType::Image => mime.starts_with("image/"),
        FileType::Video => is_container(mime) || mime.starts_with("video/"),
        FileType::Audio => is_container(mime) || mime.starts_with("audio/"),
    }
}

/// The type of file that content of this type is stored as, where a client declared one that the content accepts: a
/// container that holds audio alone is audio, although clients that only know its extension say video.
#[must_use]
pub fn stored_as(mime: &str, declared: FileType) -> FileType {
    match declared {
        FileType::Video if is_audio_alone(mime) => FileType::Audio,
        declared => declared,
    }
}

/// The pixels of a named size.
#[must_use]
pub const fn frame(size: ThumbnailSize) -> FitTo {
    match size {
        ThumbnailSize::Default => FitTo::Cover(400, 225),
        ThumbnailSize::Small => FitTo::Inside(256),
        ThumbnailSize::Medium => FitTo::Inside(640),
        ThumbnailSize::Large => FitTo::Inside(1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    const MP4: &[u8] = b"\0\0\0\x18ftypisom\0\0\0\0isomiso2";
    const M4A: &[u8] = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42";
    const WAV: &[u8] = b"RIFF\0\0\x01\0WAVEfmt \x10\0\0\0\x01\0\x01\0";
    const PHOTOSHOP: &[u8] = b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x10\0\0\0\x10\0\x08\0\x03";

    #[test]
    fn what_is_refused_may_be_nothing() {
        let sniffed = sniff(b"<!DOCTYPE html><html></html>", "innocent.mp4");
        assert_eq!(sniffed.class, Class::Refused);
        assert!(FileType::ALL.iter().all(|declared| !accepts(&sniffed, *declared)));
    }

    #[test]
    fn a_scene_or_project_takes_anything_that_is_not_refused() {
        for head in [JPEG, MP4, b"{}", b""] {
            assert!(
                accepts(&sniff(head, "x"), FileType::Scene) && accepts(&sniff(head, "x"), FileType::Project)
            );
        }
    }

    #[test]
    fn only_the_declared_kind_is_accepted_but_containers_pass_as_audio_or_video() {
        let taken = |head| FileType::ALL.map(|declared| accepts(&sniff(head, "x"), declared));
        let types = |image, video, audio| {
            FileType::ALL.map(|declared| match declared {
                FileType::Image => image,
                FileType::Video => video,
                FileType::Audio => audio,
                FileType::Scene | FileType::Project => true,
            })
        };
        assert_eq!(taken(JPEG), types(true, false, false));
        assert_eq!(taken(PHOTOSHOP), types(true, false, false));
        assert_eq!(taken(WAV), types(false, false, true));
        assert_eq!(taken(MP4), types(false, true, true));
        assert_eq!(taken(M4A), types(false, true, true));
        for mime in ["audio/webm", "audio/x-matroska", "audio/3gpp"] {
            assert!(mime_accepts(mime, FileType::Video) && mime_accepts(mime, FileType::Audio), "{mime}");
            assert_eq!(stored_as(mime, FileType::Video), FileType::Audio, "a client only knew its extension");
        }
        assert_eq!(
            stored_as("video/webm", FileType::Audio),
            FileType::Audio,
            "a video can be meant as audio"
        );
    }

    #[test]
    fn the_type_of_file_follows_from_the_class() {
        let types = [M4A, MP4, JPEG, b"hello"].map(|head| file_type(&sniff(head, "x")));
        assert_eq!(types, [Some(FileType::Audio), Some(FileType::Video), Some(FileType::Image), None]);
    }
}
