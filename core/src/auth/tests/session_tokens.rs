//! The rows of the token table that need no key server.

use super::{
    FIRST, ISSUER, PARTY, SECOND, SHORT, changed, claims, claims_with, config, pem_verifier, verdict,
};
use crate::auth::claims::check;
use crate::auth::{Caller, Role, Verifier, bearer_token};
use crate::clock::Clock;
use crate::config::{AuthConfig, KeySource};
use crate::error::Error;
use crate::ids::UserId;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Map, Value, json};
use time::Duration;

/// Asserts the verdict on the usual token with each of some changes to its claims.
async fn assert_claims(verdict_expected: &str, changes: &[Value]) {
    let (verifier, clock) = pem_verifier();
    for change in changes {
        let token = FIRST.token(&claims_with(clock.unix_seconds(), change.clone()));
        assert_eq!(verdict(&verifier, &token).await, verdict_expected, "{change}");
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn caller_under(rules: impl FnOnce(&mut AuthConfig), changes: Value) -> Result<Caller, Error> {
    let clock = Clock::manual();
    let mut config = config(KeySource::Pem(FIRST.public_pem()));
    rules(&mut config);
    let verifier = Verifier::new(&config, clock.clone()).unwrap();
    verifier.verify(&FIRST.token(&claims_with(clock.unix_seconds(), changes))).await
}

#[test]
fn row_1_a_request_has_one_authorization_header_with_a_bearer_token() {
    let read = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        bearer_token(&headers).map(str::to_owned).map_err(|error| error.code())
    };
    assert_eq!(read(&["Bearer a.b.c"]).unwrap(), "a.b.c");
    assert_eq!(read(&["bearer a.b.c"]).unwrap(), "a.b.c");
    for refused in [&[][..], &["Bearer a", "Bearer a"], &["Basic a"], &["Bearer"], &["Bearer "], &["a.b.c"]] {
        assert_eq!(read(refused).unwrap_err(), "unauthenticated", "{refused:?}");
    }
}

#[tokio::test]
async fn a_session_token_names_its_caller() {
    let (verifier, clock) = pem_verifier();
    let caller = verifier.verify(&FIRST.token(&claims(clock.unix_seconds()))).await.unwrap();
    assert_eq!((caller.user.as_str(), caller.session.as_str()), ("user_a", "sess_1"));
    assert_eq!((caller.role, caller.impersonator), (Role::User, None));
}

#[tokio::test]
async fn row_2_a_token_has_one_spelling_and_one_meaning() {
    let (verifier, clock) = pem_verifier();
    let header = FIRST.header().to_string();
    let payload = claims(clock.unix_seconds()).to_string();
    let good = FIRST.token_of_text(&header, &payload);
    assert_eq!(verdict(&verifier, &good).await, "user_a");

    let doubled = |text: &str, more: &str| format!("{},{more}}}", text.strip_suffix('}').unwrap());
    let (parts, tag) = good.rsplit_once('.').unwrap();
    let (head, body) = parts.split_once('.').unwrap();
    let mut stray_bits = good.clone();
    let last = stray_bits.pop().unwrap();
    stray_bits.push(char::from(last as u8 + 1));
    for (fault, token) in [
        ("long", FIRST.token(&claims_with(clock.unix_seconds(), json!({ "x": "x".repeat(8192) })))),
        ("two parts", parts.to_owned()),
        ("four parts", format!("{good}.{tag}")),
        ("empty", String::new()),
        ("only dots", "..".to_owned()),
        ("space", format!("{good} ")),
        ("padding", format!("{good}==")),
        ("padded header", FIRST.token_of_parts(&format!("{head}="), body)),
        ("stray bits", stray_bits),
        ("doubled header key", FIRST.token_of_text(&doubled(&header, r#""alg":"RS256""#), &payload)),
        ("doubled claim", FIRST.token_of_text(&header, &doubled(&payload, r#""sub":"user_b""#))),
        ("doubled by escape", FIRST.token_of_text(&header, &doubled(&payload, r#""s\u0075b":"user_b""#))),
        ("doubled deep down", FIRST.token_of_text(&header, &doubled(&payload, r#""a":[{"b":1,"b":1}]"#))),
        ("trailing text", FIRST.token_of_text(&header, &format!("{payload} x"))),
        ("no object", FIRST.token_of_text(&header, "[]")),
    ] {
        assert_eq!(verdict(&verifier, &token).await, "unauthenticated", "{fault}");
    }
}

#[tokio::test]
async fn row_3_only_rs256_session_tokens_without_extensions_pass() {
    let (verifier, clock) = pem_verifier();
    let claims = claims(clock.unix_seconds());
    for (expected, change) in [
        ("user_a", json!({ "typ": null, "cat": null })),
        ("user_a", json!({ "cat": "cl_I7d4PD111III" })),
        ("unauthenticated", json!({ "alg": "none" })),
        ("unauthenticated", json!({ "alg": "HS256" })),
        ("unauthenticated", json!({ "alg": "RS512" })),
        ("unauthenticated", json!({ "alg": ["RS256"] })),
        ("unauthenticated", json!({ "alg": null })),
        ("unauthenticated", json!({ "typ": "at+jwt" })),
        ("unauthenticated", json!({ "typ": 1 })),
        ("unauthenticated", json!({ "crit": [] })),
        ("unauthenticated", json!({ "cat": "cl_B7d4PD222AAA" })),
    ] {
        let token = FIRST.token_with(&changed(FIRST.header(), change.clone()), &claims);
        assert_eq!(verdict(&verifier, &token).await, expected, "{change}");
    }
    let null_crit = r#"{"alg":"RS256","crit":null}"#;
    let token = FIRST.token_of_text(null_crit, &claims.to_string());
    assert_eq!(verdict(&verifier, &token).await, "unauthenticated");
}

#[tokio::test]
async fn row_4_a_configured_key_makes_kid_meaningless() {
    let (verifier, clock) = pem_verifier();
    for kid in [json!(null), json!("other"), json!("../x"), json!(7)] {
        let header = changed(FIRST.header(), json!({ "kid": kid }));
        let token = FIRST.token_with(&header, &claims(clock.unix_seconds()));
        assert_eq!(verdict(&verifier, &token).await, "user_a", "{kid}");
    }
}

#[tokio::test]
async fn row_7_no_claim_is_read_before_the_signature_holds() {
    let (verifier, clock) = pem_verifier();
    let pending = claims_with(clock.unix_seconds(), json!({ "sts": "pending" }));
    assert_eq!(verdict(&verifier, &FIRST.token(&pending)).await, "session_pending");
    assert_eq!(verdict(&verifier, &SECOND.token(&pending)).await, "unauthenticated");

    let good = FIRST.token(&claims(clock.unix_seconds()));
    let other = FIRST.token(&claims_with(clock.unix_seconds(), json!({ "sub": "user_b" })));
    let (parts, tag) = (other.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    assert_eq!(verdict(&verifier, &format!("{parts}.{tag}")).await, "unauthenticated");
    assert_eq!(verdict(&verifier, &format!("{parts}.")).await, "unauthenticated");
}

#[tokio::test]
async fn row_8_issuer_and_party_are_exact() {
    assert_claims(
        "unauthenticated",
        &[
            json!({ "iss": null }),
            json!({ "iss": [ISSUER] }),
            json!({ "iss": format!("{ISSUER}/") }),
            json!({ "iss": "https://clerk.example.org" }),
            json!({ "azp": null }),
            json!({ "azp": "" }),
            json!({ "azp": [PARTY] }),
            json!({ "azp": "https://evil.example.com" }),
        ],
    )
    .await;
    assert_claims("user_a", &[json!({ "azp": "https://other.example.com" })]).await;
}

#[tokio::test]
async fn row_8_a_missing_party_passes_only_where_configured() {
    let native = |config: &mut AuthConfig| config.allow_missing_azp = true;
    assert!(caller_under(native, json!({ "azp": null })).await.is_ok());
    assert!(caller_under(native, json!({ "azp": "https://evil.example.com" })).await.is_err());
    let open = |config: &mut AuthConfig| config.authorized_parties.clear();
    assert!(caller_under(open, json!({ "azp": "https://any.example.com" })).await.is_ok());
}

#[test]
fn row_9_times_hold_within_five_seconds() {
    let now = 1_700_000_000;
    let rules = config(KeySource::Pem(String::new()));
    let holds = |change: Value| check(&object(claims_with(now, change)), &rules, now).is_ok();
    for change in [
        json!({ "exp": now - 4 }),
        json!({ "nbf": now + 5 }),
        json!({ "iat": now + 5 }),
        json!({ "iat": null }),
        json!({ "nbf": null }),
        json!({ "iat": now - 86_345 }),
        json!({ "exp": now + 86_405 }),
        json!({ "exp": now + 86_405, "iat": null }),
    ] {
        assert!(holds(change.clone()), "{change}");
    }
    for change in [
        json!({ "exp": null }),
        json!({ "exp": now - 5 }),
        json!({ "exp": (now + 60).to_string() }),
        json!({ "exp": 1e300 }),
        json!({ "exp": i64::MIN }),
        json!({ "exp": now + 86_406 }),
        json!({ "exp": now + 86_406, "iat": null }),
        json!({ "exp": i64::MAX }),
        json!({ "iat": now - 86_346 }),
        json!({ "iat": i64::MIN }),
        json!({ "nbf": now + 6 }),
        json!({ "iat": now + 6 }),
        json!({ "iat": "now" }),
    ] {
        assert!(!holds(change.clone()), "{change}");
    }
}

#[tokio::test]
async fn row_10_only_users_with_a_session_are_callers() {
    assert_claims(
        "unauthenticated",
        &[
            json!({ "sub": null }),
            json!({ "sub": "" }),
            json!({ "sub": "mch_a" }),
            json!({ "sub": "../etc" }),
            json!({ "sub": "a".repeat(65) }),
            json!({ "sub": 7 }),
            json!({ "sid": null }),
            json!({ "sid": "" }),
        ],
    )
    .await;
}

#[tokio::test]
async fn row_11_a_pending_session_is_told_apart_only_when_all_else_is_right() {
    assert_claims("session_pending", &[json!({ "sts": "pending" })]).await;
    assert_claims(
        "unauthenticated",
        &[json!({ "sts": "pending", "iss": "x" }), json!({ "sts": "pending", "sub": "" })],
    )
    .await;
}

#[tokio::test]
async fn row_12_an_impersonated_admin_is_no_admin() {
    let caller = caller_under(
        |_| (),
        json!({ "act": { "iss": "https://dashboard.clerk.com", "sub": "user_z" }, "metadata": { "role": "admin" } }),
    )
    .await
    .unwrap();
    assert_eq!(caller.impersonator.as_deref(), Some("user_z"));
    for act in [json!({}), json!("user_z"), json!({ "sub": 7 })] {
        let nameless =
            caller_under(|_| (), json!({ "act": act, "metadata": { "role": "admin" } })).await.unwrap();
        assert_eq!(nameless.impersonator.as_deref(), Some(""));
        assert!(nameless.require_admin().is_err());
    }
    let forged = json!({ "act": { "sub": "user_z\n{\"level\":\"INFO\"}\u{202e}" } });
    assert_eq!(
        caller_under(|_| (), forged).await.unwrap().impersonator.unwrap(),
        "user_z{\"level\":\"INFO\"}"
    );
    assert_eq!(caller.require_admin().unwrap_err().code(), "admin_only");
}

#[tokio::test]
async fn row_13_admins_come_from_metadata_or_from_the_pinned_organization() {
    let pinned = |config: &mut AuthConfig| config.admin_org = Some("org_1".to_owned());
    let open = |_: &mut AuthConfig| ();
    let v2 = json!({ "o": { "id": "org_1", "rol": "admin", "slg": "one" } });
    let v1 = json!({ "v": null, "org_id": "org_1", "org_role": "org:admin" });

    let by_metadata = caller_under(open, json!({ "metadata": { "role": "admin" } })).await.unwrap();
    assert!(by_metadata.require_admin().is_ok());
    for organization in [&v1, &v2] {
        assert!(caller_under(pinned, organization.clone()).await.unwrap().require_admin().is_ok());
        assert!(caller_under(open, organization.clone()).await.unwrap().require_admin().is_err());
    }
    for other in [
        json!({ "metadata": { "role": "member" } }),
        json!({ "metadata": "admin" }),
        json!({ "role": "admin" }),
        json!({ "o": { "id": "org_2", "rol": "admin" } }),
        json!({ "o": { "id": "org_1", "rol": "member" } }),
        json!({ "o": { "id": "org_2", "rol": "member" }, "org_id": "org_1", "org_role": "org:admin" }),
        json!({ "v": null, "org_id": "org_2", "org_role": "org:admin" }),
        // What the other version of the token would say, or none that is known.
        json!({ "org_id": "org_1", "org_role": "org:admin" }),
        json!({ "v": null, "o": { "id": "org_1", "rol": "admin" } }),
        json!({ "v": 1, "o": { "id": "org_1", "rol": "admin" } }),
        json!({ "v": 3, "o": { "id": "org_1", "rol": "admin" } }),
        json!({ "v": "2", "o": { "id": "org_1", "rol": "admin" } }),
        json!({ "v": null, "org_id": "org_1", "org_role": "admin" }),
    ] {
        assert!(caller_under(pinned, other.clone()).await.unwrap().require_admin().is_err(), "{other}");
    }
}

#[tokio::test]
async fn row_13_a_listed_user_is_an_administrator_whatever_the_token_says() {
    let listed = |config: &mut AuthConfig| config.admin_users = vec![UserId::parse("user_a").unwrap()];
    assert!(caller_under(listed, json!({})).await.unwrap().require_admin().is_ok());
    assert!(caller_under(listed, json!({ "sub": "user_b" })).await.unwrap().require_admin().is_err());
    let acted = caller_under(listed, json!({ "act": { "sub": "user_z" } })).await.unwrap();
    assert!(acted.require_admin().is_err());
}

#[tokio::test]
async fn a_remembered_token_is_never_served_past_its_expiry() {
    let (verifier, clock) = pem_verifier();
    let token = FIRST.token(&claims(clock.unix_seconds()));
    assert_eq!(verdict(&verifier, &token).await, "user_a");
    clock.advance(Duration::seconds(50));
    assert_eq!(verdict(&verifier, &token).await, "user_a");
    clock.advance(Duration::seconds(16));
    assert_eq!(verdict(&verifier, &token).await, "unauthenticated");
}

#[tokio::test]
async fn a_remembered_token_is_not_served_before_its_time() {
    let (verifier, clock) = pem_verifier();
    let token = FIRST.token(&claims(clock.unix_seconds()));
    assert_eq!(verdict(&verifier, &token).await, "user_a");
    clock.advance(Duration::seconds(-30));
    assert_eq!(verdict(&verifier, &token).await, "unauthenticated");
}

#[test]
fn a_key_that_is_short_or_private_or_no_key_stops_the_start() {
    use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
    let private = FIRST.pair.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    for pem in [SHORT.public_pem(), private, "not a key".to_owned()] {
        assert!(Verifier::new(&config(KeySource::Pem(pem)), Clock::System).is_err());
    }
}

#[tokio::test]
async fn a_refused_token_tells_whose_request_it_was_if_only_its_time_has_passed() {
    let (verifier, clock) = pem_verifier();
    let now = clock.unix_seconds();
    let user_of = async |key: &super::SigningKey, changes: Value| {
        let refused = verifier.identify(&key.token(&claims_with(now, changes))).await.unwrap_err();
        refused.user.map(|user| user.to_string())
    };
    let lapsed = json!({ "iat": now - 3600, "nbf": now - 3610, "exp": now - 3540 });
    assert_eq!(user_of(&FIRST, lapsed.clone()).await.as_deref(), Some("user_a"));
    assert_eq!(user_of(&FIRST, json!({ "sts": "pending" })).await.as_deref(), Some("user_a"));
    let long_ago = json!({ "iat": now - 200_000, "nbf": now - 200_000, "exp": now - 90_000 });
    assert_eq!(user_of(&FIRST, long_ago).await, None);
    assert_eq!(user_of(&SECOND, lapsed.clone()).await, None);
    for more in
        [json!({ "iss": "https://evil.example" }), json!({ "sub": "mch_1" }), json!({ "azp": "https://x" })]
    {
        assert_eq!(user_of(&FIRST, changed(lapsed.clone(), more.clone())).await, None, "{more}");
    }
}
