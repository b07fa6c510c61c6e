//! The settings that take more than one step to read: limits, session tokens, URL keys, proxies, origins.
//! Never looks at a name that is not in the list of settings.

use super::fault::ConfigError;
use super::reader::Reader;
use super::{
    AuthConfig, KeySource, LambdaAnswers, LambdaConfig, Limits, SecretBytes, TrustedProxies, UrlKey,
    is_loopback_url,
};
use crate::ids::UserId;
use crate::model::ByteSize;
use std::time::Duration;

impl Limits {
    /// Files on a page of a listing.
    pub const MAX_PAGE: i64 = 1000;
    /// Ids in one batch.
    pub const MAX_BATCH: usize = 500;
    /// Bytes of what a client says about a resumable upload.
    pub const MAX_UPLOAD_METADATA_BYTES: u64 = 4 * 1024;
}

pub(super) fn limits(env: &Reader<'_>) -> Result<Limits, ConfigError> {
    let optional_rate = |number: u64| (number > 0).then_some(number as u32);
    Ok(Limits {
        default_quota: ByteSize::new(env.number("MAX_STORAGE_PER_USER", 0, i64::MAX as u64)?),
        max_file: ByteSize::new(env.number("MAX_FILE_SIZE", 1, 1 << 44)?),
        max_files_per_upload: env.number("JAM_MAX_FILES_PER_UPLOAD", 1, 1000)? as usize,
        max_files_per_user: env.number("JAM_MAX_FILES_PER_USER", 1, 1_000_000_000)? as i64,
        max_json: ByteSize::mib(1),
        max_field: ByteSize::new(64 * 1024),
        max_fields: 256,
        max_form_text: ByteSize::mib(1),
        max_open_forms: 64,
        volume_floor: ByteSize::new(env.number("JAM_VOLUME_FLOOR", 0, 1 << 50)?),
        max_append: match env.number("JAM_MAX_APPEND_SIZE", 0, 1 << 44)? {
            0 => None,
            bytes => Some(ByteSize::new(bytes)),
        },
        max_open_uploads: 100,
        max_upload_metadata: ByteSize::new(Limits::MAX_UPLOAD_METADATA_BYTES),
        upload_start: Duration::from_hours(1),
        upload_idle: Duration::from_hours(24),
        upload_life: Duration::from_hours(7 * 24),
        upload_memory: Duration::from_hours(24),
        trash_keep: Duration::from_secs(env.number("JAM_TRASH_DAYS", 1, 365)? * 86_400),
        max_connections: env.number("JAM_MAX_CONNECTIONS", 16, 65_536)? as usize,
        max_connections_per_address: env.number("JAM_MAX_CONNECTIONS_PER_ADDRESS", 1, 65_536)? as usize,
        header_timeout: Duration::from_secs(10),
        body_idle_timeout: Duration::from_secs(30),
        body_min_rate: ByteSize::new(1024),
        // Longer than a statement (30 s) and the wait for a connection.
        answer: Duration::from_secs(40),
        drain: Duration::from_secs(env.number("JAM_DRAIN_SECONDS", 0, 600)?),
        max_page: Limits::MAX_PAGE,
        max_batch: Limits::MAX_BATCH,
        anonymous_window: Duration::from_millis(env.number("RATE_LIMIT_WINDOW_MS", 1000, 86_400_000)?),
        anonymous_requests: optional_rate(env.number("RATE_LIMIT_MAX_REQUESTS", 0, 10_000_000)?),
        user_requests_per_second: optional_rate(env.number("JAM_RATE_REQUESTS_PER_SECOND", 0, 1_000_000)?),
        user_uploads_per_minute: optional_rate(env.number("JAM_RATE_UPLOADS_PER_MINUTE", 0, 1_000_000)?),
    })
}

/// Lambda and its emulators tell a process where the runtime's interface is; the emulator's has a path.
pub(super) fn lambda(env: &Reader<'_>) -> Result<Option<LambdaConfig>, ConfigError> {
    let answers = match env.text("JAM_LAMBDA_ANSWERS")?.as_str() {
        "auto" => LambdaAnswers::Auto,
        "stream" => LambdaAnswers::Stream,
        "whole" => LambdaAnswers::Whole,
        _ => return Err(env.fault("JAM_LAMBDA_ANSWERS", "is none of auto, stream, whole")),
    };
    let address = env.optional("AWS_LAMBDA_RUNTIME_API");
    Ok(address.map(|address| LambdaConfig { answers, is_emulated: address.contains("/.rt/") }))
}

pub(super) fn auth(env: &Reader<'_>) -> Result<AuthConfig, ConfigError> {
    let domain = env.optional("CLERK_PUBLISHABLE_KEY").map(|key| clerk_domain(env, &key)).transpose()?;
    let issuer = env
        .optional("JAM_AUTH_ISSUER")
        .or_else(|| domain.as_ref().map(|domain| format!("https://{domain}")))
        .ok_or_else(|| env.fault("JAM_AUTH_ISSUER", "is unset, and so is CLERK_PUBLISHABLE_KEY"))?;
    let keys = match env.optional("CLERK_JWT_KEY") {
        Some(pem) => KeySource::Pem(pem.replace("\\n", "\n")),
        None => {
            let url = env
                .optional("JAM_AUTH_JWKS_URL")
                .unwrap_or_else(|| format!("{issuer}/.well-known/jwks.json"));
            if !url.starts_with("https://") && !is_loopback_url(&url) {
                return Err(env.fault("JAM_AUTH_JWKS_URL", "must be https, or http on loopback"));
            }
            KeySource::Jwks { url }
        }
    };
    if let Some(org) = env.optional("JAM_ADMIN_ORG")
        && UserId::parse(&org).is_none()
    {
        return Err(env.fault("JAM_ADMIN_ORG", "is not an organization id"));
    }
    let admin_users = env.list("JAM_ADMIN_USERS");
    let admin_users = admin_users.iter().map(|id| {
        let fault = || env.fault("JAM_ADMIN_USERS", format!("{id:?} is not a user id such as user_2abc"));
        UserId::parse(id).ok_or_else(fault)
    });
    Ok(AuthConfig {
        admin_users: admin_users.collect::<Result<_, _>>()?,
        issuer,
        keys,
        authorized_parties: env.list("JAM_AUTHORIZED_PARTIES"),
        allow_missing_azp: env.flag("JAM_ALLOW_MISSING_AZP")?,
        admin_org: env.optional("JAM_ADMIN_ORG"),
    })
}

/// `pk_live_<base64 of "domain$">` names the instance's domain.
fn clerk_domain(env: &Reader<'_>, key: &str) -> Result<String, ConfigError> {
    use base64::Engine as _;
    let fault =
        || env.fault("CLERK_PUBLISHABLE_KEY", "is not a publishable key (pk_live_... or pk_test_...)");
    let encoded = key.strip_prefix("pk_live_").or_else(|| key.strip_prefix("pk_test_")).ok_or_else(fault)?;
    let lenient = base64::engine::general_purpose::STANDARD_NO_PAD;
    let bytes = lenient.decode(encoded.trim_end_matches('=')).map_err(|_| fault())?;
    let text = String::from_utf8(bytes).map_err(|_| fault())?;
    let domain = text.strip_suffix('$').ok_or_else(fault)?;
    let clean =
        !domain.is_empty() && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if clean { Ok(domain.to_owned()) } else { Err(fault()) }
}

pub(super) fn url_keys(env: &Reader<'_>) -> Result<Vec<UrlKey>, ConfigError> {
    use base64::Engine as _;
    let mut keys = Vec::new();
    for entry in env.list("JAM_URL_KEYS") {
        let fault = || env.fault("JAM_URL_KEYS", "is not a list of kid:base64 with at least 32 bytes each");
        let (kid, encoded) = entry.split_once(':').ok_or_else(fault)?;
        let clean = (1..=16).contains(&kid.len()) && UserId::parse(kid).is_some();
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|_| fault())?;
        if !clean || bytes.len() < 32 {
            return Err(fault());
        }
        keys.push(UrlKey { kid: kid.to_owned(), bytes: SecretBytes(bytes) });
    }
    Ok(keys)
}

pub(super) fn proxies(env: &Reader<'_>) -> Result<TrustedProxies, ConfigError> {
    let mut proxies = TrustedProxies::default();
    for entry in env.list("JAM_TRUSTED_PROXIES") {
        if entry == "unix" {
            proxies.unix = true;
        } else {
            let address = entry
                .parse()
                .map_err(|_| env.fault("JAM_TRUSTED_PROXIES", format!("{entry} is not an address")))?;
            proxies.addresses.push(address);
        }
    }
    Ok(proxies)
}

/// Pages that a developer's tools serve; their ports change from start to start.
const LOOPBACK_ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

pub(super) fn origins(
    env: &Reader<'_>,
    name: &'static str,
    production: bool,
) -> Result<Vec<String>, ConfigError> {
    let origins = env.list(name);
    for origin in &origins {
        if LOOPBACK_ORIGINS.contains(&origin.as_str()) {
            if production {
                return Err(
                    env.fault(name, format!("{origin} is any page of a machine, which production refuses"))
                );
            }
            continue;
        }
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if rest.is_none_or(|host| host.is_empty() || host.contains(['/', '*', ' '])) {
            return Err(env.fault(name, format!("{origin} is not an origin such as https://app.example.com")));
        }
    }
    Ok(origins)
}
