//! Who is calling: session tokens, signed URLs and webhook signatures in, a proven identity out.
//! Invariant: nothing here is believed before a signature over its exact bytes has been checked.
//! Never reads the database, never knows a route or a status.

mod bearer;
mod caller;
mod claims;
pub mod clerk;
mod https;
mod jwks;
mod rsa_key;
pub mod signed_url;
pub mod svix;
mod token;
mod upload_secret;
mod verifier;

#[cfg(test)]
mod tests;

pub use bearer::bearer_token;
pub use caller::{Caller, Role};
pub use signed_url::{Signer, Variant};
pub use upload_secret::UploadSecret;
pub use verifier::{Refused, Verifier};
