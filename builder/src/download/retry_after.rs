//! The pause that a server requests: Retry-After of RFC 9110, section 10.2.3, as seconds or as a date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{
    civil::DateTime,
    fmt::{rfc2822, strtime},
};

/// Longer pauses are as good as for ever, and shortened to this, so that callers can calculate with them.
const LONGEST_S: u64 = u32::MAX as u64;

/// Returns the pause of a Retry-After header. A date is measured by the server's own Date header, since
/// clocks differ, and by this host's clock without one. `None`: the header is missing or cannot be parsed.
pub(super) fn pause(retry_after: &str, date: &str) -> Option<Duration> {
    let text = retry_after.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(
            text.parse().map_or(LONGEST_S, |pause_s: u64| pause_s.min(LONGEST_S)),
        ));
    }
    let until_s = http_date(text)?;
    let now_s = http_date(date.trim()).or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(now.as_secs()).ok()
    })?;
    let pause_s = u64::try_from(until_s.saturating_sub(now_s)).unwrap_or(0);
    Some(Duration::from_secs(pause_s.min(LONGEST_S)))
}

/// Reads a date of HTTP in any of its three forms (RFC 9110, section 5.6.7), in seconds since 1970.
fn http_date(text: &str) -> Option<i64> {
    if let Ok(time) = rfc2822::parse(text) {
        return Some(time.timestamp().as_second());
    }
    // The first one once more: the last day of 9999, which stands for never, is beyond what a time zone can
    // be applied to.
    let forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let parse = |format: &&str| DateTime::strptime(format, text).ok();
    let time = forms.iter().find_map(parse).or_else(|| {
        // The third form pads days with a blank.
        strtime::parse(forms[2], text.replace("  ", " ")).ok()?.to_datetime().ok()
    })?;
    Some(time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let now = "Sun, 06 Nov 1994 08:49:00 GMT";
        for (text, seconds) in [
            ("20", Some(20)),
            (" 0 ", Some(0)),
            ("99999999999999999999", Some(LONGEST_S)),
            ("18446744073709551615", Some(LONGEST_S)),
            ("Thu, 30 Dec 9999 12:00:00 GMT", Some(LONGEST_S)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST_S)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("2.5", None),
            ("soon", None),
        ] {
            assert_eq!(pause(text, now), seconds.map(Duration::from_secs), "{text}");
        }
        // Without the server's own date this host's clock counts.
        assert_eq!(pause(now, ""), Some(Duration::ZERO));
        assert!(pause("Fri, 01 Jan 2100 00:00:00 GMT", "yesterday").is_some_and(|p| p.as_secs() > 1 << 20));
    }
}
