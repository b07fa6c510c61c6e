//! What every function holds: the stores, the verifier, the signer, the limits. Built once, cloned cheaply.
//! Never decides anything.

use crate::auth::clerk::ClerkApi;
use crate::auth::svix::WebhookVerifier;
use crate::auth::{Signer, Verifier};
use crate::blob::{Blobs, Volume};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::media::MediaLimits;
use crate::rates::Rates;
use crate::upkeep::Upkeep;
use crate::writers::Writers;
use anyhow::Context as _;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// What small files of forms hold in memory together, in KiB. When it is taken, files are staged on disk as they arrive.
const WAITING_KIB: usize = 16 * 1024;

/// The application's parts behind one pointer.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts; see [`App`].
pub struct Parts {
    /// Postgres.
    pub db: Db,
    /// Where bytes are kept.
    pub blobs: Blobs,
    /// Checks session tokens.
    pub verifier: Verifier,
    /// The identity provider's users, if its secret key is configured.
    pub clerk: Option<ClerkApi>,
    /// Checks the identity provider's webhooks, if their secret is configured.
    pub webhooks: Option<WebhookVerifier>,
    /// Makes and checks signed URLs.
    pub signer: Signer,
    /// The time.
    pub clock: Clock,
    /// What the environment said.
    pub config: Config,
    /// How often a caller may ask.
    pub rates: Rates,
    /// Who is writing to which resumable upload.
    pub writers: Writers,
    /// What the janitor of this process found out.
    pub upkeep: Upkeep,
    /// Cancelled when the process is to end.
    pub stop: CancellationToken,
    /// Bounds of decoders.
    pub media_limits: MediaLimits,
    /// One permit a core: decoding more images at once is slower and takes more memory.
    pub decoders: Arc<Semaphore>,
    /// KiB that small files of forms may hold while they wait in memory for the rest of their form.
    pub waiting_kib: Arc<Semaphore>,
    /// Work that goes on when its request is gone; a process that ends waits for it.
    pub tasks: TaskTracker,
    /// When the process started.
    pub started: Instant,
}

impl App {
    /// Opens the volume and prepares everything that connects later.
    ///
    /// # Errors
    /// When the volume is not there, or a setting does not hold together.
    pub fn open(config: Config) -> anyhow::Result<Self> {
        let volume = Volume::open(&config.storage_root, config.limits.volume_floor)
            .with_context(|| format!("USER_STORAGE_ROOT {} cannot be used", config.storage_root.display()))?;
        if let Some(staging) = &config.temp_upload_dir
            && !volume.shares_filesystem_with(staging)?
        {
            anyhow::bail!("TEMP_UPLOAD_DIR {} is not on the volume's filesystem", staging.display());
        }
        let clock = Clock::System;
        let db = Db::connect_lazy(&config)?;
        let verifier = Verifier::new(&config.auth, clock.clone())?;
        Self::assemble(config, db, Blobs::Volume(volume), verifier, clock)
    }

    /// Puts parts together that a test made itself.
    ///
    /// # Errors
    /// When a setting does not hold together.
    pub fn assemble(
        config: Config,
        db: Db,
        blobs: Blobs,
        verifier: Verifier,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let clerk = config.clerk_secret_key.clone();
        let clerk = clerk.map(|key| ClerkApi::new(&config.clerk_api_url, key)).transpose()?;
        let webhooks = config.clerk_webhook_secret.as_ref();
        let webhooks = webhooks.map(|secret| WebhookVerifier::new(secret, clock.clone())).transpose()?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self(Arc::new(Parts {
            db,
            blobs,
            verifier,
            clerk,
            webhooks,
            signer: Signer::new(&config.url_keys, &config.public_base_url, clock.clone()),
            clock,
            rates: Rates::new(&config.limits),
            writers: Writers::default(),
            upkeep: Upkeep::default(),
            stop: CancellationToken::new(),
            media_limits: MediaLimits {
                may_be_unconfined: config.may_be_unconfined,
                ..MediaLimits::default()
            },
            decoders: Arc::new(Semaphore::new(cores)),
            waiting_kib: Arc::new(Semaphore::new(WAITING_KIB)),
            tasks: TaskTracker::new(),
            started: Instant::now(),
            config,
        })))
    }
}

impl App {
    /// Runs work in a task of its own and waits for it: it goes on to its end when the client hangs up meanwhile. For all
    /// that holds a lease or a permit, or changes state in more than one step.
    ///
    /// # Errors
    /// What the work ends with.
    pub async fn outlive<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let running = self.tasks.spawn(work.in_current_span());
        let ended = running.await;
        ended.map_err(|panicked| Error::Internal(anyhow::Error::new(panicked).context("behind a request")))?
    }

    /// Runs work in a task of its own that nobody waits for.
    pub fn detach(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work.in_current_span());
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
