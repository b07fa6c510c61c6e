//! Signed URLs: they let an `<img>` or `<video>`, which cannot send a token, read one variant of one file.
//! Invariant: without a configured key nothing is signed and nothing verifies.
//! Never reads the database: the caller holds the epochs of a verified URL against the rows, which is how URLs are
//! revoked.

use crate::clock::Clock;
use crate::config::UrlKey;
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::model::{ThumbnailSize, UrlEpochs};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// Expiries are on this grid, in seconds, so that a URL stays the same between two listings and browsers cache it.
const GRID_SECONDS: i64 = 15 * 60;
/// Longest life of a thumbnail's URL, in seconds.
const THUMBNAIL_SECONDS: i64 = 60 * 60;
/// Longest life of any other URL, in seconds: a long video must play to its end.
const MEDIA_SECONDS: i64 = 12 * 60 * 60;
/// What the derived keys are for, and the version of the signed text.
const PURPOSE: &str = "jam-storage signed-url v1";

/// What a signed URL shows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The file itself, as an attachment.
    Download,
    /// The file itself, in place.
    Stream,
    /// The video that was made of it for browsers, in place.
    Playback,
    /// A thumbnail, in place.
    Thumbnail(ThumbnailSize),
}

impl Variant {
    /// Every variant.
    pub const ALL: [Self; 7] = [
        Self::Download,
        Self::Stream,
        Self::Playback,
        Self::Thumbnail(ThumbnailSize::Default),
        Self::Thumbnail(ThumbnailSize::Small),
        Self::Thumbnail(ThumbnailSize::Medium),
        Self::Thumbnail(ThumbnailSize::Large),
    ];

    /// The segment of the path.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Stream => "stream",
            Self::Playback => "playback",
            Self::Thumbnail(ThumbnailSize::Default) => "thumbnail",
            Self::Thumbnail(ThumbnailSize::Small) => "thumbnail-small",
            Self::Thumbnail(ThumbnailSize::Medium) => "thumbnail-medium",
            Self::Thumbnail(ThumbnailSize::Large) => "thumbnail-large",
        }
    }

    /// The end of the path that shows the same to a caller with a token.
    #[must_use]
    pub const fn api_path(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Stream => "stream",
            Self::Playback => "stream?derivative=playback",
            Self::Thumbnail(ThumbnailSize::Default) => "thumbnail",
            Self::Thumbnail(ThumbnailSize::Small) => "thumbnail?size=small",
            Self::Thumbnail(ThumbnailSize::Medium) => "thumbnail?size=medium",
            Self::Thumbnail(ThumbnailSize::Large) => "thumbnail?size=large",
        }
    }

    /// Reads the segment of the path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.as_str() == text)
    }

    /// Whether it leads to the bytes that the user sent, and not to something the service made of them.
    #[must_use]
    pub const fn is_original(self) -> bool {
        matches!(self, Self::Download | Self::Stream)
    }

    const fn disposition(self) -> &'static str {
        match self {
            Self::Download => "attachment",
            Self::Stream | Self::Playback | Self::Thumbnail(_) => "inline",
        }
    }

    const fn max_seconds(self) -> i64 {
        match self {
            Self::Download | Self::Stream | Self::Playback => MEDIA_SECONDS,
            Self::Thumbnail(_) => THUMBNAIL_SECONDS,
        }
    }
}

/// A URL to hand out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// The URL, relative if no public base URL is configured.
    pub url: String,
    /// When it stops working.
    pub expires_at: OffsetDateTime,
}

/// A request whose signature holds. The file may be gone, moved to another owner or revoked: see the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The owner at the time of signing.
    pub user: UserId,
    /// The file.
    pub file: FileId,
    /// What of it.
    pub variant: Variant,
    /// To be compared with the rows.
    pub epochs: UrlEpochs,
    /// When the URL stops working.
    pub expires_at: OffsetDateTime,
}

/// Signs and verifies URLs. Clones are cheap and share the keys.
#[derive(Clone)]
pub struct Signer {
    keys: Arc<[Key]>,
    base_url: Arc<str>,
    clock: Clock,
}

/// A derived key, kept as a MAC that has taken it in already: a signature starts from a copy of it.
struct Key {
    kid: String,
    mac: Hmac<Sha256>,
}

impl Signer {
    /// The first key signs, all verify; without keys the feature is off.
    #[must_use]
    pub fn new(keys: &[UrlKey], public_base_url: &str, clock: Clock) -> Self {
        Self { keys: keys.iter().map(Key::derive).collect(), base_url: public_base_url.into(), clock }
    }

    /// Signs a URL for a variant of a user's file; `None` if the feature is off.
    ///
    /// It lives for `lifetime` at least, but never longer than its variant may; without one for as long as that. The
    /// expiry is on the 15-minute grid. Costs one HMAC over about 200 bytes.
    #[must_use]
    pub fn sign(
        &self,
        user: &UserId,
        file: FileId,
        variant: Variant,
        epochs: UrlEpochs,
        lifetime: Option<std::time::Duration>,
    ) -> Option<SignedUrl> {
        let key = self.keys.first()?;
        let longest = variant.max_seconds() - GRID_SECONDS;
        let seconds =
            lifetime.map_or(longest, |asked| i64::try_from(asked.as_secs()).unwrap_or(longest).min(longest));
        let earliest = self.clock.unix_seconds() + seconds;
        let expiry = (earliest + GRID_SECONDS - 1).div_euclid(GRID_SECONDS) * GRID_SECONDS;
        let meaning = Meaning::new(user, file, variant, epochs, expiry);
        let tag = key.mac_of(&meaning).finalize().into_bytes();
        // One allocation of the right size: a page has hundreds of these.
        let url = [
            &*self.base_url,
            "/f/",
            &meaning.file,
            "/",
            meaning.variant,
            "?e=",
            &meaning.expiry,
            "&k=",
            &key.kid,
            "&u=",
            meaning.user,
            "&v=",
            &meaning.user_epoch,
            ".",
            &meaning.file_epoch,
            "&s=",
            &URL_SAFE_NO_PAD.encode(tag),
        ]
        .concat();
        Some(SignedUrl { url, expires_at: OffsetDateTime::UNIX_EPOCH + Duration::seconds(expiry) })
    }

    /// Verifies the parts of a signed URL; `variant` is the path's segment, `query` the raw text after the `?`.
    /// Order: syntax, key, MAC, expiry.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for an unknown, missing or repeated query key; [`Error::BadSignature`] for all
    /// else.
    pub fn verify(&self, file: FileId, variant: &str, query: &str) -> Result<SignedRequest> {
        let query = Query::parse(query)?;
        let variant = Variant::parse(variant).ok_or(Error::BadSignature)?;
        let user = UserId::parse(query.user).ok_or(Error::BadSignature)?;
        let epochs = parse_epochs(query.epochs).ok_or(Error::BadSignature)?;
        let expiry: i64 = canonical_number(query.expiry).ok_or(Error::BadSignature)?;
        let expires_at = OffsetDateTime::from_unix_timestamp(expiry).map_err(|_| Error::BadSignature)?;
        let tag = URL_SAFE_NO_PAD.decode(query.signature).map_err(|_| Error::BadSignature)?;

        let key = self.keys.iter().find(|key| key.kid == query.kid).ok_or(Error::BadSignature)?;
        let mac = key.mac_of(&Meaning::new(&user, file, variant, epochs, expiry));
        mac.verify_slice(&tag).map_err(|_| Error::BadSignature)?;
        if expiry <= self.clock.unix_seconds() {
            return Err(Error::BadSignature);
        }
        Ok(SignedRequest { user, file, variant, epochs, expires_at })
    }
}

impl Key {
    /// HKDF-SHA256 (RFC 5869) of the configured bytes, bound to purpose and name: a master key used elsewhere, or
    /// under another name, gives other keys.
    #[expect(clippy::expect_used, reason = "runs at start, and 32 bytes are within both bounds")]
    fn derive(master: &UrlKey) -> Self {
        let mut derived = [0; 32];
        Hkdf::<Sha256>::new(None, &master.bytes.0)
            .expand_multi_info(&[PURPOSE.as_bytes(), b"\n", master.kid.as_bytes()], &mut derived)
            .expect("HKDF gives up to 8160 bytes");
        let mac = Hmac::new_from_slice(&derived).expect("HMAC takes a key of any length");
        Self { kid: master.kid.clone(), mac }
    }

    /// The MAC of a URL's meaning. No field can hold a newline, so no two meanings share a text.
    fn mac_of(&self, meaning: &Meaning<'_>) -> Hmac<Sha256> {
        let fields = [
            "GET",
            &meaning.file,
            meaning.variant,
            &meaning.expiry,
            &self.kid,
            meaning.disposition,
            meaning.user,
            &meaning.user_epoch,
            &meaning.file_epoch,
        ];
        let mut mac = self.mac.clone().chain_update(PURPOSE);
        for field in fields {
            mac.update(b"\n");
            mac.update(field.as_bytes());
        }
        mac
    }
}

/// What a URL means, as it is written and signed.
struct Meaning<'a> {
    user: &'a str,
    file: String,
    variant: &'static str,
    disposition: &'static str,
    expiry: String,
    user_epoch: String,
    file_epoch: String,
}

impl<'a> Meaning<'a> {
    fn new(user: &'a UserId, file: FileId, variant: Variant, epochs: UrlEpochs, expiry: i64) -> Self {
        Self {
            user: user.as_str(),
            file: file.to_string(),
            variant: variant.as_str(),
            disposition: variant.disposition(),
            expiry: expiry.to_string(),
            user_epoch: epochs.user.to_string(),
            file_epoch: epochs.file.to_string(),
        }
    }
}

/// The five keys of a signed URL's query, each exactly once. Values are compared as they are written: ours never
/// need percent-encoding.
struct Query<'a> {
    expiry: &'a str,
    kid: &'a str,
    user: &'a str,
    epochs: &'a str,
    signature: &'a str,
}

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let [mut e, mut k, mut u, mut v, mut s] = [None; 5];
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, slot) = match name {
                "e" => ("e", &mut e),
                "k" => ("k", &mut k),
                "u" => ("u", &mut u),
                "v" => ("v", &mut v),
                "s" => ("s", &mut s),
                _ => {
                    return Err(Error::invalid_parameter(
                        "query",
                        "a signed URL has the keys e, k, u, v and s only",
                    ));
                }
            };
            if slot.replace(value).is_some() {
                return Err(Error::invalid_parameter(name, "it is there twice"));
            }
        }
        let present = |name, value: Option<&'a str>| {
            value.ok_or_else(|| Error::invalid_parameter(name, "it is missing"))
        };
        Ok(Self {
            expiry: present("e", e)?,
            kid: present("k", k)?,
            user: present("u", u)?,
            epochs: present("v", v)?,
            signature: present("s", s)?,
        })
    }
}

fn parse_epochs(text: &str) -> Option<UrlEpochs> {
    let (user, file) = text.split_once('.')?;
    Some(UrlEpochs { user: canonical_number(user)?, file: canonical_number(file)? })
}

/// A number in the one spelling that we write: no sign, no leading zero.
fn canonical_number<N: std::str::FromStr + ToString>(text: &str) -> Option<N> {
    let number: N = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
