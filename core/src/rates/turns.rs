//! Limits how many requests of a user run at once: the next one waits, or is refused and may be retried.
//! Only users who have a turn, or wait for one, take memory.

use crate::ids::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type Users = Arc<Mutex<HashMap<UserId, Arc<Semaphore>>>>;

/// The turns of every user.
#[derive(Debug)]
pub struct Turns {
    most: usize,
    users: Users,
}

/// A user's turn, over when dropped.
#[derive(Debug)]
pub struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    /// Taken out only by the drop.
    semaphore: Option<Arc<Semaphore>>,
    users: Users,
    user: UserId,
}

impl Turns {
    /// At most `most` turns at once for each user.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, users: Users::default() }
    }

    /// How many turns a user may have at once.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Waits for a user's turn.
    pub async fn next(&self, user: &UserId) -> Turn {
        let (mut turn, semaphore) = self.enter(user);
        // Nobody closes the semaphore.
        turn.permit = semaphore.acquire_owned().await.ok();
        turn
    }

    /// A user's turn, unless all of theirs are taken.
    pub fn try_next(&self, user: &UserId) -> Option<Turn> {
        let (mut turn, semaphore) = self.enter(user);
        turn.permit = semaphore.try_acquire_owned().ok();
        turn.permit.is_some().then_some(turn)
    }

    /// Whoever waits keeps the user's entry, and leaves it when they give up.
    fn enter(&self, user: &UserId) -> (Turn, Arc<Semaphore>) {
        let mut users = lock(&self.users);
        let semaphore = users.entry(user.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.most)));
        let turn = Turn {
            permit: None,
            semaphore: Some(Arc::clone(semaphore)),
            users: Arc::clone(&self.users),
            user: user.clone(),
        };
        (turn, Arc::clone(semaphore))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit = None;
        self.semaphore = None;
        let mut users = lock(&self.users);
        if users.get(&self.user).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            users.remove(&self.user);
        }
    }
}

fn lock(users: &Users) -> MutexGuard<'_, HashMap<UserId, Arc<Semaphore>>> {
    users.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Turns, lock};
    use crate::ids::UserId;

    #[tokio::test]
    async fn a_user_has_so_many_turns_and_costs_nobody_else_theirs() {
        let turns = Turns::new(2);
        let [ann, bob] = ["a", "b"].map(|name| UserId::parse(name).unwrap());
        let (first, second) = (turns.next(&ann).await, turns.try_next(&ann).unwrap());
        assert!(turns.try_next(&ann).is_none());
        assert!(turns.try_next(&bob).is_some());
        drop(first);
        let third = turns.try_next(&ann);
        assert!(third.is_some() && turns.try_next(&ann).is_none());
        drop((second, third));
        assert!(lock(&turns.users).is_empty());
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_leaves_nothing() {
        let turns = Turns::new(1);
        let ann = UserId::parse("a").unwrap();
        let held = turns.next(&ann).await;
        let waited = tokio::time::timeout(std::time::Duration::from_millis(1), turns.next(&ann)).await;
        assert!(waited.is_err());
        drop(held);
        assert!(lock(&turns.users).is_empty());
        assert!(turns.try_next(&ann).is_some());
    }
}
