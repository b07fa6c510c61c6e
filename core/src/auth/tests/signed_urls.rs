//! What a signed URL opens, for how long, and what it takes to forge one.

use crate::auth::signed_url::SignedRequest;
use crate::auth::{Signer, Variant};
use crate::clock::Clock;
use crate::config::{SecretBytes, UrlKey};
use crate::error::Error;
use crate::ids::{FileId, UserId};
use crate::model::{ThumbnailSize, UrlEpochs};
use time::{Duration, OffsetDateTime};

const EPOCHS: UrlEpochs = UrlEpochs { user: 3, file: 0 };
const THUMBNAIL: Variant = Variant::Thumbnail(ThumbnailSize::Default);

fn key(kid: &str, byte: u8) -> UrlKey {
    UrlKey { kid: kid.to_owned(), bytes: SecretBytes(vec![byte; 32]) }
}

fn user() -> UserId {
    UserId::parse("user_a").unwrap()
}

fn file() -> FileId {
    FileId::parse("01985c3e-7a3b-7cc1-8f51-2d6f3a1b9c04").unwrap()
}

fn signer() -> (Signer, Clock) {
    let clock = Clock::manual();
    (Signer::new(&[key("k1", 1)], "https://files.example.com", clock.clone()), clock)
}

/// Verifies a URL as the edge does: takes it apart at the last slash and the question mark.
fn open(signer: &Signer, url: &str) -> Result<SignedRequest, Error> {
    let (path, query) = url.split_once('?').unwrap();
    let (path, variant) = path.rsplit_once('/').unwrap();
    let (_, id) = path.rsplit_once("/f/").unwrap();
    signer.verify(FileId::parse(id).unwrap(), variant, query)
}

fn code(signer: &Signer, url: &str) -> &'static str {
    open(signer, url).map_or_else(|error| error.code(), |_| "open")
}

#[test]
fn a_signed_url_opens_what_it_was_signed_for() {
    let (signer, _) = signer();
    for name in [
        "download",
        "stream",
        "playback",
        "thumbnail",
        "thumbnail-small",
        "thumbnail-medium",
        "thumbnail-large",
    ] {
        let variant = Variant::parse(name).unwrap();
        let signed = signer.sign(&user(), file(), variant, EPOCHS, None).unwrap();
        assert!(signed.url.starts_with(&format!("https://files.example.com/f/{}/{name}?e=", file())));
        let request = open(&signer, &signed.url).unwrap();
        let expected = SignedRequest {
            user: user(),
            file: file(),
            variant,
            epochs: EPOCHS,
            expires_at: signed.expires_at,
        };
        assert_eq!(request, expected);
    }
}

/// The signature was computed apart from this code, by RFC 5869 and RFC 2104: URLs outlive a deployment.
#[test]
fn the_form_of_a_signed_url_does_not_change_between_versions() {
    let (signer, clock) = signer();
    clock.advance(Duration::seconds(1_800_000_010 - clock.unix_seconds()));
    assert_eq!(
        signer.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap().url,
        "https://files.example.com/f/01985c3e-7a3b-7cc1-8f51-2d6f3a1b9c04/thumbnail\
         ?e=1800003600&k=k1&u=user_a&v=3.0&s=ouEEgatM4hcrfsOK4o4QR2XdNxWvuwrVQ5AUv15suqU"
    );
}

#[test]
fn a_url_changed_anywhere_opens_nothing() {
    let (signer, clock) = signer();
    let url = signer.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap().url;
    let expiry = url.split_once("e=").unwrap().1.split_once('&').unwrap().0;
    let later = (expiry.parse::<i64>().unwrap() + 900).to_string();
    let tag = url.rsplit_once("s=").unwrap().1;
    for (part, other) in [
        ("9c04", "9c05"),
        ("/thumbnail?", "/thumbnail-large?"),
        ("/thumbnail?", "/stream?"),
        ("/thumbnail?", "/original?"),
        (expiry, later.as_str()),
        (expiry, "+1"),
        (expiry, "99999999999999999999"),
        ("k=k1", "k=k2"),
        ("u=user_a", "u=user_b"),
        ("u=user_a", "u="),
        ("v=3.0", "v=2.0"),
        ("v=3.0", "v=3.1"),
        ("v=3.0", "v=03.0"),
        ("v=3.0", "v=3"),
        (tag, ""),
        (tag, &tag[1..]),
        (tag, &"A".repeat(43)),
        (tag, &format!("{tag}=")),
    ] {
        let forged = url.replace(part, other);
        assert_ne!(forged, url);
        assert_eq!(code(&signer, &forged), "bad_signature", "{part} -> {other}");
    }
    let other_key = Signer::new(&[key("k1", 2)], "", clock);
    assert_eq!(code(&other_key, &url), "bad_signature");
}

#[test]
fn a_signed_url_has_five_query_keys_each_once() {
    let (signer, _) = signer();
    let url = signer.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap().url;
    for query in [format!("{url}&x=1"), format!("{url}&e=1"), format!("{url}&"), url.replace("v=3.0&", "")] {
        assert_eq!(code(&signer, &query), "invalid_parameter", "{query}");
    }
    assert_eq!(signer.verify(file(), "thumbnail", "").unwrap_err().code(), "invalid_parameter");
}

#[test]
fn a_url_lives_as_long_as_its_variant_and_ends_on_the_grid() {
    let (signer, clock) = signer();
    for (variant, hours) in [(THUMBNAIL, 1), (Variant::Stream, 12), (Variant::Download, 12)] {
        let expires_at = signer.sign(&user(), file(), variant, EPOCHS, None).unwrap().expires_at;
        let life = expires_at - clock.now();
        assert!(
            life <= Duration::hours(hours)
                && life >= Duration::hours(hours) - Duration::minutes(15) - Duration::SECOND
        );
        assert_eq!(expires_at.unix_timestamp() % 900, 0);
    }
    let url = signer.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap();
    let left = url.expires_at.unix_timestamp() - clock.unix_seconds();
    clock.advance(Duration::seconds(left - 2));
    assert_eq!(code(&signer, &url.url), "open");
    clock.advance(Duration::seconds(2));
    assert_eq!(code(&signer, &url.url), "bad_signature");
}

#[test]
fn a_url_stays_the_same_within_a_step_of_the_grid() {
    let (signer, clock) = signer();
    let step = 900 - clock.unix_seconds() % 900;
    clock.advance(Duration::seconds(step + 10));
    let early = signer.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap();
    clock.advance(Duration::seconds(880));
    assert_eq!(signer.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap(), early);
    clock.advance(Duration::seconds(20));
    assert_ne!(signer.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap(), early);
}

#[test]
fn keys_rotate_without_breaking_urls() {
    let clock = Clock::manual();
    let old = Signer::new(&[key("k1", 1)], "", clock.clone());
    let both = Signer::new(&[key("k2", 2), key("k1", 1)], "", clock.clone());
    let new = Signer::new(&[key("k2", 2)], "", clock);
    let url = old.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap().url;
    assert!(url.starts_with("/f/"), "relative without a base URL");
    assert_eq!(code(&both, &url), "open");
    assert_eq!(code(&new, &url), "bad_signature");
    assert!(both.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap().url.contains("&k=k2&"));
}

#[test]
fn without_a_key_nothing_is_signed_and_nothing_opens() {
    let (signer, clock) = signer();
    let url = signer.sign(&user(), file(), THUMBNAIL, EPOCHS, None).unwrap().url;
    let off = Signer::new(&[], "", clock);
    assert_eq!(off.sign(&user(), file(), THUMBNAIL, EPOCHS, None), None);
    assert_eq!(code(&off, &url), "bad_signature");
}

#[test]
fn an_expiry_beyond_all_calendars_is_refused_without_a_panic() {
    let (signer, _) = signer();
    let far = i64::MAX;
    assert!(OffsetDateTime::from_unix_timestamp(far).is_err());
    let query = format!("e={far}&k=k1&u=user_a&v=0.0&s={}", "A".repeat(43));
    assert_eq!(signer.verify(file(), "stream", &query).unwrap_err().code(), "bad_signature");
}
