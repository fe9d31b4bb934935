use std::{collections::BTreeMap, fmt};

use secrecy::SecretString;

/// The variables that settings are read from: the process's own, and below them those of a `.env` file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Vars(BTreeMap<String, String>);

impl fmt::Debug for Vars {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Vars {
    /// The process's environment. A variable that is not Unicode is left out.
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Adds the variables of `below` that are not set here (a real variable wins over `.env`, even an empty one).
    #[must_use]
    pub fn or(mut self, below: Self) -> Self {
        for (name, value) in below.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Sets `name`, whatever it was.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The trimmed value; an empty one is as good as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Vars {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// One unusable setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub variable: String,
    /// What it holds; `None` where it is not set, `***` where it is a secret.
    pub value: Option<String>,
    /// What would be accepted.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value:?}: expected {}", self.variable, self.expected),
            None => write!(f, "{} is not set: expected {}", self.variable, self.expected),
        }
    }
}

/// Every unusable setting, so that a person mends them in one go. Displays as one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError(pub Vec<Problem>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Reads variables and gathers what is wrong with them.
#[derive(Debug)]
pub(super) struct Source<'a> {
    vars: &'a Vars,
    problems: Vec<Problem>,
}

impl<'a> Source<'a> {
    pub(super) fn new(vars: &'a Vars) -> Self {
        Self { vars, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name)
    }

    /// The variable by `parse`, or `default` where it is not set. What `parse` refuses is a problem.
    pub(super) fn parse<T>(
        &mut self,
        name: &str,
        default: T,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(text) = self.get(name) else { return default };
        parse(text).unwrap_or_else(|| {
            self.refuse(name, Some(text), expected);
            default
        })
    }

    /// A secret, which must be fit for an HTTP header. It never shows in a problem.
    pub(super) fn secret(&mut self, name: &str) -> Option<SecretString> {
        let text = self.get(name)?;
        if text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Some(SecretString::from(text));
        }
        self.refuse(name, Some("***"), "printable ASCII characters only (it is sent in an HTTP header)");
        None
    }

    pub(super) fn refuse(&mut self, name: &str, value: Option<&str>, expected: &str) {
        let problem = Problem {
            variable: name.to_owned(),
            value: value.map(|value| value.chars().take(200).collect()),
            expected: expected.to_owned(),
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// `text` as a whole number within `range`.
pub(super) fn whole(text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    text.parse().ok().filter(|n| range.contains(n))
}

/// The items of a comma-separated list, trimmed, empty ones left out.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}
