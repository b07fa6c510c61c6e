//! Every name of the environment that this service reads, with its meaning and default.
//! Never decides whether a value holds.

use super::places::{Place, place_of};
use std::collections::BTreeMap;

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
        "Connections to PostgreSQL that one process holds at most (1 to 100), and one more while it receives resumable uploads; unset under Lambda: 2.",
    ),
    plain(
        "USER_STORAGE_ROOT",
        "/mnt/user-storage/users",
        "Directory on the mounted volume that holds every user's files.",
    ),
    plain(
        "TEMP_UPLOAD_DIR",
        "",
        "Kept from the legacy service: must lie on the volume's own filesystem; staging is inside the volume either way.",
    ),
    plain("MAX_STORAGE_PER_USER", "10737418240", "Quota of a new user, in bytes."),
    plain("MAX_FILE_SIZE", "2147483648", "Largest single file, in bytes."),
    plain(
        "JAM_MAX_FILES_PER_USER",
        "1000000",
        "Files that one user may have, trash included (1 to 1000000000); what is there already stays.",
    ),
    plain("JAM_MAX_FILES_PER_UPLOAD", "100", "Files in one multipart upload at most (1 to 1000)."),
    plain(
        "JAM_MAX_APPEND_SIZE",
        "0",
        "Largest piece of a resumable upload, in bytes, where requests are bounded (AWS Lambda: 4194304); 0: no bound.",
    ),
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
        "JAM_ADMIN_USERS",
        "",
        "Comma list of user ids (Clerk: user_...) who are administrators here: the simple way; docs/runbook.md has the others.",
    ),
    plain(
        "JAM_ADMIN_ORG",
        "",
        "Organization id whose admins are administrators here, beside JAM_ADMIN_USERS and users with metadata.role = admin.",
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
    plain(
        "AWS_LAMBDA_RUNTIME_API",
        "",
        "Set by AWS Lambda and its emulator, never by hand: requests then come from there instead of a socket.",
    ),
    plain(
        "JAM_LAMBDA_ANSWERS",
        "auto",
        "Under Lambda: auto streams to function URLs and answers other gateways whole; stream streams to REST APIs too; whole never streams.",
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
    plain(
        "JAM_ACCEL",
        "",
        "`nginx`: nginx in front sends the bytes (X-Accel-Redirect to /_volume/, see infra/hetzner); unset: the service does.",
    ),
    plain(
        "CORS_ORIGIN",
        "",
        "Comma list of exact origins that may call from a browser; outside production also `http://localhost:*` and `http://127.0.0.1:*`.",
    ),
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
    secret(
        "JAM_ADOPT_DATABASE_URL",
        "PostgreSQL connection string of the legacy service; only read by `jam-admin adopt`.",
    ),
    plain(
        "JAM_CLAMD",
        "",
        "Where ClamAV's daemon listens (`unix:/run/clamav/clamd.ctl` or `127.0.0.1:3310`): new files are scanned before a link to them works without a token. Empty: they are not scanned.",
    ),
    plain(
        "JAM_SANDBOX",
        "required",
        "required: ffmpeg runs only where the kernel has Landlock (5.13 and later) to keep it from all files but its own; best-effort: elsewhere too, with a warning in the log.",
    ),
    plain("JAM_WORKER_CONCURRENCY", "2", "Jobs the worker runs at once (1 to 64)."),
    plain("JAM_JANITOR_SECONDS", "60", "Seconds between two passes of the janitor (1 to 3600)."),
    plain(
        "JAM_LOG",
        "info,symphonia=warn",
        "Log filter, such as info,sqlx=warn. With info,jam_core=debug, the time that each operation and database function took.",
    ),
    plain("JAM_LOG_FORMAT", "json", "json, or text for a terminal."),
    plain(
        "APP_ENV",
        "development",
        "production or development, nothing else. production refuses unsafe settings; NODE_ENV=production counts as it.",
    ),
];

/// A setting as the environment leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The variable's name.
    pub name: &'static str,
    /// Its value, `[secret]` in place of one that must never be shown, or where that is; `None` when there is none.
    pub value: Option<String>,
    /// Whether the value is the default.
    pub is_default: bool,
}

/// Every setting with the value it has among these variables, whether it holds or not.
#[must_use]
pub fn effective(variables: &BTreeMap<String, String>) -> Vec<Effective> {
    let settings = SETTINGS.iter().map(|setting| {
        let given = variables.get(setting.name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let default = (!setting.default.is_empty()).then_some(setting.default);
        let place = setting
            .secret
            .then(|| place_of(variables, setting.name))
            .flatten()
            .map(|(_, variable, says)| format!("[{variable}={says}]"));
        let is_default = given.is_none() && place.is_none();
        let value = match given {
            Some(_) if setting.secret => Some("[secret]".to_owned()),
            given => place.or(given.or(default).map(str::to_owned)),
        };
        Effective { name: setting.name, value, is_default }
    });
    settings.collect()
}

/// `.env.example`: every setting with its doc and default.
#[must_use]
pub fn env_example() -> String {
    let mut text = String::from("# Generated by `cargo dev sync` from core/src/config/settings.rs.\n");
    for setting in SETTINGS {
        let mark = if setting.default.is_empty() { "# " } else { "" };
        text.push_str(&format!("\n# {}\n{mark}{}={}\n", setting.doc, setting.name, setting.default));
    }
    text
}

/// `docs/configuration.md`: the same for a reader.
#[must_use]
pub fn configuration() -> String {
    let suffixes = Place::ALL.map(|place| format!("`*{}`", place.suffix())).join(", ");
    let mut text = format!(
        "<!-- Generated by `cargo dev sync` from core/src/config/settings.rs. -->\n# Configuration\n\nEverything is read \
         from the environment, once, at the start; an unknown `JAM_` name or a value out of bounds stops the start with its \
         name, its fault and its default. `jam-admin config` shows what a process would see, and what is wrong with it.\n\n\
         A secret's value may also be somewhere else: the first of {suffixes} that is set says in which file, in which \
         parameter of AWS Systems Manager or in which secret of AWS Secrets Manager. The last two need a program built with \
         the feature `aws`.\n\n| name | default | meaning |\n|---|---|---|\n"
    );
    for setting in SETTINGS {
        let default = match (setting.secret, setting.default) {
            (true, _) => "secret".to_owned(),
            (false, "") => String::new(),
            (false, default) => format!("`{default}`"),
        };
        let doc = setting.doc.replace('|', "\\|");
        text.push_str(&format!("| `{}` | {default} | {doc} |\n", setting.name));
    }
    text
}

/// Whether a name is that of a secret's place.
pub(super) fn is_place(name: &str) -> bool {
    let secrets = SETTINGS.iter().filter(|setting| setting.secret);
    let mut suffixes = secrets.filter_map(|setting| name.strip_prefix(setting.name));
    suffixes.any(|suffix| Place::ALL.iter().any(|place| place.suffix() == suffix))
}

#[cfg(test)]
mod tests {
    use super::effective;

    #[test]
    fn a_secret_is_never_shown_and_an_unset_name_shows_its_default() {
        let variables = [("DATABASE_URL", "postgres://jam:hunter2@db/jam"), ("PORT", " ")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let shown = effective(&variables);
        let of = |name| shown.iter().find(|setting| setting.name == name).unwrap();
        assert_eq!(of("DATABASE_URL").value.as_deref(), Some("[secret]"));
        assert_eq!(of("PORT").value.as_deref(), Some("3001"));
        assert!(of("PORT").is_default && !of("DATABASE_URL").is_default);
        assert_eq!(of("JAM_LISTEN").value, None);
        let file = [("DATABASE_URL_FILE".to_owned(), "/run/database-url".to_owned())].into();
        let shown = effective(&file);
        assert_eq!(shown[0].value.as_deref(), Some("[DATABASE_URL_FILE=/run/database-url]"));
    }
}
