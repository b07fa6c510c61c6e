//! The sample media: images, videos and audio files from ffmpeg's own sources, and the metadata of each.
//! Invariant: needs no input file and no network, and looks the same on every machine.
//! Never runs anything.

use serde_json::{Map, Value, json};

/// A file to make.
pub(crate) struct Sample {
    /// Its name, unique.
    pub(crate) name: String,
    /// ffmpeg's arguments before the name of the output.
    pub(crate) arguments: Vec<String>,
    /// Fields of its upload.
    pub(crate) fields: Map<String, Value>,
    /// Whether it is marked as a favourite.
    pub(crate) is_favorite: bool,
}

/// Hills before a low sun: name, package, favourite, colours of sky, horizon, sun and three hills, the sun's place.
type Landscape = (&'static str, &'static str, bool, [u32; 6], [f64; 2]);

const LANDSCAPES: &[Landscape] = &[
    (
        "First light",
        "Northbound",
        true,
        [0x2b3a67, 0xf7b267, 0xfff1c9, 0xb56576, 0x6d597a, 0x355070],
        [0.68, 0.42],
    ),
    (
        "Ember evening",
        "Northbound",
        false,
        [0x1b1035, 0xe56b6f, 0xffd6a5, 0x7b2d5b, 0x4a1942, 0x22092c],
        [0.3, 0.46],
    ),
    (
        "High noon",
        "Northbound",
        false,
        [0x3a86c8, 0xcfe8f5, 0xfffbe6, 0x8fb996, 0x5a8f69, 0x2f5d50],
        [0.5, 0.2],
    ),
    ("Salt flats", "Mirage", true, [0xe8c4a0, 0xfbe9d7, 0xffffff, 0xd9a679, 0xb97f55, 0x7d5136], [0.22, 0.3]),
    (
        "Red planet",
        "Mirage",
        false,
        [0x3d1308, 0xe07a3f, 0xffe8c2, 0xa63d1e, 0x742513, 0x3b1009],
        [0.8, 0.36],
    ),
    (
        "Moonrise",
        "Nocturne",
        true,
        [0x05081c, 0x2c3e73, 0xf4f1de, 0x23315c, 0x141e40, 0x080d22],
        [0.62, 0.34],
    ),
    (
        "Polar night",
        "Nocturne",
        false,
        [0x06202b, 0x2aa198, 0xd6fff6, 0x14535a, 0x0d3740, 0x061d24],
        [0.4, 0.4],
    ),
    (
        "Lavender field",
        "Mirage",
        false,
        [0x6a5acd, 0xf2c6de, 0xfff4d6, 0x9d7bc7, 0x6f4fa0, 0x432c6b],
        [0.74, 0.4],
    ),
    (
        "Tea terraces",
        "Northbound",
        false,
        [0x7fb7be, 0xf3f7d5, 0xffffff, 0x7ea172, 0x4c7a4f, 0x284b35],
        [0.2, 0.28],
    ),
    (
        "Storm light",
        "Nocturne",
        false,
        [0x20262e, 0x8d99ae, 0xedf2f4, 0x4a5568, 0x323b4a, 0x1a202b],
        [0.52, 0.38],
    ),
    (
        "Coral bay",
        "Mirage",
        false,
        [0x0f7173, 0xf7c59f, 0xfff3e0, 0xe27d60, 0xb8503f, 0x612c2c],
        [0.36, 0.44],
    ),
    (
        "Last snow",
        "Northbound",
        true,
        [0x8fb8de, 0xfde2e4, 0xffffff, 0xdfe7fd, 0xa9bcd0, 0x6b82a0],
        [0.66, 0.4],
    ),
];

/// A still is drawn small and enlarged: the drawing costs more than the enlarging.
const DRAWN: &str = "640x400";

/// Videos: name, ffmpeg's video source, audio or silence, seconds, category, package.
const VIDEOS: &[(&str, &str, &str, u32, &str, &str)] = &[
    (
        "Drift.mp4",
        "gradients=s=1280x720:rate=24:c0=0xff6b6b:c1=0xfeca57:c2=0x5f27cd:nb_colors=3:seed=4:speed=0.02",
        "aevalsrc='0.12*sin(2*PI*110*t)+0.08*sin(2*PI*164.8*t)*(0.6+0.4*sin(t))':s=44100",
        12,
        "background",
        "Mirage",
    ),
    (
        "Into the spiral.mp4",
        "mandelbrot=s=640x360:rate=24:start_scale=0.9:end_scale=0.002:end_pts=240:maxiter=300,scale=1280:720:flags=lanczos",
        "",
        8,
        "full_video",
        "Nocturne",
    ),
    (
        "Colonies.mp4",
        "life=s=160x90:mold=12:rate=20:ratio=0.22:seed=7:death_color=0x1b1035:life_color=0xffd6a5:mold_color=0x7b2d5b,scale=1280:720:flags=neighbor",
        "",
        10,
        "clip",
        "Nocturne",
    ),
    (
        "Test card.mp4",
        "testsrc2=s=1280x720:rate=25",
        "sine=frequency=440:beep_factor=4:sample_rate=44100",
        15,
        "template",
        "Northbound",
    ),
];

/// Audio files: name, ffmpeg's source, category, style.
const AUDIO_FILES: &[(&str, &str, &str, &str)] = &[
    (
        "Window seat.mp3",
        "aevalsrc='0.25*exp(-3*mod(t,0.5))*sin(2*PI*(220+55*mod(floor(t*2),4))*t)+0.12*sin(2*PI*110*t)*(0.7+0.3*sin(t/2))':d=42",
        "background_music",
        "Ambient",
    ),
    (
        "Corner shop.mp3",
        "aevalsrc='0.3*exp(-6*mod(t,0.25))*sin(2*PI*(392+98*mod(floor(t*4),3))*t)':d=9",
        "jingle",
        "Bright",
    ),
    (
        "Door in the rain.wav",
        "anoisesrc=d=4:c=pink:a=0.4:seed=3,volume='exp(-1.2*t)':eval=frame",
        "sfx",
        "Foley",
    ),
    (
        "Take three.mp3",
        "anoisesrc=d=24:c=brown:a=0.8:seed=5,bandpass=f=480:w=300,tremolo=f=3.2:d=0.9,volume=6",
        "voiceover",
        "Calm",
    ),
];

/// All of it, newest last.
pub(crate) fn samples() -> Vec<Sample> {
    let audio_files = AUDIO_FILES.iter().map(audio);
    let videos = VIDEOS.iter().map(video);
    let images = LANDSCAPES.iter().enumerate().map(|(index, landscape)| image(index, landscape));
    audio_files.chain(videos).chain(images).collect()
}

fn audio(&(name, source, category, style): &(&str, &str, &str, &str)) -> Sample {
    let fields = json!({
        "assetCategory": "audio", "audioCategory": category, "audioStyle": style, "packageName": "Soundbook",
        "tags": ["sample", "audio"],
    });
    Sample { name: name.to_owned(), arguments: lavfi(source), fields: object(fields), is_favorite: false }
}

fn video(&(name, source, audio, seconds, category, package): &(&str, &str, &str, u32, &str, &str)) -> Sample {
    let mut arguments = lavfi(source);
    if !audio.is_empty() {
        arguments.extend(lavfi(audio));
    }
    let encoding = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p"];
    arguments.extend(encoding.map(str::to_owned));
    arguments.extend(["-movflags".to_owned(), "+faststart".to_owned(), "-t".to_owned(), seconds.to_string()]);
    let fields = json!({ "assetCategory": category, "packageName": package, "tags": ["sample", "motion"] });
    Sample { name: name.to_owned(), arguments, fields: object(fields), is_favorite: name == "Drift.mp4" }
}

fn image(index: usize, &(name, package, is_favorite, colours, sun): &Landscape) -> Sample {
    // Not all of one shape, as in a real library.
    let (size, category) = match index % 4 {
        3 => ("1200:1200", "background"),
        _ => ("1600:1000", "scene"),
    };
    let channels =
        [16, 8, 0].map(|shift| landscape_channel(colours.map(|c| (c >> shift) & 0xff), sun, index));
    let [red, green, blue] = channels;
    let source = format!(
        "color=black:s={DRAWN}:d=1,format=gbrp,geq=r='{red}':g='{green}':b='{blue}',\
         scale={size}:flags=lanczos:force_original_aspect_ratio=increase,crop={size},noise=alls=3,format=yuvj420p"
    );
    let mut arguments = lavfi(&source);
    arguments.extend(["-frames:v", "1", "-q:v", "3"].map(str::to_owned));
    let fields = json!({
        "assetCategory": category, "packageName": package, "sceneLocation": name,
        "tags": ["sample", if package == "Nocturne" { "night" } else { "day" }],
    });
    Sample { name: format!("{name}.jpg"), arguments, fields: object(fields), is_favorite }
}

/// One colour channel of a landscape as an expression of X and Y: hills nearest first, then the sun, then the sky.
fn landscape_channel(
    [sky, horizon, sun, hills @ ..]: [u32; 6],
    [sun_x, sun_y]: [f64; 2],
    seed: usize,
) -> String {
    let distance = format!("hypot(X-{sun_x}*W,Y-{sun_y}*H)/H");
    let air = format!("lerp({sky},{horizon},min(1,Y/H*1.5))");
    let glow = format!("lerp({air},{sun},0.75*exp(-4*{distance}))");
    let far = format!("if(lt({distance},0.085),{sun},{glow})");
    hills.iter().enumerate().fold(far, |behind, (index, hill)| {
        let nearness = index as f64;
        let (base, height, waves) = (0.52 + 0.13 * nearness, 0.07 - 0.006 * nearness, 5.0 + 2.3 * nearness);
        let phase = 1.7 * seed as f64 + 2.1 * nearness;
        let ridge = format!(
            "({base:.3}+{height:.4}*sin(X/W*{waves:.2}+{phase:.2})+{:.4}*sin(X/W*{:.2}+{:.2}))",
            height * 0.35,
            waves * 2.7,
            phase * 1.3
        );
        let mist = format!("max(0,{:.2}*(1-(Y/H-{ridge})*4))", 0.35 - 0.1 * nearness);
        format!("if(gt(Y/H,{ridge}),lerp({hill},{horizon},{mist}),{behind})")
    })
}

fn lavfi(source: &str) -> Vec<String> {
    ["-f", "lavfi", "-i", source].map(str::to_owned).to_vec()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::samples;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_samples_share_a_name() {
        let samples = samples();
        let names: BTreeSet<_> = samples.iter().map(|sample| sample.name.as_str()).collect();
        assert_eq!(names.len(), samples.len());
    }
}
