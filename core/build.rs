//! A new migration changes what `sqlx::migrate!` embeds.
fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
