//! How often a caller may ask: by user once they are known, by address before.
//! Counts live in this process; every process of a deployment counts for itself.

mod turns;

pub use turns::{Turn, Turns};

use crate::config::Limits;
use crate::error::{Error, Result};
use crate::ids::UserId;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// Statements over many rows that one user may have running at once ...
const SEARCHES_PER_USER: usize = 2;
/// ... and how long the next one waits for its turn.
const SEARCH_PATIENCE: Duration = Duration::from_secs(1);

/// Keys after which forgotten ones are dropped, so that a flood of addresses cannot fill the memory.
const SHRINK_ABOVE_KEYS: usize = 100_000;

/// The budgets of a process.
pub struct Rates {
    anonymous: Option<DefaultKeyedRateLimiter<u128>>,
    requests: Option<DefaultKeyedRateLimiter<UserId>>,
    uploads: Option<DefaultKeyedRateLimiter<UserId>>,
    searches: Turns,
    forms: Turns,
    clock: DefaultClock,
}

impl Rates {
    /// Budgets as configured.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let some = |number: Option<u32>| number.and_then(NonZeroU32::new);
        let anonymous = some(limits.anonymous_requests).and_then(|most| {
            let each = limits.anonymous_window / most.get();
            Quota::with_period(each).map(|quota| quota.allow_burst(most))
        });
        let requests = some(limits.user_requests_per_second)
            .map(|most| Quota::per_second(most).allow_burst(most.saturating_mul(TEN)));
        let uploads = some(limits.user_uploads_per_minute).map(Quota::per_minute);
        Self {
            anonymous: anonymous.map(RateLimiter::keyed),
            requests: requests.map(RateLimiter::keyed),
            uploads: uploads.map(RateLimiter::keyed),
            searches: Turns::new(SEARCHES_PER_USER),
            forms: Turns::new(limits.max_open_forms),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request that proved no identity.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub fn anonymous(&self, address: Option<IpAddr>) -> Result<()> {
        match address {
            Some(address) => self.spend(self.anonymous.as_ref(), &network(address)),
            // A caller without an address reached us over our own socket.
            None => Ok(()),
        }
    }

    /// Counts a request of a known user.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub fn request(&self, user: &UserId) -> Result<()> {
        self.spend(self.requests.as_ref(), user)
    }

    /// Counts a file that a user starts to send.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub fn upload(&self, user: &UserId) -> Result<()> {
        self.spend(self.uploads.as_ref(), user)
    }

    /// Waits for a user's turn to have a statement over many rows run, and holds it until it is dropped.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when their other ones take too long.
    pub async fn search(&self, user: &UserId) -> Result<Turn> {
        let turn = tokio::time::timeout(SEARCH_PATIENCE, self.searches.next(user)).await;
        turn.map_err(|_| Error::TooManyRequests { retry_after_seconds: SEARCH_PATIENCE.as_secs() })
    }

    /// Counts a form that a user sends as open until the turn is dropped.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`].
    pub fn form(&self, user: &UserId) -> Result<Turn> {
        self.forms.try_next(user).ok_or(Error::TooManyUploads { max_open: self.forms.most() })
    }

    fn spend<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: Option<&DefaultKeyedRateLimiter<K>>,
        key: &K,
    ) -> Result<()> {
        let Some(limiter) = limiter else { return Ok(()) };
        if limiter.len() > SHRINK_ABOVE_KEYS {
            limiter.retain_recent();
        }
        limiter.check_key(key).map_err(|refusal| Error::TooManyRequests {
            retry_after_seconds: refusal.wait_time_from(self.clock.now()).as_secs() + 1,
        })
    }
}

const TEN: NonZeroU32 = match NonZeroU32::new(10) {
    Some(ten) => ten,
    None => NonZeroU32::MIN,
};

/// An IPv6 customer has a whole /64: count it as one.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6) & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn an_ipv6_customer_has_one_budget() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
