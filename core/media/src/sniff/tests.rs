//! The types that content is detected as, whatever its name says.

use super::*;

fn padded(start: &[u8]) -> Vec<u8> {
    let mut head = start.to_vec();
    head.resize(4096, 0);
    head
}

fn ftyp(brands: &[&[u8; 4]]) -> Vec<u8> {
    let mut head = (16 + 4 * (brands.len() as u32 - 1)).to_be_bytes().to_vec();
    head.extend(b"ftyp");
    head.extend(brands[0]);
    head.extend([0; 4]);
    brands[1..].iter().for_each(|brand| head.extend(*brand));
    head.extend(b"\0\0\0\x08free");
    head
}

fn ebml(doc_type: &[u8]) -> Vec<u8> {
    let mut head =
        vec![0x1A, 0x45, 0xDF, 0xA3, 0xA3, 0x42, 0x86, 0x81, 1, 0x42, 0x82, 0x80 | doc_type.len() as u8];
    head.extend(doc_type);
    head
}

fn ogg(packet: &[u8]) -> Vec<u8> {
    let mut head = b"OggS\0\x02".to_vec();
    head.resize(28, 0);
    head.extend(packet);
    head
}

fn frames(header: [u8; 4], length: usize) -> Vec<u8> {
    let mut one = header.to_vec();
    one.resize(length, 0x55);
    one.repeat(4)
}

#[test]
fn content_decides_whatever_the_name_says() {
    let packets = |before: usize, size: usize| {
        let mut packet = vec![0u8; size];
        packet[..4].copy_from_slice(b"\x47\x1F\xFF\x10");
        [vec![0xFF; before], packet.repeat(7)].concat()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("image/jpeg", padded(b"\xFF\xD8\xFF\xE0\0\x10JFIF")),
        ("image/png", padded(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")),
        ("image/gif", padded(b"GIF89a")),
        ("image/webp", padded(b"RIFF\x10\0\0\0WEBPVP8 ")),
        ("image/tiff", padded(b"II*\0\x08\0\0\0")),
        ("image/tiff", padded(b"MM\0*\0\0\0\x08")),
        ("image/bmp", padded(b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0")),
        ("image/vnd.microsoft.icon", padded(b"\0\0\x01\0\x01\0")),
        ("image/avif", ftyp(&[b"avif", b"mif1", b"miaf"])),
        ("image/avif", ftyp(&[b"mif1", b"avif"])),
        ("image/heic", ftyp(&[b"heic", b"mif1"])),
        ("image/heic", ftyp(&[b"mif1", b"heic"])),
        ("video/mp4", ftyp(&[b"isom", b"iso2", b"avc1", b"mp41"])),
        ("video/mp4", ftyp(&[b"mp42", b"isom"])),
        ("video/mp4", ftyp(&[b"iso6", b"dash"])),
        ("video/quicktime", ftyp(&[b"qt  "])),
        ("video/quicktime", padded(b"\0\0\0\x08wide\0\x01\0\0mdat")),
        ("video/x-m4v", ftyp(&[b"M4V ", b"mp42"])),
        ("video/3gpp", ftyp(&[b"3gp4"])),
        ("audio/mp4", ftyp(&[b"M4A ", b"mp42", b"isom"])),
        ("video/x-matroska", ebml(b"matroska")),
        ("video/webm", ebml(b"webm")),
        ("video/x-msvideo", padded(b"RIFF\0\0\x01\0AVI LIST")),
        ("video/mp2t", packets(0, 188)),
        ("video/mp2t", packets(4, 192)),
        ("video/mp2t", packets(0, 204)),
        ("video/mp2t", packets(88, 188)),
        ("video/mp2t", packets(151, 192)),
        ("video/mpeg", padded(b"\0\0\x01\xBA\x44")),
        ("video/ogg", ogg(b"\x80theora\x03\x02")),
        ("video/x-flv", padded(b"FLV\x01\x05")),
        ("video/x-ms-wmv", padded(b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9")),
        ("audio/mpeg", padded(b"ID3\x04\0\0")),
        ("audio/mpeg", frames([0xFF, 0xFB, 0x90, 0x00], 417)),
        ("audio/aac", frames([0xFF, 0xF1, 0x50, 0x80], 0x2AA)),
        ("audio/wav", padded(b"RIFF\0\0\x01\0WAVEfmt ")),
        ("audio/wav", padded(b"RF64\xFF\xFF\xFF\xFFWAVEds64")),
        ("audio/flac", padded(b"fLaC\0\0\0\x22")),
        ("audio/ogg", ogg(b"OpusHead\x01")),
        ("audio/ogg", ogg(b"\x01vorbis")),
        ("audio/aiff", padded(b"FORM\0\0\x01\0AIFFCOMM")),
        ("audio/amr", padded(b"#!AMR\n")),
        ("application/zip", padded(b"PK\x03\x04\x14\0")),
        ("model/gltf-binary", padded(b"glTF\x02\0\0\0")),
        ("application/pdf", padded(b"%PDF-1.7\n")),
        ("application/octet-stream", vec![0x80, 0x81, 0, 1, 2]),
        ("application/octet-stream", vec![]),
    ];
    check(cases);
}

fn check(cases: Vec<(&str, Vec<u8>)>) {
    for (mime, head) in cases {
        for name in ["x.jpg", "x.json", "x.html", "x"] {
            assert_eq!(sniff(&head, name).mime, mime, "{name}: {:?}", &head[..head.len().min(16)]);
        }
    }
}

#[test]
fn audio_and_video_without_a_common_container_are_known_by_their_marks() {
    check(vec![
        ("video/mpv", padded(b"\0\0\x01\xB3\x14\0\xF0")),
        ("video/h264", padded(b"\0\0\0\x01\x67\x64\0\x1F")),
        ("video/mxf", padded(b"\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01\x02")),
        ("audio/ac3", padded(b"\x0B\x77\x12\x34\x14\x40")),
        ("audio/eac3", padded(b"\x0B\x77\x02\xFF\x34\x84")),
        ("audio/vnd.dts", padded(b"\x7F\xFE\x80\x01\xFC\x3C")),
        ("audio/basic", padded(b".snd\0\0\0\x18")),
        ("audio/x-w64", padded(b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB")),
        ("audio/x-ape", padded(b"MAC \x96\x0F")),
        ("audio/x-wavpack", padded(b"wvpk\x10\0\0\0")),
        ("audio/x-tta", padded(b"TTA1\x01\0\x02\0")),
        ("audio/musepack", padded(b"MPCKSH\x0E")),
        ("audio/x-musepack", padded(b"MP+\x07\x10\0")),
        ("audio/flac", padded(b"ID3\x03\0\0\0\0\0\x04\0\0\0\0fLaC\0\0\0\x22")),
        ("audio/x-ape", padded(b"ID3\x03\0\0\0\0\0\x00MAC \x96\x0F")),
        ("audio/mpeg", [vec![0; 1500], frames([0xFF, 0xFB, 0x90, 0x00], 417)].concat()),
    ]);
}

#[test]
fn the_name_tells_text_formats_apart() {
    assert_eq!(sniff(b"{\"a\": 1}", "scene.json").mime, "application/json");
    assert_eq!(sniff(b"\xEF\xBB\xBF [1]", "SCENE.JSON").mime, "application/json");
    assert_eq!(sniff(b"{\"asset\": {}}", "model.gltf").mime, "model/gltf+json");
    assert_eq!(sniff(b"{\"a\": 1}", "notes").mime, "text/plain");
    assert_eq!(sniff(b"not json", "a.json").mime, "text/plain");
    assert_eq!(sniff("gr\u{fc}n".as_bytes(), "a.txt").mime, "text/plain");
    assert_eq!(sniff(b"the free software", "a.txt").mime, "text/plain");
    assert_eq!(sniff(b"<?xml version=\"1.0\"?><COLLADA><p>1</p></COLLADA>", "a.dae").mime, "application/xml");
}

#[test]
fn text_cut_inside_a_character_is_still_text() {
    let mut head = "a".repeat(4095).into_bytes();
    head.extend("\u{20AC}".as_bytes());
    assert_eq!(sniff(&head, "a.txt").mime, "text/plain");
}

#[test]
fn what_runs_or_leads_elsewhere_is_refused() {
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain("<html>".bytes().flat_map(|byte| [byte, 0])).collect();
    let cases: Vec<&[u8]> = vec![
        b"<!DOCTYPE html><p>hi",
        b"\xEF\xBB\xBF  \n<HTML>",
        b"<script>alert(1)</script>",
        b"<!-- c --><b>x</b>",
        b"<a href=x>",
        b"<?xml version=\"1.0\"?><x:root xmlns:x=\"http://www.w3.org/2000/svg\"/>",
        b"<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"/>",
        b"<html><svg xmlns=\"http://www.w3.org/2000/svg\"/></html>",
        b"<!-- c --><b><svg/></b>",
        &utf16,
        b"#!/bin/sh\nrm -rf /",
        b"\x7FELF\x02\x01\x01\0",
        b"MZ\x90\0\x03\0\0\0",
        b"\xCF\xFA\xED\xFE\x07\0\0\x01",
        b"\xCA\xFE\xBA\xBE\0\0\0\x34",
        b"\0asm\x01\0\0\0",
        b"#EXTM3U\n#EXT-X-VERSION:3\nhttp://example.com/a.ts",
        b"ffconcat version 1.0\nfile /etc/passwd",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
        b"<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"/>",
    ];
    for head in cases {
        let sniffed = sniff(head, "innocent.mp4");
        assert_eq!(sniffed.class, Class::Refused, "{}", String::from_utf8_lossy(head));
        assert!(!is_inline_safe(sniffed.mime));
    }
}

#[test]
fn what_holds_tracks_is_a_container() {
    for head in [ftyp(&[b"isom"]), ftyp(&[b"M4A "]), ebml(b"webm"), ogg(b"\x01vorbis")] {
        assert!(is_container(sniff(&head, "x").mime));
    }
    assert!(is_container("audio/webm") && is_audio_alone("audio/webm") && !is_audio_alone("video/webm"));
    assert!(!is_container("audio/wav") && !is_container("image/heic"));
}

#[test]
fn the_class_follows_from_the_content() {
    assert_eq!(sniff(&ftyp(&[b"M4A "]), "x").class, Class::Audio);
    assert_eq!(sniff(&ftyp(&[b"isom"]), "x").class, Class::Video);
    assert_eq!(sniff(&ftyp(&[b"heic"]), "x").class, Class::Image);
    assert_eq!(sniff(b"hello", "x").class, Class::Other);
}

#[test]
fn only_images_audio_and_video_are_shown_in_place() {
    for mime in
        ["image/jpeg", "image/avif", "image/heic", "video/mp4", "video/webm", "audio/mpeg", "audio/ogg"]
    {
        assert!(is_inline_safe(mime), "{mime}");
    }
    for mime in [
        "text/html",
        "image/svg+xml",
        "application/xml",
        "text/xml",
        "application/pdf",
        "text/plain",
        "application/octet-stream",
        "application/json",
        "image/x-canon-cr3",
        "",
    ] {
        assert!(!is_inline_safe(mime), "{mime}");
    }
}

#[test]
fn a_drawing_is_an_image_that_is_never_shown_in_place() {
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\">";
    for before in [
        "",
        "\u{FEFF}<?xml version=\"1.0\"?>\n",
        "<!-- <html> -->",
        "<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"a.dtd\">",
        "<!DOCTYPE svg [ <!ENTITY a \"http://example.com\"> ]>",
    ] {
        let sniffed = sniff(format!("{before}{svg}").as_bytes(), "a.png");
        assert_eq!((sniffed.mime, sniffed.class), ("image/svg+xml", Class::Image), "{before}");
        assert!(!is_inline_safe(sniffed.mime));
    }
}

#[test]
fn images_of_studios_are_images_that_no_browser_shows() {
    let targa = [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 64, 0, 24, 0, 1, 2, 3];
    let cases: [(&[u8], &str); 9] = [
        (b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
        (b"\0\0\0\x0CjP  \r\n\x87\n", "image/jp2"),
        (b"\xFF\x4F\xFF\x51\0", "image/jp2"),
        (b"\x76\x2F\x31\x01\x02", "image/x-exr"),
        (b"DDS \x7C\0\0\0", "image/vnd-ms.dds"),
        (b"#?RADIANCE\n", "image/vnd.radiance"),
        (b"P6\n2 2\n255\n", "image/x-portable-anymap"),
        (b"II+\0\x08\0\0\0", "image/tiff"),
        (&targa, "image/x-tga"),
    ];
    for (head, mime) in cases {
        let sniffed = sniff(head, "x");
        assert_eq!((sniffed.mime, sniffed.class), (mime, Class::Image));
        assert_eq!(is_inline_safe(mime), mime == "image/tiff");
    }
}

#[test]
fn no_head_makes_it_panic() {
    let heads =
        [ftyp(&[b"isom", b"mp42"]), ebml(b"webm"), ogg(b"\x01vorbis"), frames([0xFF, 0xFB, 0x90, 0], 417)];
    for head in heads {
        for length in 0..head.len().min(600) {
            let _ = sniff(&head[..length], "x");
        }
    }
}
