//! Which of ffmpeg's demuxers reads a type.
//! Never starts ffmpeg.

/// The demuxer for a bare stream of frames.
pub(crate) const HEVC_DEMUXER: &str = "hevc";

/// The demuxer for a type, so that ffmpeg never guesses: a guess could take a video for a playlist.
pub(crate) fn demuxer(mime: &str) -> Option<&'static str> {
    Some(match mime {
        "video/mp4" | "video/quicktime" | "video/x-m4v" | "video/3gpp" | "audio/mp4" | "audio/3gpp" => "mov",
        "video/x-matroska" | "video/webm" | "audio/x-matroska" | "audio/webm" => "matroska",
        "video/x-msvideo" | "audio/x-msvideo" => "avi",
        "video/mp2t" | "audio/mp2t" => "mpegts",
        "video/mpeg" => "mpeg",
        "video/mpv" => "mpegvideo",
        "video/h264" => "h264",
        "video/x-dv" => "dv",
        "video/mxf" => "mxf",
        "video/x-flv" | "audio/x-flv" => "flv",
        "video/ogg" | "audio/ogg" => "ogg",
        "video/x-ms-wmv" | "audio/x-ms-wma" => "asf",
        "audio/mpeg" => "mp3",
        "audio/aac" => "aac",
        "audio/wav" => "wav",
        "audio/flac" => "flac",
        "audio/aiff" => "aiff",
        "audio/amr" => "amr",
        "audio/x-caf" => "caf",
        "audio/ac3" => "ac3",
        "audio/eac3" => "eac3",
        "audio/vnd.dts" => "dts",
        "audio/basic" => "au",
        "audio/x-w64" => "w64",
        "audio/x-ape" => "ape",
        "audio/x-wavpack" => "wv",
        "audio/x-tta" => "tta",
        "audio/musepack" => "mpc8",
        "audio/x-musepack" => "mpc",
        _ => return None,
    })
}
