//! The command line of ffmpeg.

use std::process::Command;

use ffmpeg_sidecar::command::FfmpegCommand;

use crate::facts::HighDynamicRange;
use crate::fit::{Fit, FitTo};
use crate::heif::Rectangle;
use crate::limits::MediaLimits;
use crate::playback::Conversion;

/// What ffmpeg is to decode.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    /// Frames of a video.
    Frame(Look),
    /// The cover image of an audio file.
    Cover,
    /// The waveform of an audio file.
    Waveform,
    /// An image whose tiles come as frames: tiles across and down, its size, the part to show, and the size to scale
    /// that to. `whole` is the length of a file that is one frame, in bytes.
    Still { tiles: (u32, u32), size: (u32, u32), shown: Rectangle, scaled: (u32, u32), whole: Option<usize> },
}

/// Which frames of a video are looked at, and from which time on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// The time to start from, in seconds.
    pub(crate) at: f64,
    /// Which frames are decoded.
    pub(crate) pace: Pace,
    /// How many other video streams come first in the file.
    pub(crate) index: usize,
    /// How its light is coded.
    pub(crate) hdr: Option<HighDynamicRange>,
}

/// How many frames of a video are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Keyframes only, which are cheap.
    Keyframes,
    /// Each one.
    All,
    /// One in so many seconds.
    Every(f64),
}

impl Pace {
    /// How many frames are looked at until one is bright enough to show something.
    const fn frames(self) -> u32 {
        match self {
            Self::Keyframes | Self::All => 4,
            Self::Every(_) => 16,
        }
    }
}

const EXR_DEMUXER: &str = "exr_pipe";

/// ffmpeg reading its standard input and writing PPM frames to its standard output.
pub(crate) fn ffmpeg(demuxer: &str, task: Task, within: FitTo, limits: &MediaLimits) -> Command {
    let mut ffmpeg = FfmpegCommand::new();
    ffmpeg.hide_banner().args(["-nostdin", "-loglevel", "level+error", "-threads", "1"]);
    if let Task::Frame(Look { at, pace, .. }) = task {
        if matches!(pace, Pace::Keyframes) {
            ffmpeg.args(["-skip_frame", "nokey", "-noaccurate_seek"]);
        }
        if at > 0.0 {
            ffmpeg.seek(format!("{at:.3}"));
        }
    }
    if !matches!(task, Task::Waveform) {
        ffmpeg.args(["-max_pixels", &limits.max_pixels.to_string()]);
    }
    if demuxer == EXR_DEMUXER {
        // It holds light; what screens show are the numbers of sRGB.
        ffmpeg.args(["-apply_trc", "iec61966_2_1"]);
    }
    if let Task::Still { whole: Some(bytes), .. } = task {
        // Without it, what has no parser of its own is cut into pieces.
        ffmpeg.args(["-frame_size", &bytes.to_string()]);
    }
    // Videos need seeking, so theirs is a path to the open file.
    let input = if matches!(task, Task::Still { .. }) { "pipe:0" } else { "/dev/fd/0" };
    ffmpeg.args(["-protocol_whitelist", "file,pipe"]).format(demuxer).input(input);
    match task {
        Task::Frame(Look { pace, index, hdr, .. }) => {
            let filter = paced(pace) + &frame_filter(within) + &plain_light(hdr);
            ffmpeg.no_audio().map(format!("0:V:{index}")).filter(filter).frames(pace.frames());
            ffmpeg.args(["-fps_mode", "passthrough"]);
        }
        Task::Cover => {
            ffmpeg.no_audio().map("0:v:0").filter(frame_filter(within)).frames(1);
        }
        Task::Waveform => {
            ffmpeg.filter_complex(waveform_filter(within)).map("[waveform]").frames(1);
            ffmpeg.duration(limits.waveform.as_secs().to_string());
        }
        Task::Still { tiles, size, shown, scaled, .. } => {
            ffmpeg.map("0:v:0").filter(still_filter(tiles, size, shown, scaled)).frames(1);
            ffmpeg.args(["-fps_mode", "passthrough"]);
        }
    }
    ffmpeg.args(["-sn", "-dn"]).format("image2pipe").codec_video("ppm").pix_fmt("rgb24").output("pipe:1");
    ffmpeg.into()
}

/// ffmpeg reading a video from its standard input and writing these two of its streams as an MP4 to its standard
/// output, which is a file; its progress goes to its log.
pub(crate) fn conversion(
    demuxer: &str,
    (video, audio): (&str, Option<&str>),
    conversion: Conversion,
    hdr: Option<HighDynamicRange>,
    limits: &MediaLimits,
) -> Command {
    let threads = limits.conversion_threads.to_string();
    let mut ffmpeg = FfmpegCommand::new();
    ffmpeg.hide_banner().args(["-nostdin", "-loglevel", "level+error", "-nostats"]);
    ffmpeg.args(["-progress", "pipe:2", "-stats_period", "1", "-threads", &threads]);
    ffmpeg.args(["-protocol_whitelist", "file,pipe"]).format(demuxer).input("/dev/fd/0");
    ffmpeg.map(video);
    if let Some(audio) = audio {
        ffmpeg.map(audio);
    }
    ffmpeg.args(["-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"]);
    if conversion.copies_video {
        ffmpeg.codec_video("copy");
    } else {
        let filter = WITHIN_720P.to_owned() + &plain_light(hdr);
        ffmpeg.codec_video("libx264").pix_fmt("yuv420p").args(["-filter:v", &filter]);
        ffmpeg.args(["-threads", &threads, "-preset", "veryfast", "-crf", "23"]);
        ffmpeg.args(["-maxrate", "4M", "-bufsize", "8M", "-fpsmax", "60"]);
        // A player can only seek to a keyframe.
        ffmpeg.args(["-force_key_frames", "expr:gte(t,n_forced*2)"]);
    }
    if conversion.copies_audio {
        ffmpeg.codec_audio("copy");
    } else {
        ffmpeg.codec_audio("aac").args(["-b:a", "128k", "-ac", "2"]);
    }
    // A path to the open file, because the index is written last and then moved to the front.
    ffmpeg.args(["-movflags", "+faststart"]).format("mp4").overwrite().output("/dev/fd/1");
    ffmpeg.into()
}

/// At most 1280 by 720, lying or standing, in square samples and even numbers, which 4:2:0 needs.
const WITHIN_720P: &str = "scale=\
    w='2*max(1,round(iw*max(sar,1*not(sar))/2*min(1,min(1280/max(iw*max(sar,1*not(sar)),ih),720/min(iw*max(sar,1*not(sar)),ih)))))':\
    h='2*max(1,round(ih/2*min(1,min(1280/max(iw*max(sar,1*not(sar)),ih),720/min(iw*max(sar,1*not(sar)),ih)))))',setsar=1";

/// The part of a filter that drops frames.
fn paced(pace: Pace) -> String {
    match pace {
        Pace::Keyframes | Pace::All => String::new(),
        Pace::Every(seconds) => {
            format!("select='isnan(prev_selected_t)+gte(t-prev_selected_t,{seconds:.3})',")
        }
    }
}

/// Square samples, and no more pixels than the variant needs. ffmpeg has applied the rotation before.
fn frame_filter(frame: FitTo) -> String {
    let scale = match frame {
        FitTo::Cover(width, height) => format!("max({width}/(iw*sar),{height}/ih)"),
        FitTo::Inside(longest) => format!("min({longest}/(iw*sar),{longest}/ih)"),
    };
    // A sample aspect ratio that is not known is 0.
    let scale = scale.replace("sar", "max(sar,1*not(sar))");
    let wide = format!("max(1,round(iw*max(sar,1*not(sar))*min(1,{scale})))");
    format!("scale=w='{wide}':h='max(1,round(ih*min(1,{scale})))',setsar=1")
}

/// Maps HDR video to the range of plain screens: what is as bright as paper (203 cd/m2, ITU-R BT.2408) stays white, and
/// what is brighter is compressed into the little that is left above.
fn plain_light(hdr: Option<HighDynamicRange>) -> String {
    let transfer = match hdr {
        None => return String::new(),
        Some(HighDynamicRange::Pq) => "smpte2084",
        Some(HighDynamicRange::Hlg) => "arib-std-b67",
    };
    // Only without subsampling may the sides be odd.
    format!(
        ",format=yuv444p10le,zscale=tin={transfer}:pin=bt2020:min=bt2020nc:t=linear:npl=203,format=gbrpf32le\
         ,zscale=p=bt709,tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=limited,format=yuv444p"
    )
}

/// Tiles reach beyond the image's right and lower edges.
fn still_filter(tiles: (u32, u32), size: (u32, u32), shown: Rectangle, scaled: (u32, u32)) -> String {
    let tile = match tiles {
        (1, 1) => String::new(),
        (across, down) => format!("tile={across}x{down}:nb_frames={},", across * down),
    };
    // A decoder crops a single frame by itself; `shown` states what is left to crop.
    let crop = if tiles == (1, 1) && shown == Rectangle::whole(size) {
        String::new()
    } else {
        let ((width, height), (left, top)) = (shown.size, shown.corner);
        format!("crop={width}:{height}:{left}:{top}:exact=1,")
    };
    format!("{tile}{crop}scale={}:{}", scaled.0, scaled.1)
}

/// White on black, over the whole width.
fn waveform_filter(frame: FitTo) -> String {
    let (width, height) = canvas(frame);
    format!(
        "[0:a:0]aformat=channel_layouts=mono,showwavespic=s={width}x{height}:colors=white:scale=sqrt[waveform]"
    )
}

/// The size of a variant of a large image of 16:9.
fn canvas(frame: FitTo) -> (u32, u32) {
    Fit::new(frame, (3840, 2160), image::metadata::Orientation::NoTransforms).output
}
