//! How the environment names the place of a secret instead of its value.
//! Never looks into a place.

use std::collections::BTreeMap;

/// A place that a variable can name, in the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    File,
    Parameter,
    Secret,
}

impl Place {
    pub(super) const ALL: [Self; 3] = [Self::File, Self::Parameter, Self::Secret];

    /// What is added to a setting's name.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::File => "_FILE",
            Self::Parameter => "_SSM",
            Self::Secret => "_SECRET_ARN",
        }
    }
}

/// The variable that names the place of a secret, and what it says, if the secret's own variable is not set.
pub(super) fn place_of<'a>(
    variables: &'a BTreeMap<String, String>,
    secret: &str,
) -> Option<(Place, String, &'a str)> {
    let given = |name: &str| variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    if given(secret).is_some() {
        return None;
    }
    Place::ALL.into_iter().find_map(|place| {
        let variable = format!("{secret}{}", place.suffix());
        let says = given(&variable)?;
        Some((place, variable, says))
    })
}
