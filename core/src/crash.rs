//! Named points at which a test ends the process, as a kill at that very moment would.
//! Without the feature `crash-points`, which only this workspace's tests turn on, a point is nothing.

/// Every point, in the order in which an upload or a copy passes them.
pub const POINTS: [&str; 21] = [
    "create.rows",
    "create.file",
    "append.claimed",
    "append.synced",
    "append.recorded",
    "finish.settled",
    "finish.renamed",
    "finish.done",
    "join.rows",
    "join.file",
    "join.copied",
    "join.finished",
    "proof.named",
    "proof.shared",
    "proof.removed",
    "proof.done",
    "copy.reserved",
    "copy.shared",
    "copy.done",
    "cancel.marked",
    "cancel.removed",
];

/// Ends the process here if `CRASH_AT` names this point.
#[cfg(feature = "crash-points")]
#[expect(clippy::disallowed_methods, reason = "the test that starts the process says where it ends")]
pub fn point(name: &str) {
    use nix::sys::signal::{Signal, kill};
    debug_assert!(POINTS.contains(&name), "{name} is not in the list");
    if std::env::var("CRASH_AT").is_ok_and(|at| at == name) {
        // On success there is nobody left to look at the answer.
        let _ended = kill(nix::unistd::getpid(), Signal::SIGKILL);
    }
}

/// Nothing.
#[cfg(not(feature = "crash-points"))]
pub fn point(_name: &str) {}
