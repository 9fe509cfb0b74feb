//! Sizes as people write them.

/// A size that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size; write a number and B, kB, MB, GB, KiB, MiB or GiB")]
pub struct ParseSizeError(pub String);

/// Reads "19 MB", "5.5MB", "512 KiB", "200k" or "1000"; decimal units are powers of 1000 (`units(7)`).
///
/// # Errors
/// Any other text, and a size that does not fit.
pub fn parse_size(text: &str) -> Result<u64, ParseSizeError> {
    let fail = || ParseSizeError(text.to_owned());
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" | "k" | "K" => 1000,
        "MB" | "M" => 1_000_000,
        "GB" | "G" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(fail()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 {
        return Err(fail());
    }
    let whole: u64 = whole.parse().map_err(|_| fail())?;
    let part: u64 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| fail())? };
    let part = u128::from(part) * u128::from(unit) / 10u128.pow(fraction.len() as u32);
    whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(u64::try_from(part).ok()?)).ok_or_else(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("19 MB", 19_000_000),
            ("5.5MB", 5_500_000),
            ("512 KiB", 524_288),
            ("1000", 1000),
            ("0.5 kB", 500),
            ("200k", 200_000),
            ("200KB", 200_000),
            ("2 G", 2_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "1.2.3 MB", "1 mb", "-1", "99999999999 GB", "1. 5"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
