//! What a webhook delivery must show before it is believed. The delivery is one of Svix' own test vectors.

use crate::auth::svix::WebhookVerifier;
use crate::clock::Clock;
use crate::config::Secret;
use http::HeaderMap;
use time::Duration;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
const SENT_AT: i64 = 1_649_367_553;
const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
const FOREIGN_SIGNATURE: &str = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn delivery(changes: &[(&'static str, &str)]) -> HeaderMap {
    let sent_at = SENT_AT.to_string();
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("svix-id", ID), ("svix-timestamp", &sent_at), ("svix-signature", SIGNATURE)].iter().chain(changes)
    {
        headers.insert(*name, value.parse().unwrap());
    }
    headers
}

/// A verifier whose clock stands some seconds after the delivery was sent.
fn verifier(seconds_later: i64) -> WebhookVerifier {
    let clock = Clock::manual();
    clock.advance(Duration::seconds(SENT_AT + seconds_later - clock.unix_seconds()));
    WebhookVerifier::new(&Secret::new(SECRET), clock).unwrap()
}

fn is_believed(headers: &HeaderMap, body: &[u8]) -> bool {
    verifier(10).verify(headers, body).is_ok()
}

#[test]
fn a_signed_delivery_is_believed_and_gives_its_id() {
    assert_eq!(verifier(10).verify(&delivery(&[]), BODY).unwrap(), ID);
}

#[test]
fn one_good_signature_among_several_suffices() {
    let several = format!("v1a,x {FOREIGN_SIGNATURE} {SIGNATURE} v2,{}", "A".repeat(44));
    assert!(is_believed(&delivery(&[("svix-signature", &several)]), BODY));
    assert!(!is_believed(&delivery(&[("svix-signature", FOREIGN_SIGNATURE)]), BODY));
    let beyond_the_limit = format!("{}{SIGNATURE}", "v1,x ".repeat(16));
    assert!(!is_believed(&delivery(&[("svix-signature", &beyond_the_limit)]), BODY));
}

#[test]
fn a_change_to_id_time_or_body_is_noticed() {
    assert!(!is_believed(&delivery(&[("svix-id", "msg_other")]), BODY));
    assert!(!is_believed(&delivery(&[("svix-timestamp", &(SENT_AT + 1).to_string())]), BODY));
    assert!(!is_believed(&delivery(&[]), &BODY[1..]));
}

#[test]
fn a_missing_or_malformed_header_is_refused() {
    for name in ["svix-id", "svix-timestamp", "svix-signature"] {
        let mut headers = delivery(&[]);
        headers.remove(name);
        assert!(!is_believed(&headers, BODY), "{name}");
        assert!(!is_believed(&delivery(&[(name, "")]), BODY), "{name}");
    }
}

#[test]
fn a_delivery_counts_for_five_minutes_both_ways() {
    for (seconds_later, believed) in [(295, true), (-295, true), (305, false), (-305, false)] {
        assert_eq!(verifier(seconds_later).verify(&delivery(&[]), BODY).is_ok(), believed, "{seconds_later}");
    }
}

#[test]
fn a_secret_of_another_form_stops_the_start() {
    for secret in ["C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_*", "whsec_"] {
        assert!(WebhookVerifier::new(&Secret::new(secret), Clock::System).is_err(), "{secret}");
    }
}
