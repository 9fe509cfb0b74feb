//! How much larger something may become.

use crate::formats::size::parse_size;

/// A limit on growth, as `--fail-over` takes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many bytes more.
    Bytes(u64),
    /// So many percent more.
    Percent(f64),
}

/// Text that is not a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number of bytes (200000, 200 kB, 1.5 MB) or a percentage (5%), nor PACKAGE= and one of them")]
pub struct InvalidLimit;

impl std::str::FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let number = |text: &str| {
            let value: f64 = text.trim().parse().map_err(|_| InvalidLimit)?;
            if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(InvalidLimit) }
        };
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            return number(percent).map(Limit::Percent);
        }
        parse_size(text).map(Limit::Bytes).map_err(|_| InvalidLimit)
    }
}

impl Limit {
    /// Returns how many bytes a package of this size may grow by.
    pub fn bytes_of(&self, before_bytes: u64) -> u64 {
        match *self {
            Limit::Bytes(bytes) => bytes,
            Limit::Percent(percent) => (percent * before_bytes as f64 / 100.0).floor() as u64,
        }
    }

    /// Returns by how many bytes growth from one size to another is over the limit; 0 if it is not.
    pub fn exceeded_by(&self, before_bytes: u64, after_bytes: u64) -> u64 {
        after_bytes.saturating_sub(before_bytes).saturating_sub(self.bytes_of(before_bytes))
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Limit::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

/// A limit for all, or for one heading: `LIMIT` or `PACKAGE=LIMIT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The heading; `None` for all.
    pub package: Option<String>,
    /// How much larger it may become.
    pub limit: Limit,
}

/// Text that bounds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBound {
    /// The limit is none.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
    /// The name of the package is empty.
    #[error("there is no name of a package before `=`")]
    Package,
}

impl std::str::FromStr for Bound {
    type Err = InvalidBound;

    fn from_str(text: &str) -> Result<Self, InvalidBound> {
        let Some((package, limit)) = text.rsplit_once('=') else {
            return Ok(Bound { package: None, limit: text.parse()? });
        };
        match package.trim() {
            "" => Err(InvalidBound::Package),
            package => Ok(Bound { package: Some(package.to_owned()), limit: limit.parse()? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let rows: [(&str, Option<Limit>); 14] = [
            ("200", Some(Limit::Bytes(200))),
            ("1.5 MB", Some(Limit::Bytes(1_500_000))),
            ("2KiB", Some(Limit::Bytes(2048))),
            ("3 kB", Some(Limit::Bytes(3000))),
            ("200k", Some(Limit::Bytes(200_000))),
            ("200KB", Some(Limit::Bytes(200_000))),
            ("200KiB", Some(Limit::Bytes(204_800))),
            ("0.1 GB", Some(Limit::Bytes(100_000_000))),
            ("1 %", Some(Limit::Percent(1.0))),
            ("5%", Some(Limit::Percent(5.0))),
            ("", None),
            ("-1", None),
            ("nan%", None),
            ("1 GB!", None),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<Limit>().ok(), expected, "{text}");
        }
        for (limit, before, after, over) in [
            (Limit::Bytes(5), 10, 15, 0),
            (Limit::Bytes(5), 10, 17, 2),
            (Limit::Bytes(0), 10, 9, 0),
            (Limit::Percent(10.0), 100, 110, 0),
            (Limit::Percent(10.0), 100, 111, 1),
            (Limit::Percent(10.0), 0, 1, 1),
        ] {
            assert_eq!(limit.exceeded_by(before, after), over, "{limit} from {before} to {after}");
        }
    }

    #[test]
    fn bounds_of_packages() {
        let of = |package: &str, limit| Ok(Bound { package: Some(package.into()), limit });
        for (text, expected) in [
            ("5%", Ok(Bound { package: None, limit: Limit::Percent(5.0) })),
            ("libicu72=1%", of("libicu72", Limit::Percent(1.0))),
            ("(no package) = 20 kB", of("(no package)", Limit::Bytes(20_000))),
            ("=1", Err(InvalidBound::Package)),
            ("libicu72=", Err(InvalidBound::Limit(InvalidLimit))),
            ("libicu72", Err(InvalidBound::Limit(InvalidLimit))),
        ] {
            assert_eq!(text.parse::<Bound>(), expected, "{text}");
        }
    }
}
