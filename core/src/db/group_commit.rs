//! Group commit: requests of one user for the same statement that come while one of them runs become one statement.
//! Each alone would wait for the user's row in the ledger, and for the disk, of the one before.
//! Invariant: each request is answered by a statement that held it, and what it asks for happens once or not at all. A group
//! never decides for one of its requests: what it refuses is asked again alone. Never makes one user wait for another.

use super::files::Arrival;
use super::uploads::NewUpload;
use super::{Db, files, retrying, uploads};
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::model::{ByteSize, File};
use sqlx::PgConnection;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Most requests of one statement: it holds the row for some milliseconds.
const MOST: usize = 32;

/// A request that one statement can answer for many.
pub(super) trait Grouped: Debug + Send + Sync + Sized + 'static {
    /// What Postgres says to it; nothing of a request without an answer has happened.
    type Answer: Debug + Send + 'static;

    /// One statement for all of them.
    fn run(
        conn: &mut PgConnection,
        user: &UserId,
        group: &[&Self],
        max_files: i64,
    ) -> impl Future<Output = Result<Vec<Option<Self::Answer>>>> + Send;
}

impl Grouped for NewUpload {
    type Answer = ByteSize;

    async fn run(
        conn: &mut PgConnection,
        user: &UserId,
        group: &[&Self],
        max_files: i64,
    ) -> Result<Vec<Option<ByteSize>>> {
        let granted = uploads::create(conn, user, group, max_files).await?;
        Ok(granted.map_or_else(|| vec![None; group.len()], |granted| granted.into_iter().map(Some).collect()))
    }
}

impl Grouped for Arrival {
    type Answer = File;

    async fn run(
        conn: &mut PgConnection,
        user: &UserId,
        group: &[&Self],
        max_files: i64,
    ) -> Result<Vec<Option<File>>> {
        files::insert(conn, user, group, max_files).await
    }
}

#[derive(Debug)]
struct Waiting<T: Grouped> {
    request: T,
    answer: oneshot::Sender<Result<Option<T::Answer>>>,
}

/// Requests that wait, by user. A user is in it while a statement of theirs runs.
#[derive(Debug)]
pub(super) struct Groups<T: Grouped>(Mutex<HashMap<UserId, Vec<Waiting<T>>>>);

impl<T: Grouped> Default for Groups<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Grouped> Groups<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Waiting<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody answers this user's requests yet.
    fn join(&self, user: &UserId, waiting: Waiting<T>) -> bool {
        match self.lock().entry(user.clone()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(waiting);
                false
            }
            Entry::Vacant(nobody) => {
                nobody.insert(vec![waiting]);
                true
            }
        }
    }

    /// The requests that came meanwhile. Without any, the next one has to be answered by somebody else.
    fn next(&self, user: &UserId) -> Option<Vec<Waiting<T>>> {
        let mut users = self.lock();
        let waiting = users.get_mut(user)?;
        let group: Vec<Waiting<T>> = waiting.drain(..waiting.len().min(MOST)).collect();
        if group.is_empty() {
            users.remove(user);
            return None;
        }
        Some(group)
    }
}

/// Who answers a user's requests.
struct Turn<T: Grouped> {
    groups: Arc<Groups<T>>,
    user: UserId,
}

impl<T: Grouped> Drop for Turn<T> {
    /// After a panic nobody may wait for it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.groups.lock().remove(&self.user);
        }
    }
}

/// Asks, together with whoever else asks for this user.
#[expect(clippy::disallowed_methods, reason = "it answers others than the request that started it")]
async fn ask<T: Grouped>(
    db: &Db,
    groups: &Arc<Groups<T>>,
    user: &UserId,
    request: T,
    max_files: i64,
) -> Result<Option<T::Answer>> {
    let (answer, answered) = oneshot::channel();
    if groups.join(user, Waiting { request, answer }) {
        let turn = Turn { groups: Arc::clone(groups), user: user.clone() };
        let db = db.clone();
        tokio::spawn(async move {
            while let Some(group) = turn.groups.next(&turn.user) {
                answer_all(&db, &turn.user, group, max_files).await;
            }
        });
    }
    let lost = |_| Err(Error::Internal(anyhow::anyhow!("a statement for several requests was not answered")));
    answered.await.unwrap_or_else(lost)
}

async fn answer_all<T: Grouped>(db: &Db, user: &UserId, group: Vec<Waiting<T>>, max_files: i64) {
    let requests: Vec<&T> = group.iter().map(|waiting| &waiting.request).collect();
    let mut answers = match run(db, user, &requests, max_files).await {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        // One of them may be at fault.
        Err(error) if error.is_of_statement() && requests.len() > 1 => {
            requests.iter().map(|_| Ok(None)).collect()
        }
        // Whether it happened may be unknown.
        Err(error) => {
            let others = requests.iter().skip(1).map(|_| Err(Error::Unavailable { part: "database" }));
            std::iter::once(Err(error)).chain(others).collect::<Vec<_>>()
        }
    };
    if requests.len() > 1 {
        for (request, answer) in requests.iter().zip(&mut answers) {
            if let Ok(None) = answer {
                let alone = run(db, user, &[*request], max_files).await;
                *answer = alone.map(|mut answers| answers.pop().flatten());
            }
        }
    }
    for (waiting, answer) in group.into_iter().zip(answers) {
        // Who asked may be gone: requests that hold something are made by work that outlives its client.
        let _ = waiting.answer.send(answer);
    }
}

async fn run<T: Grouped>(
    db: &Db,
    user: &UserId,
    group: &[&T],
    max_files: i64,
) -> Result<Vec<Option<T::Answer>>> {
    retrying(|| async { T::run(&mut *db.conn().await?, user, group, max_files).await }).await
}

impl Db {
    /// [`uploads::create`] of one upload.
    ///
    /// # Errors
    /// When Postgres does not answer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn reserve(&self, user: &UserId, new: NewUpload, max_files: i64) -> Result<Option<ByteSize>> {
        ask(self, &self.reserving, user, new, max_files).await
    }

    /// [`files::insert`] of one file.
    ///
    /// # Errors
    /// When Postgres does not answer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn add_file(&self, arrival: Arrival, max_files: i64) -> Result<Option<File>> {
        let user = arrival.file.user_id.clone();
        ask(self, &self.adding, &user, arrival, max_files).await
    }
}

#[cfg(test)]
mod tests {
    use super::{Grouped, Groups, MOST, Turn, Waiting};
    use crate::error::Result;
    use crate::ids::UserId;
    use sqlx::PgConnection;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    impl Grouped for u32 {
        type Answer = u32;

        async fn run(_: &mut PgConnection, _: &UserId, group: &[&Self], _: i64) -> Result<Vec<Option<u32>>> {
            Ok(group.iter().map(|request| Some(**request)).collect())
        }
    }

    fn waiting(request: u32) -> (Waiting<u32>, oneshot::Receiver<Result<Option<u32>>>) {
        let (answer, answered) = oneshot::channel();
        (Waiting { request, answer }, answered)
    }

    #[test]
    fn what_comes_while_a_group_runs_is_the_next_one_in_order_and_bounded() {
        let (groups, user) = (Groups::default(), UserId::parse("ann").unwrap());
        assert!(groups.join(&user, waiting(0).0));
        assert_eq!(groups.next(&user).unwrap().len(), 1);
        for request in 1..=40 {
            assert!(!groups.join(&user, waiting(request).0));
        }
        let taken =
            || groups.next(&user).map(|group| group.iter().map(|one| one.request).collect::<Vec<_>>());
        assert_eq!(taken(), Some((1..=MOST as u32).collect()));
        assert_eq!(taken(), Some((MOST as u32 + 1..=40).collect()));
        assert_eq!(taken(), None);
        assert!(groups.join(&user, waiting(41).0));
    }

    #[tokio::test]
    async fn after_a_panic_nobody_waits_and_the_next_request_is_answered_anew() {
        let (groups, user) = (Arc::new(Groups::default()), UserId::parse("ann").unwrap());
        let (request, answered) = waiting(1);
        assert!(groups.join(&user, request));
        let turn = Turn { groups: Arc::clone(&groups), user: user.clone() };
        #[expect(clippy::disallowed_methods, reason = "a panic ends a task of its own")]
        let answering = tokio::spawn(async move {
            let _turn = turn;
            tokio::task::yield_now().await;
            panic!("the statement panicked");
        });
        assert!(answering.await.unwrap_err().is_panic());
        assert!(answered.await.is_err());
        assert!(groups.join(&user, waiting(2).0));
    }
}
