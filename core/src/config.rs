//! The configuration: the only reader of the environment. Everything is parsed and bounded here, once, at start.
//! Never decides anything with the values, never keeps a secret where `Debug` would print it.

use crate::ids::UserId;
use crate::model::ByteSize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One name of the environment: what it does, what it is when unset.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The variable's name.
    pub name: &'static str,
    /// The value when unset; empty means there is none.
    pub default: &'static str,
    /// One sentence for the operator.
    pub doc: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
}

const fn plain(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting { name, default, doc, secret: false }
}

const fn secret(name: &'static str, doc: &'static str) -> Setting {
    Setting { name, default: "", doc, secret: true }
}

/// Every name this service reads, in the order `.env.example` shows them.
pub const SETTINGS: &[Setting] = &[
    secret("DATABASE_URL", "PostgreSQL connection string; required."),
    plain(
        "JAM_DATABASE_CONNECTIONS",
        "8",
        "Connections to PostgreSQL that one process holds at most (1 to 100).",
    ),
    plain(
        "USER_STORAGE_ROOT",
        "/mnt/user-storage/users",
        "Directory on the mounted volume that holds every user's files.",
    ),
    plain(
        "TEMP_UPLOAD_DIR",
        "",
        "Kept from the replaced system: must lie on the volume's own filesystem; staging is inside the volume either way.",
    ),
    plain("MAX_STORAGE_PER_USER", "10737418240", "Quota of a new user, in bytes."),
    plain("MAX_FILE_SIZE", "2147483648", "Largest single file, in bytes."),
    plain("JAM_MAX_FILES_PER_UPLOAD", "100", "Files in one multipart upload at most (1 to 1000)."),
    plain(
        "JAM_VOLUME_FLOOR",
        "268435456",
        "Free bytes below which the volume counts as full and uploads answer 507.",
    ),
    plain("JAM_TRASH_DAYS", "30", "Days a deleted file stays in the trash (1 to 365)."),
    plain(
        "CLERK_PUBLISHABLE_KEY",
        "",
        "Clerk's publishable key; the domain inside gives issuer and key URL.",
    ),
    secret("CLERK_SECRET_KEY", "Clerk's secret key; only used to list users for administrators."),
    plain("JAM_CLERK_API_URL", "https://api.clerk.com", "Clerk's Backend API."),
    plain("CLERK_JWT_KEY", "", "Clerk's public key as PEM: tokens are then checked without fetching keys."),
    secret("CLERK_WEBHOOK_SECRET", "Signing secret of Clerk's webhooks (whsec_...)."),
    plain(
        "JAM_AUTH_ISSUER",
        "",
        "Exact `iss` of session tokens; taken from CLERK_PUBLISHABLE_KEY when unset.",
    ),
    plain(
        "JAM_AUTH_JWKS_URL",
        "",
        "Where the issuer's keys are; taken from CLERK_PUBLISHABLE_KEY when unset. Plain http only on loopback.",
    ),
    plain(
        "JAM_AUTHORIZED_PARTIES",
        "",
        "Comma list of origins a token's `azp` must be one of; required in production.",
    ),
    plain(
        "JAM_ALLOW_MISSING_AZP",
        "false",
        "Accept tokens without `azp` although a list is set (native apps).",
    ),
    plain(
        "JAM_ADMIN_ORG",
        "",
        "Organization id whose admins are administrators here, beside users with metadata.role = admin.",
    ),
    secret(
        "JAM_URL_KEYS",
        "Keys for signed URLs, `kid:base64` with 32 bytes or more, comma separated; the first signs, all verify. Unset: no signed URLs.",
    ),
    plain("PORT", "3001", "Port on 127.0.0.1 when JAM_LISTEN is unset."),
    plain("JAM_LISTEN", "", "`unix:/path` or `ip:port` to listen on."),
    plain(
        "JAM_METRICS_LISTEN",
        "",
        "`unix:/path` or `ip:port` for Prometheus metrics; unset: not served. Keep it private.",
    ),
    plain("JAM_MAX_CONNECTIONS", "4096", "Open connections in total (16 to 65536)."),
    plain(
        "JAM_MAX_CONNECTIONS_PER_ADDRESS",
        "256",
        "Open connections from one address; proxies and sockets are not counted (1 to 65536).",
    ),
    plain(
        "JAM_IDLE_EXIT_SECONDS",
        "0",
        "Exit after this long without a request when started by socket activation; 0: never.",
    ),
    plain("JAM_DRAIN_SECONDS", "30", "How long open requests may finish after SIGTERM."),
    plain(
        "JAM_TRUSTED_PROXIES",
        "",
        "Comma list of addresses whose X-Forwarded-For is believed; `unix` means callers over a unix socket.",
    ),
    plain(
        "PUBLIC_BASE_URL",
        "",
        "Prefix of the URLs in answers, such as https://files.example.com; unset: they are relative.",
    ),
    plain("CORS_ORIGIN", "", "Comma list of exact origins that may call from a browser."),
    plain(
        "RATE_LIMIT_WINDOW_MS",
        "900000",
        "Window of the request limit for callers without a token, in milliseconds.",
    ),
    plain("RATE_LIMIT_MAX_REQUESTS", "100", "Requests per window and address without a token; 0: no limit."),
    plain(
        "JAM_RATE_REQUESTS_PER_SECOND",
        "200",
        "Requests per second and user with a token; bursts of ten times as many; 0: no limit.",
    ),
    plain(
        "JAM_RATE_UPLOADS_PER_MINUTE",
        "1200",
        "Files a user may create per minute; bursts of as many; 0: no limit.",
    ),
    plain("JAM_WORKER_CONCURRENCY", "2", "Jobs the worker runs at once (1 to 64)."),
    plain("JAM_JANITOR_SECONDS", "60", "Seconds between two passes of the janitor (1 to 3600)."),
    plain("JAM_LOG", "info", "Log filter, such as info,sqlx=warn."),
    plain("JAM_LOG_FORMAT", "json", "json, or text for a terminal."),
    plain("APP_ENV", "development", "production refuses unsafe settings; NODE_ENV=production counts as it."),
];

/// Names that are read but listed elsewhere: `NODE_ENV` is an alias.
const ALIASES: &[&str] = &["NODE_ENV"];

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

/// A setting that stops the start: its name, what is wrong, its default.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}: {fault}{}", default_hint(.default))]
pub struct ConfigError {
    /// The variable.
    pub name: String,
    /// What is wrong with its value.
    pub fault: String,
    /// What it would be when unset.
    pub default: &'static str,
}

fn default_hint(default: &str) -> String {
    if default.is_empty() { String::new() } else { format!(" (default: {default})") }
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

/// Every bound of this service, unit in its name.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Quota of a new user.
    pub default_quota: ByteSize,
    /// Largest single file.
    pub max_file: ByteSize,
    /// Files in one multipart upload.
    pub max_files_per_upload: usize,
    /// Largest JSON body.
    pub max_json: ByteSize,
    /// Largest text field of a multipart upload.
    pub max_field: ByteSize,
    /// Text fields in one multipart upload.
    pub max_fields: usize,
    /// Free space below which uploads answer 507.
    pub volume_floor: ByteSize,
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

/// Everything this service can be told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// PostgreSQL.
    pub database_url: Secret,
    /// Connections one process holds at most.
    pub database_connections: u32,
    /// The volume.
    pub storage_root: PathBuf,
    /// A staging directory of the replaced system; checked to be on the volume, otherwise unused.
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
    /// Origins that may call from a browser.
    pub cors_origins: Vec<String>,
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

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// Names the first setting whose value does not hold, and any unknown `JAM_` name.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&std::env::vars().collect())
    }

    /// Reads a set of variables as [`Config::from_env`] reads the environment's.
    ///
    /// # Errors
    /// Names the first setting whose value does not hold, and any unknown `JAM_` name.
    pub fn read(variables: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let env = Reader { variables };
        env.refuse_unknown_names()?;
        let production = env.text("APP_ENV")? == "production"
            || variables.get("NODE_ENV").is_some_and(|value| value == "production");
        let config = Self {
            database_url: Secret::new(env.required("DATABASE_URL")?),
            database_connections: env.number("JAM_DATABASE_CONNECTIONS", 1, 100)? as u32,
            storage_root: env.absolute_path("USER_STORAGE_ROOT")?,
            temp_upload_dir: env.optional("TEMP_UPLOAD_DIR").map(PathBuf::from),
            auth: read_auth(&env)?,
            clerk_secret_key: env.optional("CLERK_SECRET_KEY").map(Secret::new),
            clerk_api_url: env.text("JAM_CLERK_API_URL")?,
            clerk_webhook_secret: env.optional("CLERK_WEBHOOK_SECRET").map(Secret::new),
            url_keys: read_url_keys(&env)?,
            listen: match env.listen("JAM_LISTEN")? {
                Some(address) => address,
                None => ListenAddress::Tcp(([127, 0, 0, 1], env.number("PORT", 1, 65535)? as u16).into()),
            },
            metrics_listen: env.listen("JAM_METRICS_LISTEN")?,
            idle_exit: match env.number("JAM_IDLE_EXIT_SECONDS", 0, 86_400)? {
                0 => None,
                seconds => Some(Duration::from_secs(seconds)),
            },
            trusted_proxies: read_proxies(&env)?,
            public_base_url: env.text("PUBLIC_BASE_URL")?.trim_end_matches('/').to_owned(),
            cors_origins: read_origins(&env, "CORS_ORIGIN")?,
            worker_concurrency: env.number("JAM_WORKER_CONCURRENCY", 1, 64)? as usize,
            janitor_interval: Duration::from_secs(env.number("JAM_JANITOR_SECONDS", 1, 3600)?),
            log_filter: env.text("JAM_LOG")?,
            log_json: match env.text("JAM_LOG_FORMAT")?.as_str() {
                "json" => true,
                "text" => false,
                _ => return Err(env.fault("JAM_LOG_FORMAT", "is neither json nor text")),
            },
            production,
            limits: read_limits(&env)?,
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
        if self.auth.authorized_parties.is_empty() {
            return Err(env.fault("JAM_AUTHORIZED_PARTIES", "is empty, which production refuses"));
        }
        Ok(())
    }
}

fn read_limits(env: &Reader<'_>) -> Result<Limits, ConfigError> {
    let optional_rate = |number: u64| (number > 0).then_some(number as u32);
    Ok(Limits {
        default_quota: ByteSize::new(env.number("MAX_STORAGE_PER_USER", 0, i64::MAX as u64)?),
        max_file: ByteSize::new(env.number("MAX_FILE_SIZE", 1, 1 << 44)?),
        max_files_per_upload: env.number("JAM_MAX_FILES_PER_UPLOAD", 1, 1000)? as usize,
        max_json: ByteSize::mib(1),
        max_field: ByteSize::new(64 * 1024),
        max_fields: 256,
        volume_floor: ByteSize::new(env.number("JAM_VOLUME_FLOOR", 0, 1 << 50)?),
        trash_keep: Duration::from_secs(env.number("JAM_TRASH_DAYS", 1, 365)? * 86_400),
        max_connections: env.number("JAM_MAX_CONNECTIONS", 16, 65_536)? as usize,
        max_connections_per_address: env.number("JAM_MAX_CONNECTIONS_PER_ADDRESS", 1, 65_536)? as usize,
        header_timeout: Duration::from_secs(10),
        body_idle_timeout: Duration::from_secs(30),
        body_min_rate: ByteSize::new(1024),
        drain: Duration::from_secs(env.number("JAM_DRAIN_SECONDS", 0, 600)?),
        max_page: 200,
        max_batch: 500,
        anonymous_window: Duration::from_millis(env.number("RATE_LIMIT_WINDOW_MS", 1000, 86_400_000)?),
        anonymous_requests: optional_rate(env.number("RATE_LIMIT_MAX_REQUESTS", 0, 10_000_000)?),
        user_requests_per_second: optional_rate(env.number("JAM_RATE_REQUESTS_PER_SECOND", 0, 1_000_000)?),
        user_uploads_per_minute: optional_rate(env.number("JAM_RATE_UPLOADS_PER_MINUTE", 0, 1_000_000)?),
    })
}

fn read_auth(env: &Reader<'_>) -> Result<AuthConfig, ConfigError> {
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
    Ok(AuthConfig {
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

fn read_url_keys(env: &Reader<'_>) -> Result<Vec<UrlKey>, ConfigError> {
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

fn read_proxies(env: &Reader<'_>) -> Result<TrustedProxies, ConfigError> {
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

fn read_origins(env: &Reader<'_>, name: &'static str) -> Result<Vec<String>, ConfigError> {
    let origins = env.list(name);
    for origin in &origins {
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if rest.is_none_or(|host| host.is_empty() || host.contains(['/', '*', ' '])) {
            return Err(env.fault(name, format!("{origin} is not an origin such as https://app.example.com")));
        }
    }
    Ok(origins)
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
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `.env.example`: every setting with its doc and default.
#[must_use]
pub fn env_example() -> String {
    let mut text = String::from("# Generated by `cargo dev sync` from core/src/config.rs.\n");
    for setting in SETTINGS {
        let mark = if setting.default.is_empty() { "# " } else { "" };
        text.push_str(&format!("\n# {}\n{mark}{}={}\n", setting.doc, setting.name, setting.default));
    }
    text
}

struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    fn refuse_unknown_names(&self) -> Result<(), ConfigError> {
        for name in self.variables.keys().filter(|name| name.starts_with("JAM_")) {
            if !SETTINGS.iter().any(|s| s.name == name) && !ALIASES.contains(&name.as_str()) {
                return Err(ConfigError {
                    name: name.clone(),
                    fault: "is not a setting of this service".to_owned(),
                    default: "",
                });
            }
        }
        Ok(())
    }

    fn default(name: &str) -> &'static str {
        SETTINGS.iter().find(|s| s.name == name).map_or("", |s| s.default)
    }

    fn fault(&self, name: &str, fault: impl Into<String>) -> ConfigError {
        ConfigError { name: name.to_owned(), fault: fault.into(), default: Self::default(name) }
    }

    /// A value that is set and not empty.
    fn optional(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|v| v.trim()).filter(|v| !v.is_empty()).map(str::to_owned)
    }

    fn text(&self, name: &str) -> Result<String, ConfigError> {
        Ok(self.optional(name).unwrap_or_else(|| Self::default(name).to_owned()))
    }

    fn required(&self, name: &str) -> Result<String, ConfigError> {
        self.optional(name).ok_or_else(|| self.fault(name, "is required and unset"))
    }

    fn number(&self, name: &str, min: u64, max: u64) -> Result<u64, ConfigError> {
        let text = self.text(name)?;
        let number =
            text.parse::<u64>().map_err(|_| self.fault(name, format!("{text:?} is not a whole number")))?;
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(self.fault(name, format!("{number} is not between {min} and {max}")))
        }
    }

    fn flag(&self, name: &str) -> Result<bool, ConfigError> {
        match self.text(name)?.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(self.fault(name, format!("{other:?} is neither true nor false"))),
        }
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.optional(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    fn absolute_path(&self, name: &str) -> Result<PathBuf, ConfigError> {
        let path = PathBuf::from(self.text(name)?);
        if path.is_absolute() { Ok(path) } else { Err(self.fault(name, "is not an absolute path")) }
    }

    fn listen(&self, name: &str) -> Result<Option<ListenAddress>, ConfigError> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Some(ListenAddress::Unix(path.into())));
        }
        let address = text.parse().map_err(|_| self.fault(name, "is neither unix:/path nor ip:port"))?;
        Ok(Some(ListenAddress::Tcp(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, KeySource, ListenAddress, is_loopback_url};
    use std::collections::BTreeMap;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let mut variables: BTreeMap<String, String> =
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        variables.entry("DATABASE_URL".into()).or_insert_with(|| "postgres:///jam".into());
        variables.entry("JAM_AUTH_ISSUER".into()).or_insert_with(|| "https://clerk.example.com".into());
        Config::read(&variables).map_err(|e| e.to_string())
    }

    #[test]
    fn the_replaced_systems_names_keep_working() {
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
        let variables = [
            ("CLERK_PUBLISHABLE_KEY", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"),
            ("DATABASE_URL", "postgres:///jam"),
        ];
        let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let auth = Config::read(&variables).unwrap().auth;
        assert_eq!(auth.issuer, "https://clerk.example.com");
        assert!(
            matches!(auth.keys, KeySource::Jwks { url } if url == "https://clerk.example.com/.well-known/jwks.json")
        );
    }

    #[test]
    fn production_refuses_a_local_issuer_and_an_open_list_of_parties() {
        let local = read(&[("NODE_ENV", "production"), ("JAM_AUTH_ISSUER", "http://127.0.0.1:3002")]);
        assert!(local.unwrap_err().starts_with("JAM_AUTH_ISSUER"));
        assert!(read(&[("APP_ENV", "production")]).unwrap_err().starts_with("JAM_AUTHORIZED_PARTIES"));
        assert!(read(&[("APP_ENV", "production"), ("JAM_AUTHORIZED_PARTIES", "https://a.example")]).is_ok());
    }

    #[test]
    fn only_this_machine_is_loopback() {
        assert!(is_loopback_url("http://127.0.0.1:3002/x") && is_loopback_url("http://[::1]:1"));
        assert!(
            !is_loopback_url("http://127.0.0.1@evil.example")
                && !is_loopback_url("https://localhost.example")
        );
    }
}
