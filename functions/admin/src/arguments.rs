//! What the verbs' arguments look like. Parsed here, trusted afterwards; the errors are for a person at a terminal.
//! Never decides what an argument does.

use jam_core::ids::{JobId, UserId};
use jam_core::model::ByteSize;
use jam_core::ops::reconcile::Share;
use parse_size::Config;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A user's id.
pub(crate) fn user(text: &str) -> Result<UserId, String> {
    UserId::parse(text).ok_or_else(|| "a user id has 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned())
}

/// A job's id.
pub(crate) fn job(text: &str) -> Result<JobId, String> {
    JobId::parse(text).ok_or_else(|| "a job id is a UUID, as `jam-admin jobs` shows it".to_owned())
}

/// A number of bytes: `10737418240`, `10GB`, `1.5 TB`. The units are powers of 1024, as everywhere in this service.
pub(crate) fn size(text: &str) -> Result<ByteSize, String> {
    let bytes = Config::new().with_binary().parse_size(text).map_err(|error| error.to_string())?;
    if i64::try_from(bytes).is_err() {
        return Err("there are not so many bytes".to_owned());
    }
    Ok(ByteSize::new(bytes))
}

/// A moment, as RFC 3339 writes it.
pub(crate) fn time(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "a time is like 2026-11-24T15:00:00Z".to_owned())
}

/// A share of all files: `n/t`.
pub(crate) fn share(text: &str) -> Result<Share, String> {
    let numbers = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    numbers
        .and_then(|(part, of)| Share::new(part, of))
        .ok_or_else(|| "a share is n/t with n from 1 to t, such as 3/7".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{share, size};

    #[test]
    fn sizes_are_powers_of_1024_as_the_service_shows_them() {
        for (text, bytes) in
            [("0", 0), ("10GB", 10 << 30), ("1.5 MB", 3 << 19), ("2tib", 2 << 40), ("7 B", 7)]
        {
            let parsed = size(text).unwrap();
            assert_eq!(parsed.bytes(), bytes, "{text}");
        }
        for text in ["", "-1", "10XB", "ten", "9999999999 TB"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_share_must_exist() {
        assert!(share("1/1").is_ok() && share("7/7").is_ok());
        for text in ["0/7", "8/7", "1", "a/b", "1/0", "-1/2"] {
            assert!(share(text).is_err(), "{text:?}");
        }
    }
}
