//! Lengths of time as people write them: "30d", "6h", "1h 30m".

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// The text is not a length of time with fixed meaning, or a negative one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a length of time; write it as \"30s\", \"10m\", \"6h\", \"30d\" or \"2w\"")]
pub struct AgeError(String);

/// Reads a length of time. A day is 24 hours; months and years have no fixed length and are refused.
///
/// # Errors
/// When the text is something else.
pub fn parse_duration(text: &str) -> Result<Duration, AgeError> {
    let bad = || AgeError(text.chars().take(40).collect());
    let span: Span = text.trim().parse().map_err(|_| bad())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
    Duration::try_from(signed).map_err(|_| bad())
}

/// A length of time in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length(pub Duration);

impl FromStr for Length {
    type Err = AgeError;
    fn from_str(text: &str) -> Result<Self, AgeError> {
        parse_duration(text).map(Self)
    }
}

/// An age from which on something is said, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeLimit {
    /// Nothing is said, however old it is.
    Never,
    /// Said when it is older than this.
    After(Duration),
}

impl AgeLimit {
    /// The age, if there is one.
    pub fn limit(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::After(age) => Some(age),
        }
    }
}

impl FromStr for AgeLimit {
    type Err = AgeError;
    fn from_str(text: &str) -> Result<Self, AgeError> {
        if text == "never" { Ok(Self::Never) } else { parse_duration(text).map(Self::After) }
    }
}

impl fmt::Display for AgeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::After(age) => write!(f, "{} s", age.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("0s", 0),
            ("30s", 30),
            ("10m", 600),
            ("6h", 21_600),
            ("1h 30m", 5_400),
            ("2d", 172_800),
            ("1w", 604_800),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn lengths_without_a_fixed_meaning_are_refused() {
        for bad in ["", "30", "d", "-1d", "1mo", "1y", "soon", "30d!", "9999999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_limit_may_be_never() {
        assert_eq!("never".parse(), Ok(AgeLimit::Never));
        assert_eq!("2d".parse(), Ok(AgeLimit::After(Duration::from_secs(172_800))));
    }
}
