//! The caller of a request, as a verified session token names them.
//! Never made from anything but a checked token, except in tests.

use crate::error::{Error, Result};
use crate::ids::UserId;

/// What a caller may do beyond their own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Their own files only.
    User,
    /// The administrators' endpoints as well.
    Admin,
}

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user whose files these are.
    pub user: UserId,
    /// What they may do beyond.
    pub role: Role,
    /// The session at the identity provider, for the audit log.
    pub session: String,
    /// Who acts as this user, if somebody else does (`act.sub`, RFC 8693 section 4.1): to be audited. Empty when the token
    /// does not name them.
    pub impersonator: Option<String>,
}

impl Caller {
    /// Lets administrators pass. An impersonated session is never one, whatever its role says:
    /// acting for a user must not lend their powers over everybody else.
    ///
    /// # Errors
    /// [`Error::AdminOnly`].
    pub fn require_admin(&self) -> Result<()> {
        if self.role == Role::Admin && self.impersonator.is_none() { Ok(()) } else { Err(Error::AdminOnly) }
    }
}
