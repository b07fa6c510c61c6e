//! The HTTP kit: everything between a socket and a handler that is the same for every function.
//! Never holds a route of the API or a decision about files.

mod accel;
mod allow;
mod asset_view;
mod blob_response;
mod body;
mod compress;
mod conditional;
mod deadline;
pub mod disposition;
mod extract;
mod file_patch;
mod health;
mod json;
mod lambda;
mod layers;
mod linger;
mod listener;
mod metrics;
mod multipart;
mod params;
mod peer;
mod problem;
mod range;
mod readable;
mod runtime;
mod upload_url;
mod user_file;

pub use blob_response::BlobResponse;
pub use body::{chunks, require_plain};
pub use conditional::{Validators, http_date};
pub use extract::{Admin, MaxAppend, PathDerivative, PathFile, PathUser, Public, SignedBy, SignedDelivery};
pub use file_patch::{FilePatch, NewName};
pub use json::JsonBody;
pub use lambda::serve as serve_lambda;
pub use layers::X_REQUEST_ID;
pub use listener::{Listener, serve_connections};
pub use multipart::{Multipart, PartHead};
pub use params::{Params, shown};
pub use peer::Peer;
pub use problem::{catalogue, explanations, status};
pub use readable::ReadableFile;
pub use runtime::{Background, router, run, run_scheduled, run_with, with_health};
pub use upload_url::UploadUrl;
pub use user_file::{DerivativeView, UserFile};
