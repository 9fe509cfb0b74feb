//! Debian versions: `[epoch:]upstream[-revision]`, ordered as dpkg orders them.
//!
//! Source: deb-version(7), Debian Policy 5.6.12. Numbers may have any count of digits. Comparing
//! is total: text that [`check`] refuses still has a place in the order, so that one odd version
//! does not make an index unreadable.

use std::cmp::Ordering;

/// How a version must stand to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and the outdated `<`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`, and the outdated `>`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    /// Returns the operator as Debian writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::Earlier => "<<",
            Operator::EarlierOrEqual => "<=",
            Operator::Equal => "=",
            Operator::LaterOrEqual => ">=",
            Operator::Later => ">>",
        }
    }

    /// Returns whether `version` stands so to `wanted`.
    pub fn holds(self, version: &str, wanted: &str) -> bool {
        let order = compare(version, wanted);
        match self {
            Operator::Earlier => order.is_lt(),
            Operator::EarlierOrEqual => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::LaterOrEqual => order.is_ge(),
            Operator::Later => order.is_gt(),
        }
    }
}

/// Orders two versions as `dpkg --compare-versions` does.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    compare_digits(a.epoch, b.epoch)
        .then_with(|| compare_part(a.upstream, b.upstream))
        .then_with(|| compare_part(a.revision, b.revision))
}

/// Returns whether a text is a version that dpkg takes.
///
/// # Errors
/// The fault, as one lower-case clause.
pub fn check(version: &str) -> Result<(), &'static str> {
    let rest = match version.split_once(':') {
        Some((epoch, rest)) => {
            if epoch.is_empty() || !epoch.bytes().all(|b| b.is_ascii_digit()) {
                return Err("its epoch is not a number");
            }
            if epoch.parse::<i32>().is_err() {
                return Err("its epoch is too large");
            }
            rest
        }
        None => version,
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    let good = |text: &str, also: &[u8]| text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b));
    if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
        Err("it does not begin with a digit")
    } else if revision.is_empty() {
        Err("its revision is empty")
    } else if !good(upstream, b"-+.~:") || !good(revision, b"+.~") {
        Err("it holds a character that no version has")
    } else {
        Ok(())
    }
}

struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => (epoch, rest),
            _ => ("", version),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Parts { epoch: epoch.as_bytes(), upstream: upstream.as_bytes(), revision: revision.as_bytes() }
    }
}

/// Compares by turns a run without digits and a run of digits.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (x, y) = (non_digit(a), non_digit(b));
            match x.cmp(&y) {
                Ordering::Equal if x == 0 && y == 0 && !starts_other(a) && !starts_other(b) => break,
                Ordering::Equal => (a, b) = (&a[1..], &b[1..]),
                unequal => return unequal,
            }
        }
        let (x, y) = (digits(a), digits(b));
        match compare_digits(x, y) {
            Ordering::Equal => (a, b) = (&a[x.len()..], &b[y.len()..]),
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

/// Weighs a first character: `~` before the end and digits, these before letters, these before all else.
fn non_digit(text: &[u8]) -> i32 {
    match text.first() {
        None | Some(b'0'..=b'9') => 0,
        Some(b'~') => -1,
        Some(&letter) if letter.is_ascii_alphabetic() => i32::from(letter),
        Some(&other) => i32::from(other) + 256,
    }
}

fn starts_other(text: &[u8]) -> bool {
    text.first().is_some_and(|b| !b.is_ascii_digit())
}

fn digits(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

/// Compares runs of digits by value, whatever their length.
fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let strip = |text: &[u8]| text.iter().position(|b| *b != b'0').unwrap_or(text.len());
    let (a, b) = (&a[strip(a)..], &b[strip(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs in dpkg's order, earlier first. Each is as `dpkg --compare-versions` 1.21 says.
    const EARLIER: &[(&str, &str)] = &[
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0~rc1", "1.0+b1"),
        ("1.0~~", "1.0~"),
        ("1.0~~a", "1.0~"),
        ("1.0~b", "1.0a"),
        ("1.0~", "1.0"),
        ("1.0a", "1.0+"),
        ("1.0a", "1.0b"),
        ("1.0Z", "1.0a"),
        ("1.0-1", "1.0z"),
        ("1.0", "1.0a"),
        ("1.0", "1.0+b1"),
        ("1.0-1", "1.0a-1"),
        ("1.0-1", "1.0-1+b1"),
        ("1.0-1", "1.0-1.1"),
        ("1.0-9", "1.0-10"),
        ("1.0-1~bpo12+1", "1.0-1"),
        ("2.4.57-2~deb12u1", "2.4.57-2+deb12u1"),
        ("3.11~", "3.11.2-1+b1"),
        ("9", "1:0"),
        ("1:9", "2:0"),
        ("0.9999", "1.0"),
        ("1.2-3", "1.2-3-4"),
        ("1.a", "1.+"),
        ("1.0.~0a", "1.0."),
        ("18446744073709551615", "18446744073709551616"),
        ("1.99999999999999999999999", "1.100000000000000000000000"),
    ];

    const EQUAL: &[(&str, &str)] = &[
        ("1.0", "1.0"),
        ("1.0", "0:1.0"),
        ("1.0", "1.0-0"),
        ("1.2.0", "1.02.0"),
        ("1.0", "1.00"),
        ("1.", "1.0"),
        ("00:1", "1"),
        ("1.0-0", "1.0-00"),
    ];

    #[test]
    fn orders_as_dpkg() {
        for (a, b) in EARLIER {
            assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(compare(b, a), Ordering::Greater, "{b} {a}");
        }
        for (a, b) in EQUAL {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn compares_ten_thousand_digits() {
        let long = "9".repeat(10_000);
        assert_eq!(compare(&long, &format!("1{}", "0".repeat(10_000))), Ordering::Less);
        assert_eq!(compare(&format!("{long}:1"), "1:1"), Ordering::Greater);
    }

    #[test]
    fn operators_hold() {
        let rows = [
            (Operator::Earlier, [true, false, false]),
            (Operator::EarlierOrEqual, [true, true, false]),
            (Operator::Equal, [false, true, false]),
            (Operator::LaterOrEqual, [false, true, true]),
            (Operator::Later, [false, false, true]),
        ];
        for (operator, expected) in rows {
            assert_eq!(["1", "2", "3"].map(|v| operator.holds(v, "2")), expected, "{operator:?}");
        }
    }

    #[test]
    fn checks_versions() {
        for good in ["1", "1:2:3-1", "0.1~rc1-2+b1", "2023.1-1-1"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let rows = [
            ("", "it does not begin with a digit"),
            ("a1", "it does not begin with a digit"),
            ("x:1", "its epoch is not a number"),
            (":1", "its epoch is not a number"),
            ("99999999999:1", "its epoch is too large"),
            ("1-", "its revision is empty"),
            ("1_2", "it holds a character that no version has"),
            ("1/..", "it holds a character that no version has"),
        ];
        for (bad, expected) in rows {
            assert_eq!(check(bad), Err(expected), "{bad}");
        }
    }
}
