use std::{fmt, str::FromStr, sync::Arc};

/// Longest environment name, in characters.
const MAX_LEN: usize = 32;

/// An environment's name: `[a-z0-9-]{1,32}`. Cheap to clone; safe in a path, a key and a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Environment(Arc<str>);

/// The name is not `[a-z0-9-]{1,32}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an environment's name is 1 to 32 of a-z, 0-9 and '-'")]
pub struct InvalidEnvironment;

impl Environment {
    /// The environment of rows that name none (the predecessor's oldest files).
    pub fn dev() -> Self {
        Self(Arc::from("dev"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Environment {
    type Err = InvalidEnvironment;

    /// Takes any case, keeps lower case (the predecessor's `ENVIRONMENT` was case-insensitive).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name = name.to_ascii_lowercase();
        let is_valid = (1..=MAX_LEN).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if is_valid { Ok(Self(Arc::from(name))) } else { Err(InvalidEnvironment) }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_safe_in_a_path() {
        assert_eq!("PROD".parse::<Environment>().map(|e| e.to_string()), Ok("prod".to_owned()));
        for bad in ["", "a/b", "..", "a b", "é", &"a".repeat(33)] {
            assert_eq!(bad.parse::<Environment>(), Err(InvalidEnvironment), "{bad:?}");
        }
    }
}
