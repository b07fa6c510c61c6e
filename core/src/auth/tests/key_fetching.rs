//! Rows 4 to 6 of the token table: what a key server can do to us, and tokens through us to it.

use super::{FIRST, SECOND, SHORT, SigningKey, changed, claims, claims_with, config, verdict};
use crate::auth::Verifier;
use crate::clock::Clock;
use crate::config::KeySource;
use axum::{Router, body::Body, extract::State, response::Response, routing::get};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

/// A key server on loopback whose answer a test decides; it stops when dropped.
struct KeyServer {
    state: Arc<ServerState>,
    url: String,
    _serving: JoinSet<()>,
}

struct ServerState {
    answer: Mutex<(u16, Vec<u8>)>,
    fetches: AtomicUsize,
    fetch_began: Notify,
    /// One permit lets one fetch be answered, when the server is slow.
    gate: Semaphore,
}

const OPEN: usize = 1 << 20;

async fn jwks(State(state): State<Arc<ServerState>>) -> Response {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    state.fetch_began.notify_one();
    state.gate.acquire().await.unwrap().forget();
    let (status, body) = state.answer.lock().unwrap().clone();
    Response::builder().status(status).header("location", "/").body(Body::from(body)).unwrap()
}

impl KeyServer {
    async fn start(keys: &[&SigningKey]) -> Self {
        let state = Arc::new(ServerState {
            answer: Mutex::default(),
            fetches: AtomicUsize::new(0),
            fetch_began: Notify::new(),
            gate: Semaphore::new(OPEN),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let router = Router::new().route("/jwks.json", get(jwks)).with_state(Arc::clone(&state));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let server = Self { state, url, _serving: serving };
        server.publish(keys);
        server
    }

    fn publish(&self, keys: &[&SigningKey]) {
        self.publish_document(&json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }));
    }

    fn publish_document(&self, document: &Value) {
        self.answer(200, document.to_string());
    }

    fn answer(&self, status: u16, body: impl Into<Vec<u8>>) {
        *self.state.answer.lock().unwrap() = (status, body.into());
    }

    fn fail(&self) {
        self.answer(500, "");
    }

    fn hang(&self) {
        self.state.gate.forget_permits(OPEN);
    }

    fn unhang(&self) {
        self.state.gate.add_permits(OPEN);
    }

    fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    fn verifier(&self) -> (Verifier, Clock) {
        let clock = Clock::manual();
        let verifier = Verifier::new(&config(KeySource::Jwks { url: self.url.clone() }), clock.clone());
        (verifier.unwrap(), clock)
    }
}

/// A token of a key that is valid now and like no other.
fn fresh_token(key: &SigningKey, clock: &Clock) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    key.token(&claims_with(clock.unix_seconds(), json!({ "jti": number })))
}

fn token_with_kid(kid: &Value, clock: &Clock) -> String {
    FIRST.token_with(&changed(FIRST.header(), json!({ "kid": kid })), &claims(clock.unix_seconds()))
}

#[tokio::test]
async fn row_4_a_malformed_kid_causes_no_fetch() {
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    for kid in [json!(null), json!(""), json!("a/b"), json!("ä"), json!(7), json!("k".repeat(129))] {
        assert_eq!(verdict(&verifier, &token_with_kid(&kid, &clock)).await, "unauthenticated", "{kid}");
    }
    assert_eq!(server.fetches(), 0);
}

#[tokio::test]
async fn many_requests_at_once_fetch_the_keys_once() {
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let (verifier, token) = (verifier.clone(), fresh_token(&FIRST, &clock));
        requests.spawn(async move { verdict(&verifier, &token).await });
    }
    assert!(requests.join_all().await.iter().all(|verdict| verdict == "user_a"));
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn row_5_a_rotated_key_is_found_after_half_a_minute_at_most() {
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "user_a");
    server.publish(&[&FIRST, &SECOND]);
    assert_eq!(verdict(&verifier, &fresh_token(&SECOND, &clock)).await, "unauthenticated");
    assert_eq!(server.fetches(), 1);
    clock.advance(Duration::seconds(30));
    assert_eq!(verdict(&verifier, &fresh_token(&SECOND, &clock)).await, "user_a");
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "user_a");
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn row_5_unknown_kids_cause_one_fetch_in_half_a_minute_and_each_only_one() {
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "user_a");
    clock.advance(Duration::seconds(30));
    for number in 0..20 {
        let token = token_with_kid(&json!(format!("unknown_{number}")), &clock);
        assert_eq!(verdict(&verifier, &token).await, "unauthenticated");
    }
    assert_eq!(server.fetches(), 2);
    clock.advance(Duration::seconds(30));
    assert_eq!(verdict(&verifier, &token_with_kid(&json!("unknown_0"), &clock)).await, "unauthenticated");
    assert_eq!(server.fetches(), 2);
    assert_eq!(verdict(&verifier, &token_with_kid(&json!("unknown_1"), &clock)).await, "unauthenticated");
    assert_eq!(server.fetches(), 3);
}

#[tokio::test]
async fn a_withdrawn_key_is_believed_for_a_minute_at_most() {
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    let long = FIRST.token(&claims_with(clock.unix_seconds(), json!({ "exp": clock.unix_seconds() + 3600 })));
    assert_eq!(verdict(&verifier, &long).await, "user_a");
    server.publish(&[&SECOND]);
    clock.advance(Duration::seconds(40));
    assert_eq!(verdict(&verifier, &fresh_token(&SECOND, &clock)).await, "user_a");
    assert_eq!(verdict(&verifier, &long).await, "user_a");
    clock.advance(Duration::seconds(20));
    assert_eq!(verdict(&verifier, &long).await, "unauthenticated");
}

#[tokio::test]
async fn row_6_keys_outlive_a_dead_key_server_by_an_hour() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let stale = || recorder.handle().render().contains("jam_jwks_stale_total 1");
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "user_a");
    server.fail();

    clock.advance(Duration::seconds(270));
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "user_a");
    assert_eq!(server.fetches(), 1);
    assert!(!stale());

    clock.advance(Duration::seconds(30));
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "user_a");
    assert_eq!(server.fetches(), 2);
    assert!(stale());

    clock.advance(Duration::hours(1));
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "unavailable");
    server.publish(&[&FIRST]);
    clock.advance(Duration::seconds(5));
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "user_a");
}

#[tokio::test]
async fn row_6_without_keys_nobody_is_told_that_their_token_is_bad() {
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    server.fail();
    for _ in 0..3 {
        assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "unavailable");
    }
    assert_eq!(server.fetches(), 1, "a dead key server is asked again after a pause only");
}

#[tokio::test]
async fn a_hanging_key_server_costs_three_seconds_and_holds_up_one_request() {
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "user_a");
    server.hang();
    clock.advance(Duration::seconds(301));
    let (first, second) = (fresh_token(&FIRST, &clock), fresh_token(&FIRST, &clock));
    let started = std::time::Instant::now();
    let slow = async { (verdict(&verifier, &first).await, started.elapsed().as_secs()) };
    let quick = async { (verdict(&verifier, &second).await, started.elapsed().as_secs()) };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(slow, ("user_a".to_owned(), 3));
    assert_eq!(quick, ("user_a".to_owned(), 0));
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cancel_the_fetch_for_others() {
    let server = KeyServer::start(&[&FIRST]).await;
    let (verifier, clock) = server.verifier();
    server.hang();
    let token = fresh_token(&FIRST, &clock);
    let impatient =
        tokio::time::timeout(std::time::Duration::from_millis(200), verifier.verify(&token)).await;
    assert!(impatient.is_err());
    server.unhang();
    assert_eq!(verdict(&verifier, &token).await, "user_a");
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn only_rsa_signing_keys_of_a_decent_length_are_used() {
    let server = KeyServer::start(&[]).await;
    server.publish_document(&json!({ "keys": [
        FIRST.jwk(),
        { "kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA" },
        { "unheard": "of" },
        changed(SECOND.jwk(), json!({ "kid": "for_encryption", "use": "enc" })),
        changed(SECOND.jwk(), json!({ "kid": "for_rs512", "alg": "RS512" })),
        changed(SECOND.jwk(), json!({ "kid": "plain", "use": null, "alg": null })),
        SHORT.jwk(),
    ] }));
    let (verifier, clock) = server.verifier();
    let verdict_on = async |key: &SigningKey, kid: &str| {
        let header = changed(key.header(), json!({ "kid": kid }));
        verdict(&verifier, &key.token_with(&header, &claims(clock.unix_seconds()))).await
    };
    assert_eq!(verdict_on(&FIRST, FIRST.kid).await, "user_a");
    assert_eq!(verdict_on(&SECOND, "plain").await, "user_a");
    for (key, kid) in [(&SECOND, "for_encryption"), (&SECOND, "for_rs512"), (&SHORT, SHORT.kid)] {
        assert_eq!(verdict_on(key, kid).await, "unauthenticated", "{kid}");
    }
}

#[tokio::test]
async fn an_unusable_answer_counts_as_a_dead_key_server() {
    let good = json!({ "keys": [FIRST.jwk()] });
    let huge = changed(good.clone(), json!({ "padding": "x".repeat(256 * 1024) }));
    for (status, body) in [
        (200, "[]".to_owned()),
        (200, r#"{"keys":[]}"#.to_owned()),
        (200, huge.to_string()),
        (302, String::new()),
        (404, good.to_string()),
    ] {
        let server = KeyServer::start(&[]).await;
        server.answer(status, body);
        let (verifier, clock) = server.verifier();
        assert_eq!(verdict(&verifier, &fresh_token(&FIRST, &clock)).await, "unavailable", "{status}");
    }
}

#[test]
fn keys_come_over_https_or_from_this_machine() {
    let accepts =
        |url: &str| Verifier::new(&config(KeySource::Jwks { url: url.to_owned() }), Clock::System).is_ok();
    assert!(accepts("https://clerk.example.com/.well-known/jwks.json"));
    assert!(accepts("http://localhost:3002/jwks.json"));
    assert!(!accepts("http://clerk.example.com/.well-known/jwks.json"));
    assert!(!accepts("/jwks.json"));
}
