//! The operator's command line, run as an operator runs it, against a database and a volume of each test's own.
//! Never looks into the tool: what is asserted is its answer, its exit code and what is on the disk.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests run the real binary, damage real files and drift real counters"
)]

mod adopt;
mod answers;
#[cfg(feature = "aws")]
mod aws_secrets;
mod backup;
mod check;
mod jam;
mod live;
mod repair;
mod setup;
mod uploads;
