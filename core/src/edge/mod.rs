//! The HTTP kit: everything between a socket and a handler that is the same for every function.
//! Never holds a route of the API or a decision about files.

mod accel;
mod blob_response;
mod body;
mod conditional;
pub mod disposition;
mod extract;
mod file_patch;
mod health;
mod layers;
mod listener;
mod metrics;
mod multipart;
mod problem;
mod range;
mod runtime;
mod user_file;

pub use blob_response::BlobResponse;
pub use conditional::Validators;
pub use extract::{Admin, JsonBody, Params, PathFile, PathUser, Public, SignedBy};
pub use file_patch::FilePatch;
pub use layers::{Peer, X_REQUEST_ID};
pub use listener::{Listener, serve_connections};
pub use multipart::{Multipart, PartHead};
pub use problem::{catalogue, status};
pub use runtime::{Background, router, run, run_with, with_health};
pub use user_file::{DerivativeView, UserFile};
