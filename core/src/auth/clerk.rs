//! Clerk's Backend API: the users of the application, for administrators.
//! Never used to decide who is calling.

use super::https::{HttpsClient, parse_url};
use crate::config::Secret;
use crate::error::{Error, Result, chain};
use anyhow::Context as _;
use serde::Deserialize;

/// Users fetched with one request; Clerk's most.
const PAGE: usize = 500;
/// Users fetched at most, so that an answer stays bounded.
const MAX_USERS: usize = 10_000;
/// Largest page.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A client of the Backend API.
#[derive(Clone)]
pub struct ClerkApi {
    client: HttpsClient,
    base_url: String,
    secret_key: Secret,
}

/// A user as Clerk knows them. Times are milliseconds since 1970.
#[derive(Debug, Clone, Deserialize)]
pub struct ClerkUser {
    /// Clerk's id: the user id of this service.
    pub id: String,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// URL of their profile image.
    pub image_url: Option<String>,
    /// When the account was made.
    pub created_at: Option<i64>,
    /// When they signed in last.
    pub last_sign_in_at: Option<i64>,
    /// Which of the addresses is the main one.
    primary_email_address_id: Option<String>,
    /// Every address.
    #[serde(default)]
    email_addresses: Vec<EmailAddress>,
}

#[derive(Debug, Clone, Deserialize)]
struct EmailAddress {
    id: String,
    email_address: String,
}

impl ClerkUser {
    /// The main address, or the first.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        let main = self
            .email_addresses
            .iter()
            .find(|email| Some(&email.id) == self.primary_email_address_id.as_ref());
        main.or(self.email_addresses.first()).map(|email| email.email_address.as_str())
    }
}

impl ClerkApi {
    /// A client for the API at `base_url`.
    ///
    /// # Errors
    /// When the URL is not https.
    pub fn new(base_url: &str, secret_key: Secret) -> anyhow::Result<Self> {
        parse_url(base_url).context("JAM_CLERK_API_URL")?;
        Ok(Self {
            client: HttpsClient::new()?,
            base_url: base_url.trim_end_matches('/').to_owned(),
            secret_key,
        })
    }

    /// Every user, newest first, up to ten thousand.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Clerk does not answer as expected.
    pub async fn users(&self) -> Result<Vec<ClerkUser>> {
        let mut users = Vec::new();
        loop {
            let page = self.page(users.len()).await.map_err(|cause| {
                tracing::warn!(error = %chain(cause.as_ref()), "Clerk's users cannot be fetched");
                Error::Unavailable { part: "identity provider" }
            })?;
            let fetched = page.len();
            users.extend(page);
            if fetched < PAGE || users.len() >= MAX_USERS {
                return Ok(users);
            }
        }
    }

    async fn page(&self, offset: usize) -> anyhow::Result<Vec<ClerkUser>> {
        let url = format!("{}/v1/users?limit={PAGE}&offset={offset}&order_by=-created_at", self.base_url);
        let bytes =
            self.client.get(&parse_url(&url)?, Some(self.secret_key.expose()), MAX_PAGE_BYTES).await?;
        serde_json::from_slice(&bytes).context("not a list of users")
    }
}
