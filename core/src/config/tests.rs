//! Settings that do not hold stop the start by their names.

use super::{Config, KeySource, LambdaAnswers, LambdaConfig, ListenAddress, is_loopback_url};
use std::collections::BTreeMap;

fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
    let mut variables: BTreeMap<String, String> =
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    variables.entry("DATABASE_URL".into()).or_insert_with(|| "postgres:///jam".into());
    variables.entry("JAM_AUTH_ISSUER".into()).or_insert_with(|| "https://clerk.example.com".into());
    Config::read(&variables).map_err(|e| e.to_string())
}

#[test]
fn the_legacy_services_names_keep_working() {
    let config = read(&[
        ("MAX_FILE_SIZE", "5"),
        ("PORT", "8080"),
        ("CORS_ORIGIN", "https://a.example, https://b.example"),
    ]);
    let config = config.unwrap();
    assert_eq!(config.limits.max_file.bytes(), 5);
    assert_eq!(config.listen, ListenAddress::Tcp(([127, 0, 0, 1], 8080).into()));
    assert_eq!(config.cors_origins, ["https://a.example", "https://b.example"]);
}

#[test]
fn a_fault_names_the_setting_and_its_default() {
    assert_eq!(
        read(&[("MAX_FILE_SIZE", "big")]).unwrap_err(),
        "MAX_FILE_SIZE: \"big\" is not a whole number (default: 2147483648)"
    );
    assert_eq!(read(&[("JAM_TYPO", "1")]).unwrap_err(), "JAM_TYPO: is not a setting of this service");
    assert!(read(&[("CORS_ORIGIN", "*")]).is_err());
}

#[test]
fn a_publishable_key_gives_issuer_and_key_url() {
    let variables =
        [("CLERK_PUBLISHABLE_KEY", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"), ("DATABASE_URL", "postgres:///jam")];
    let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let auth = Config::read(&variables).unwrap().auth;
    assert_eq!(auth.issuer, "https://clerk.example.com");
    assert!(
        matches!(auth.keys, KeySource::Jwks { url } if url == "https://clerk.example.com/.well-known/jwks.json")
    );
}

#[test]
fn lambda_is_chosen_by_its_runtime_address_and_holds_few_connections() {
    let server = read(&[]).unwrap();
    assert!(server.lambda.is_none() && server.database_connections == 8);
    let lambda = read(&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")]).unwrap();
    let expected = LambdaConfig { answers: LambdaAnswers::Auto, is_emulated: false };
    assert_eq!((lambda.lambda, lambda.database_connections), (Some(expected), 2));
    let emulated = [
        ("AWS_LAMBDA_RUNTIME_API", "http://127.0.0.1:9000/.rt/jam-list"),
        ("JAM_LAMBDA_ANSWERS", "stream"),
        ("JAM_DATABASE_CONNECTIONS", "5"),
    ];
    let emulated = read(&emulated).unwrap();
    let expected = LambdaConfig { answers: LambdaAnswers::Stream, is_emulated: true };
    assert_eq!((emulated.lambda, emulated.database_connections), (Some(expected), 5));
    assert!(read(&[("JAM_LAMBDA_ANSWERS", "never")]).unwrap_err().starts_with("JAM_LAMBDA_ANSWERS"));
}

#[test]
fn production_refuses_a_local_issuer_and_an_open_list_of_parties() {
    let local = read(&[("NODE_ENV", "production"), ("JAM_AUTH_ISSUER", "http://127.0.0.1:3002")]);
    assert!(local.unwrap_err().starts_with("JAM_AUTH_ISSUER"));
    assert!(read(&[("APP_ENV", "production")]).unwrap_err().starts_with("JAM_AUTHORIZED_PARTIES"));
    assert!(read(&[("APP_ENV", "production"), ("JAM_AUTHORIZED_PARTIES", "https://a.example")]).is_ok());
    for issuer in [
        "http://clerk.example.com",
        "http://0.0.0.0:3002",
        "https://localhost.",
        "https://LOCALHOST",
        "https://a.localhost",
        "https://[::ffff:127.0.0.1]:3002",
        "https://[::]",
        "https://127.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://user@clerk.example.com",
        "clerk.example.com",
    ] {
        let parties = ("JAM_AUTHORIZED_PARTIES", "https://a.example");
        let refused = read(&[("APP_ENV", "production"), parties, ("JAM_AUTH_ISSUER", issuer)]);
        assert!(refused.is_err_and(|fault| fault.starts_with("JAM_AUTH_")), "{issuer}");
    }
}

#[test]
fn an_environment_of_another_name_is_not_taken_for_development() {
    for name in ["prod", "Production", "staging"] {
        assert!(read(&[("APP_ENV", name)]).unwrap_err().starts_with("APP_ENV"), "{name}");
    }
    assert!(!read(&[]).unwrap().production);
    let both =
        [("APP_ENV", "development"), ("NODE_ENV", "production"), ("JAM_AUTHORIZED_PARTIES", "https://a")];
    assert!(read(&both).unwrap().production);
}

#[test]
fn administrators_are_listed_by_their_ids() {
    let listed = read(&[("JAM_ADMIN_USERS", "user_a, user_b")]).unwrap().auth.admin_users;
    assert_eq!(listed.iter().map(|user| user.as_str()).collect::<Vec<_>>(), ["user_a", "user_b"]);
    assert!(read(&[("JAM_ADMIN_USERS", "a@example.com")]).unwrap_err().starts_with("JAM_ADMIN_USERS"));
}

#[test]
fn only_this_machine_is_loopback() {
    assert!(is_loopback_url("http://127.0.0.1:3002/x") && is_loopback_url("http://[::1]:1"));
    assert!(
        !is_loopback_url("http://127.0.0.1@evil.example") && !is_loopback_url("https://localhost.example")
    );
}
