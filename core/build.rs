//! A new migration changes what `sqlx::migrate!` embeds.
#![expect(clippy::disallowed_macros, reason = "cargo is told by printing")]

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
