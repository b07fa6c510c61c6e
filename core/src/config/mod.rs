//! The configuration: the only reader of the environment. Everything is parsed and bounded here, once, at start.
//! Never decides anything with the values, never keeps a secret where `Debug` would print it.

mod fault;
mod parse;
mod places;
mod reader;
mod secrets;
mod settings;

pub use fault::ConfigError;
pub use settings::{Effective, SETTINGS, Setting, configuration, effective, env_example};

use crate::ids::UserId;
use crate::model::ByteSize;
use reader::Reader;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Connections of one Lambda instance, which handles one request at a time: there are many instances.
const LAMBDA_DATABASE_CONNECTIONS: u32 = 2;

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where the keys that verify session tokens come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A JWKS document behind a URL.
    Jwks {
        /// https, or http on loopback.
        url: String,
    },
    /// One RSA public key as PEM; the token's `kid` is then ignored.
    Pem(String),
}

/// How session tokens are checked.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Exact value of `iss`.
    pub issuer: String,
    /// Where the keys are.
    pub keys: KeySource,
    /// Accepted values of `azp`; empty: not checked.
    pub authorized_parties: Vec<String>,
    /// Accept a missing `azp` although a list is set.
    pub allow_missing_azp: bool,
    /// Organization whose admins are administrators here.
    pub admin_org: Option<String>,
    /// Users who are administrators here.
    pub admin_users: Vec<UserId>,
}

/// A key for signed URLs.
#[derive(Debug, Clone)]
pub struct UrlKey {
    /// The key's name in URLs: 1 to 16 characters from `[A-Za-z0-9_-]`.
    pub kid: String,
    /// At least 32 bytes.
    pub bytes: SecretBytes,
}

/// Bytes that `Debug` does not show.
#[derive(Clone)]
pub struct SecretBytes(pub Vec<u8>);

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where a process listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address.
    Tcp(std::net::SocketAddr),
    /// A unix socket's path.
    Unix(PathBuf),
}

/// Whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    /// Proxies by address.
    pub addresses: Vec<IpAddr>,
    /// Anyone who reaches us over a unix socket.
    pub unix: bool,
}

/// How answers go back through AWS Lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LambdaAnswers {
    /// Streamed for function URLs, whole for every other gateway.
    Auto,
    /// Streamed wherever the gateway can: function URLs and REST APIs that are set up for it.
    Stream,
    /// Whole, up to what one answer of a gateway can hold.
    Whole,
}

/// What is different when requests come from AWS Lambda instead of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LambdaConfig {
    /// How answers go back.
    pub answers: LambdaAnswers,
    /// Whether this is `cargo lambda watch`: it breaks the runtime's connection when a client gives up, and does not
    /// start the function again.
    pub is_emulated: bool,
}

/// Every bound of this service, unit in its name.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Quota of a new user.
    pub default_quota: ByteSize,
    /// Largest single file.
    pub max_file: ByteSize,
    /// Files in one multipart upload.
    pub max_files_per_upload: usize,
    /// Files of one user, trash included.
    pub max_files_per_user: i64,
    /// Largest JSON body.
    pub max_json: ByteSize,
    /// Largest text field of a multipart upload.
    pub max_field: ByteSize,
    /// Text fields in one multipart upload.
    pub max_fields: usize,
    /// All text fields of one multipart upload together.
    pub max_form_text: ByteSize,
    /// Multipart uploads that one user may send at the same time.
    pub max_open_forms: usize,
    /// Free space below which uploads answer 507.
    pub volume_floor: ByteSize,
    /// Largest piece of a resumable upload; `None`: no bound. A bound also tells that requests are short, so that parts
    /// are not joined.
    pub max_append: Option<ByteSize>,
    /// Resumable uploads that one user may have open.
    pub max_open_uploads: usize,
    /// What a client says about a resumable upload, in its own encoding.
    pub max_upload_metadata: ByteSize,
    /// How long a resumable upload waits for its first byte.
    pub upload_start: Duration,
    /// How long it waits for the next one.
    pub upload_idle: Duration,
    /// How long it may take at all.
    pub upload_life: Duration,
    /// How long its end is remembered.
    pub upload_memory: Duration,
    /// How long a deleted file can be restored.
    pub trash_keep: Duration,
    /// Open connections in total.
    pub max_connections: usize,
    /// Open connections from one address.
    pub max_connections_per_address: usize,
    /// Time for a request's headers to arrive.
    pub header_timeout: Duration,
    /// Longest pause within a body.
    pub body_idle_timeout: Duration,
    /// Slowest average a body may have after its first 30 s, per second.
    pub body_min_rate: ByteSize,
    /// How long a request may wait for the database and the volume before its answer begins.
    pub answer: Duration,
    /// How long open requests may finish after SIGTERM.
    pub drain: Duration,
    /// Files per listing page at most.
    pub max_page: i64,
    /// Ids in one batch.
    pub max_batch: usize,
    /// Window of the unauthenticated request limit.
    pub anonymous_window: Duration,
    /// Requests per window and address; `None`: no limit.
    pub anonymous_requests: Option<u32>,
    /// Requests per second and user; `None`: no limit.
    pub user_requests_per_second: Option<u32>,
    /// Files created per minute and user; `None`: no limit.
    pub user_uploads_per_minute: Option<u32>,
}

/// Every setting of this service.
#[derive(Debug, Clone)]
pub struct Config {
    /// PostgreSQL.
    pub database_url: Secret,
    /// The legacy service's PostgreSQL, to take it over.
    pub adopt_database_url: Option<Secret>,
    /// Connections one process holds at most.
    pub database_connections: u32,
    /// The volume.
    pub storage_root: PathBuf,
    /// A staging directory of the legacy service; checked to be on the volume, otherwise unused.
    pub temp_upload_dir: Option<PathBuf>,
    /// Session tokens.
    pub auth: AuthConfig,
    /// Clerk's Backend API.
    pub clerk_secret_key: Option<Secret>,
    /// Where that API is.
    pub clerk_api_url: String,
    /// Clerk's webhooks.
    pub clerk_webhook_secret: Option<Secret>,
    /// Signed URLs; empty: the feature is off.
    pub url_keys: Vec<UrlKey>,
    /// Set when the process is an AWS Lambda function; then it does not listen.
    pub lambda: Option<LambdaConfig>,
    /// Where to listen.
    pub listen: ListenAddress,
    /// Where to serve metrics.
    pub metrics_listen: Option<ListenAddress>,
    /// Exit after this long without a request under socket activation.
    pub idle_exit: Option<Duration>,
    /// Whose forwarded addresses are believed.
    pub trusted_proxies: TrustedProxies,
    /// Prefix of URLs in answers.
    pub public_base_url: String,
    /// nginx in front sends the bytes that this service has allowed.
    pub accel: bool,
    /// Origins that may call from a browser.
    pub cors_origins: Vec<String>,
    /// Where ClamAV's daemon scans new files; unset: they are not scanned.
    pub scanner: Option<ListenAddress>,
    /// ffmpeg may run where the kernel has no Landlock.
    pub may_be_unconfined: bool,
    /// Jobs at once.
    pub worker_concurrency: usize,
    /// Between two passes of the janitor.
    pub janitor_interval: Duration,
    /// Log filter.
    pub log_filter: String,
    /// JSON lines, or text for a terminal.
    pub log_json: bool,
    /// Unsafe settings refuse to start.
    pub production: bool,
    /// The bounds.
    pub limits: Limits,
}

/// The process environment.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

impl Config {
    /// Reads the process environment, and secrets from where it says they are.
    ///
    /// # Errors
    /// Names the first setting whose value does not hold, and any unknown `JAM_` name.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&secrets::resolve(environment())?)
    }

    /// Reads a set of variables as [`Config::from_env`] reads the environment's.
    ///
    /// # Errors
    /// Names the first setting whose value does not hold, and any unknown `JAM_` name.
    pub fn read(variables: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let env = Reader::new(variables);
        env.refuse_unknown_names()?;
        let production = match env.text("APP_ENV")?.as_str() {
            "production" => true,
            "development" => variables.get("NODE_ENV").is_some_and(|value| value == "production"),
            other => {
                return Err(env.fault("APP_ENV", format!("{other:?} is neither production nor development")));
            }
        };
        let lambda = parse::lambda(&env)?;
        let config = Self {
            database_url: Secret::new(env.required("DATABASE_URL")?),
            adopt_database_url: env.optional("JAM_ADOPT_DATABASE_URL").map(Secret::new),
            database_connections: match env.optional("JAM_DATABASE_CONNECTIONS") {
                None if lambda.is_some() => LAMBDA_DATABASE_CONNECTIONS,
                _ => env.number("JAM_DATABASE_CONNECTIONS", 1, 100)? as u32,
            },
            storage_root: env.absolute_path("USER_STORAGE_ROOT")?,
            temp_upload_dir: env.optional("TEMP_UPLOAD_DIR").map(PathBuf::from),
            auth: parse::auth(&env)?,
            clerk_secret_key: env.optional("CLERK_SECRET_KEY").map(Secret::new),
            clerk_api_url: env.text("JAM_CLERK_API_URL")?,
            clerk_webhook_secret: env.optional("CLERK_WEBHOOK_SECRET").map(Secret::new),
            url_keys: parse::url_keys(&env)?,
            lambda,
            listen: match env.listen("JAM_LISTEN")? {
                Some(address) => address,
                None => ListenAddress::Tcp(([127, 0, 0, 1], env.number("PORT", 1, 65535)? as u16).into()),
            },
            metrics_listen: env.listen("JAM_METRICS_LISTEN")?,
            idle_exit: match env.number("JAM_IDLE_EXIT_SECONDS", 0, 86_400)? {
                0 => None,
                seconds => Some(Duration::from_secs(seconds)),
            },
            trusted_proxies: parse::proxies(&env)?,
            public_base_url: env.text("PUBLIC_BASE_URL")?.trim_end_matches('/').to_owned(),
            accel: match env.optional("JAM_ACCEL").as_deref() {
                None => false,
                Some("nginx") => true,
                Some(_) => return Err(env.fault("JAM_ACCEL", "is not nginx")),
            },
            cors_origins: parse::origins(&env, "CORS_ORIGIN", production)?,
            scanner: env.listen("JAM_CLAMD")?,
            may_be_unconfined: match env.text("JAM_SANDBOX")?.as_str() {
                "required" => false,
                "best-effort" => true,
                _ => return Err(env.fault("JAM_SANDBOX", "is neither required nor best-effort")),
            },
            worker_concurrency: env.number("JAM_WORKER_CONCURRENCY", 1, 64)? as usize,
            janitor_interval: Duration::from_secs(env.number("JAM_JANITOR_SECONDS", 1, 3600)?),
            log_filter: env.text("JAM_LOG")?,
            log_json: match env.text("JAM_LOG_FORMAT")?.as_str() {
                "json" => true,
                "text" => false,
                _ => return Err(env.fault("JAM_LOG_FORMAT", "is neither json nor text")),
            },
            production,
            limits: parse::limits(&env)?,
        };
        config.refuse_unsafe_production(&env)?;
        Ok(config)
    }

    fn refuse_unsafe_production(&self, env: &Reader<'_>) -> Result<(), ConfigError> {
        if !self.production {
            return Ok(());
        }
        if is_loopback_url(&self.auth.issuer) {
            return Err(env.fault("JAM_AUTH_ISSUER", "is a loopback issuer, which production refuses"));
        }
        if !self.auth.issuer.starts_with("https://") || self.auth.issuer.contains('@') {
            return Err(env.fault("JAM_AUTH_ISSUER", "is not https://name, which production requires"));
        }
        if self.auth.authorized_parties.is_empty() {
            return Err(env.fault("JAM_AUTHORIZED_PARTIES", "is empty, which production refuses"));
        }
        Ok(())
    }
}

/// Whether a URL's host is this machine.
#[must_use]
pub fn is_loopback_url(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    // A number alone, or with fewer dots, is an address to a resolver.
    let is_number = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match name.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => name == "localhost" || name.ends_with(".localhost") || is_number || name.starts_with("0x"),
    }
}

#[cfg(test)]
mod tests;
