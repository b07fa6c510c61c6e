//! Files made to harm whoever looks into them, sent to the service as it runs: it stays up and answers, its memory stays
//! bounded, and the derivative of a failed file says why.

use crate::app::media::{by_ffmpeg, jpeg, png};
use crate::app::process::{Process, Site, client_over};
use crate::app::{ANN, As, Form};
use image::{DynamicImage, GrayImage, ImageFormat};
use jam_core::db;
use serde_json::Value;
use sqlx::PgPool;
use std::io::Cursor;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What such files may make of the process's memory at most, whatever they promise.
const MOST_MEMORY_MIB: u64 = 400;

/// What becomes of a file.
#[derive(Clone)]
enum Fate {
    /// It is refused.
    Refused,
    /// It is stored, its thumbnail fails, and the API says why.
    Fails,
    /// It is stored and has a thumbnail.
    Shows,
    /// It is stored; whether it has a thumbnail depends on where it is damaged.
    Either,
}

#[derive(Clone)]
struct Hostile {
    name: String,
    content: Vec<u8>,
    fate: Fate,
}

fn hostile(name: &str, content: impl Into<Vec<u8>>, fate: Fate) -> Hostile {
    Hostile { name: name.to_owned(), content: content.into(), fate }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn files_made_to_harm_cost_the_service_nothing_and_tell_their_senders_why(pool: PgPool) {
    // Before the service is there, because this takes longer than it keeps a connection without a request.
    let files =
        [promising_too_much(), lists_and_documents(), two_in_one(), broken_pngs(), damaged()].concat();
    let site = Site::new(pool.clone());
    let process = site.start("jam-all", &[]).await;
    let done = CancellationToken::new();
    let work = async {
        let stored = send_all(&process.user(ANN), files).await;
        wait_for_jobs(&pool).await;
        for (id, name, fate) in stored {
            check(&process.user(ANN), &id, &name, &fate).await;
        }
        done.cancel();
    };
    let ((), mut latencies) = tokio::join!(work, ask_for_health(&site, &done));
    latencies.sort();
    let (median, worst) = (latencies[latencies.len() / 2], latencies[latencies.len() - 1]);
    let peak = peak_mib(&process);
    report(&format!("{} times asked, median {median:?}, worst {worst:?}; peak {peak} MiB", latencies.len()));
    assert!(median < Duration::from_millis(50), "{median:?}");
    assert!(peak < MOST_MEMORY_MIB, "{peak} MiB");
    process.stop().await;
    site.assert_clean().await;
}

#[expect(clippy::disallowed_macros, reason = "docs/performance-media.md quotes what was measured")]
fn report(text: &str) {
    println!("{text}");
}

/// Ids, names and fates of what was taken.
async fn send_all(ann: &As<'_>, files: Vec<Hostile>) -> Vec<(String, String, Fate)> {
    let mut stored = Vec::new();
    for Hostile { name, content, fate } in files {
        let answer = ann.upload(Form::new().file(&name, &content)).await;
        if let Fate::Refused = fate {
            let error = answer.refused(415, "type_refused");
            assert!(error["error"].as_str().is_some_and(|reason| !reason.is_empty()), "{name}");
        } else {
            assert!(matches!(answer.status, 200 | 201), "{name}: {}", answer.status);
            let id = answer.json()["files"][0]["id"].as_str().unwrap().to_owned();
            stored.push((id, name, fate));
        }
    }
    stored
}

/// Waits until nothing is left to do, and sees that nothing was given up.
async fn wait_for_jobs(pool: &PgPool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    let mut conn = pool.acquire().await.unwrap();
    loop {
        let [ready, running, dead] = db::jobs::counts(&mut conn).await.unwrap();
        assert_eq!(dead, 0, "a job was given up");
        if (ready, running) == (0, 0) {
            return;
        }
        assert!(Instant::now() < deadline, "{ready} jobs wait, {running} run");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn check(ann: &As<'_>, id: &str, name: &str, fate: &Fate) {
    let file = ann.file(id).await;
    let derivatives = file["derivatives"].as_array().unwrap();
    for made in derivatives {
        let has_reason = made["error"].as_str().is_some_and(|reason| reason.len() > 10);
        assert!(made["state"] == "ready" || (made["state"] == "failed" && has_reason), "{name}: {made}");
    }
    let thumbnail = derivatives.iter().find(|made| made["kind"] == "default");
    let thumbnail = thumbnail.unwrap_or(&Value::Null);
    match fate {
        Fate::Shows => assert_eq!(thumbnail["state"], "ready", "{name}: {thumbnail}"),
        Fate::Fails => {
            assert_eq!(thumbnail["state"], "failed", "{name}: {thumbnail}");
            let asked = ann.get(&format!("/api/files/{id}/thumbnail")).await;
            let error = asked.refused(404, "thumbnail_unavailable");
            let (message, reason) = (error["error"].as_str().unwrap(), thumbnail["error"].as_str().unwrap());
            assert!(message.contains(reason), "{name}: {message}");
        }
        Fate::Refused | Fate::Either => {}
    }
}

/// Asks every few milliseconds how the service is, until `done`; how long each answer took.
async fn ask_for_health(site: &Site, done: &CancellationToken) -> Vec<Duration> {
    let http = client_over(&site.path("jam-all.sock"));
    let mut latencies = Vec::new();
    while !done.is_cancelled() {
        let asked = Instant::now();
        let answer = http.get("http://localhost/health").send().await.unwrap();
        latencies.push(asked.elapsed());
        assert_eq!(answer.status(), 200);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    latencies
}

/// The most memory that the process has had.
fn peak_mib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Headers of 60,000 by 60,000, a million frames, and a hundred megapixels in a few kilobytes.
fn promising_too_much() -> Vec<Hostile> {
    const SIDE: u16 = 60_000;
    let (big, little) = (SIDE.to_be_bytes(), SIDE.to_le_bytes());
    let mut photograph = jpeg(64, 48);
    let frame = photograph.windows(2).position(|mark| mark == [0xFF, 0xC0]).unwrap();
    photograph[frame + 5..frame + 9].copy_from_slice(&[big, big].concat());
    let gif = [
        b"GIF89a",
        &little[..],
        &little,
        &[0, 0, 0, b',', 0, 0, 0, 0],
        &little,
        &little,
        &[0, 2, 1, 0, 0, b';'],
    ];
    let wide = u32::from(SIDE).to_le_bytes();
    let bmp = [
        b"BM",
        &[0; 8][..],
        &54u32.to_le_bytes(),
        &40u32.to_le_bytes(),
        &wide,
        &wide,
        &[1, 0, 24, 0],
        &[0; 24],
    ];
    let entry = |tag: u8, value: [u8; 2]| [&[tag, 1, 3, 0, 1, 0, 0, 0][..], &value, &[0, 0]].concat();
    let tiff = [&b"II*\0\x08\0\0\0\x02\0"[..], &entry(0, little), &entry(1, little), &[0; 4]].concat();
    let pixels = GrayImage::new(10_000, 10_000);
    let mut bomb = Cursor::new(Vec::new());
    DynamicImage::from(pixels).write_to(&mut bomb, ImageFormat::Png).unwrap();
    vec![
        hostile(
            "large.png",
            png_of(u32::from(SIDE), u32::from(SIDE), [8, 6, 0, 0, 0], &[0x55; 300]),
            Fate::Fails,
        ),
        hostile("large.jpg", photograph, Fate::Fails),
        hostile("large.gif", gif.concat(), Fate::Fails),
        hostile("large.bmp", bmp.concat(), Fate::Fails),
        hostile("large.tif", tiff, Fate::Either),
        hostile("frames.gif", million_frames(), Fate::Shows),
        hostile("bomb.png", bomb.into_inner(), Fate::Shows),
    ]
}

fn million_frames() -> Vec<u8> {
    let head = b"GIF89a\x01\0\x01\0\x80\0\0\xFF\0\0\0\0\xFF";
    let frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    [&head[..], &frame.repeat(1_000_000), b";"].concat()
}

/// What makes a player open other files, or a browser run something, under names of videos and images.
fn lists_and_documents() -> Vec<Hostile> {
    [
        ("list.mp4", "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("concat.mp4", "ffconcat version 1.0\nfile /etc/passwd\n"),
        ("session.mp4", "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nm=video 1 RTP/AVP 96\r\n"),
        ("page.jpg", "<html><script>alert(1)</script></html>"),
    ]
    .map(|(name, text)| hostile(name, text, Fate::Refused))
    .into_iter()
    .chain(drawings())
    .collect()
}

/// Drawings that would run something, read other files, or take for ever to draw.
fn drawings() -> [Hostile; 3] {
    let noise = "<filter id='f'><feTurbulence numOctaves='9999'/></filter><rect filter='url(#f)' width='9' height='9'/>";
    [
        (
            "drawing.png",
            "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_owned(),
            Fate::Either,
        ),
        (
            "entity.svg",
            "<!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>".to_owned(),
            Fate::Fails,
        ),
        (
            "noise.svg",
            format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'>{noise}</svg>"),
            Fate::Fails,
        ),
    ]
    .map(|(name, text, fate)| hostile(name, text, fate))
}

/// Files of one type to this service that other software may take for another.
fn two_in_one() -> Vec<Hostile> {
    let script = b"GIF89a/*\0\0\0\0*/=1;alert(document.domain)//;";
    let video = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom<html><script>alert(1)</script></html>";
    let image = jpeg(640, 480);
    let comment = b"<script>alert(1)</script>";
    let length = u16::try_from(comment.len() + 2).unwrap().to_be_bytes();
    let commented = [&image[..2], &[0xFF, 0xFE], &length, comment, &image[2..]].concat();
    vec![
        hostile("script.gif", *script, Fate::Fails),
        hostile("page.mp4", *video, Fate::Fails),
        hostile("comment.jpg", commented, Fate::Shows),
        hostile("archive.png", [png(640, 480), b"PK\x03\x04 and more".to_vec()].concat(), Fate::Shows),
    ]
}

/// What PngSuite has among its broken files: colour types and depths that do not exist, no data, wrong sums.
fn broken_pngs() -> Vec<Hostile> {
    let audio = png(64, 48);
    let mut wrong_sum = audio.clone();
    wrong_sum[29] ^= 0xFF;
    vec![
        hostile("colour-type-1.png", png_of(32, 32, [8, 1, 0, 0, 0], &[]), Fate::Fails),
        hostile("colour-type-9.png", png_of(32, 32, [8, 9, 0, 0, 0], &[]), Fate::Fails),
        hostile("depth-0.png", png_of(32, 32, [0, 0, 0, 0, 0], &[]), Fate::Fails),
        hostile("depth-99.png", png_of(32, 32, [99, 0, 0, 0, 0], &[]), Fate::Fails),
        hostile("no-data.png", png_of(32, 32, [8, 0, 0, 0, 0], &[]), Fate::Fails),
        hostile("no-pixels.png", png_of(0, 32, [8, 0, 0, 0, 0], &[]), Fate::Either),
        hostile("noise.png", png_of(32, 32, [8, 0, 0, 0, 0], &[0x55; 300]), Fate::Either),
        hostile("wrong-sum.png", wrong_sum, Fate::Either),
    ]
}

/// A PNG with this header and this as its compressed data, with the right sums.
fn png_of(width: u32, height: u32, rest: [u8; 5], data: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &rest].concat();
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        let summed = [kind, content].concat();
        [&length[..], &summed, &crc32(&summed).to_be_bytes()].concat()
    };
    let data = if data.is_empty() { Vec::new() } else { chunk(b"IDAT", data) };
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)[..], &data, &chunk(b"IEND", &[])].concat()
}

/// PNG's sum (ISO 15948, annex D).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 },
        )
    })
}

/// A file of each kind, cut off in the middle, with bits turned over, and with a hole.
fn damaged() -> Vec<Hostile> {
    const VIDEO: &str = "-f lavfi -i testsrc=size=160x90:rate=10:duration=1";
    const TONE: &str = "-f lavfi -i sine=duration=1";
    let mut whole = vec![("a.png".to_owned(), png(640, 480)), ("a.jpg".to_owned(), jpeg(640, 480))];
    for (name, arguments) in [
        ("a.gif", "-frames:v 3"),
        ("a.webp", "-frames:v 1"),
        ("a.tiff", "-frames:v 1"),
        ("a.bmp", "-frames:v 1"),
        ("a.avif", "-frames:v 1 -c:v libsvtav1"),
        ("a.mp4", "-c:v libx264"),
        ("front.mp4", "-c:v libx264 -movflags +faststart"),
        ("a.mov", "-c:v mjpeg"),
        ("a.mkv", "-c:v libx264"),
        ("a.webm", "-c:v libvpx"),
        ("a.avi", "-c:v mpeg4"),
        ("a.ts", "-c:v libx264"),
        ("a.mpg", "-r 25 -c:v mpeg2video"),
        ("a.flv", "-c:v flv1"),
        ("a.ogv", "-c:v libtheora"),
        ("a.wmv", "-c:v wmv2"),
    ] {
        whole.push((name.to_owned(), by_ffmpeg(name, &format!("{VIDEO} {arguments}"))));
    }
    for name in ["a.mp3", "a.flac", "a.ogg", "a.opus", "a.wav", "a.m4a", "a.aac", "a.aiff", "a.caf"] {
        let codec = if name == "a.caf" { "-c:a pcm_s16le" } else { "" };
        whole.push((name.to_owned(), by_ffmpeg(name, &format!("{TONE} {codec}"))));
    }
    whole.iter().flat_map(|(name, content)| damages(name, content)).collect()
}

fn damages(name: &str, content: &[u8]) -> [Hostile; 3] {
    const HEADER: usize = 64;
    let mut turned = content.to_vec();
    turned.iter_mut().skip(HEADER).step_by(211).for_each(|byte| *byte ^= 0x10);
    let mut hollow = content.to_vec();
    let end = content.len().saturating_sub(HEADER).max(HEADER);
    hollow[HEADER.min(end)..end].fill(0);
    [("cut", content[..content.len() / 2].to_vec()), ("turned", turned), ("hollow", hollow)]
        .map(|(how, content)| hostile(&format!("{how}-{name}"), content, Fate::Either))
}
