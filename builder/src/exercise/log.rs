//! Lines of a service's log that a person should look at.
//!
//! Their level is read from the forms that servers and languages write. A server that hands on another
//! program's words gives them a level of its own (nginx calls all of FastCGI's output an error): then that of
//! the words counts.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::disguise::excerpt;

/// How bad a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It says "error" or worse. A server says so of a request that it refuses, too.
    Error,
    /// A program broke off: no request should do that, whatever its status.
    Crash,
}

/// Forms of lines that say "error" or worse.
static ERRORS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        // nginx, Apache, MariaDB, Python: [error], [php:error], [ERROR], [CRITICAL].
        r"(?i)^.{0,100}?\[(?:[a-z0-9_]+:)?(?:error|crit|critical|alert|emerg|fatal|severe|panic)\]",
        // PostgreSQL, PHP-FPM, Java, Python: a level in capitals near the beginning.
        r"^(?:[^\n]{0,100}?[\s:|\]])?(?:ERROR|CRITICAL|FATAL|PANIC|SEVERE|EMERGENCY|ALERT)(?:[:|\]\s]|$)",
        // logfmt and JSON.
        r#"(?i)\blevel=(?:"?)(?:error|fatal|panic|critical|crit|alert|emerg)\b"#,
        r#"(?i)"(?:level|severity|lvl)"\s*:\s*"(?:error|fatal|panic|critical|crit|alert|emerg(?:ency)?)""#,
        // Programs that name themselves: "git: fatal: …", "fatal: …".
        r"^(?:[\w./-]+: )?(?:error|fatal)(?: error)?: ",
        // sd-daemon(3).
        r"^<[0-3]>",
    ])
    .expect("are good patterns")
});

/// Forms of lines of a program that broke off.
static CRASHES: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        r"PHP (?:Fatal|Parse|Recoverable fatal) error: ",
        r"^Traceback \(most recent call last\):",
        r#"^Exception in thread ""#,
        r"^panic: ",
        r"thread '[^']*' panicked at ",
        r"(?i)\bsegmentation fault\b",
        // PHP-FPM and nginx, of their own processes.
        r"(?:child|worker process) \d+ exited on signal ",
    ])
    .expect("are good patterns")
});

/// PHP's words, handed on by a web server or by PHP-FPM, with PHP's own level.
static PHP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"PHP message: PHP ([A-Z][A-Za-z ]*): ").expect("is a good pattern"));

/// Levels of PHP that say that it went on.
const PHP_GOES_ON: [&str; 4] = ["Warning", "Notice", "Deprecated", "Strict Standards"];

/// Returns how bad a line is; nothing for one below "error".
pub(super) fn level(line: &str) -> Option<Level> {
    if CRASHES.is_match(line) {
        return Some(Level::Crash);
    }
    let mut levels = PHP.captures_iter(line).filter_map(|found| found.get(1)).peekable();
    if levels.peek().is_some() && levels.all(|level| PHP_GOES_ON.contains(&level.as_str())) {
        return None;
    }
    ERRORS.is_match(line).then_some(Level::Error)
}

/// Returns the first line that a person should look at, as it is reported. Of a request with that status, a
/// line that says "error" counts only if the status is a good one: a server logs each request that it
/// refuses.
pub(super) fn told(lines: &[String], status: Option<u16>) -> Option<String> {
    let least = match status {
        Some(400..500) => Level::Crash,
        // A step that expects the app to fail.
        Some(500..) => return None,
        _ => Level::Error,
    };
    let line = lines.iter().find(|line| level(line).is_some_and(|level| level >= least))?;
    Some(format!("the log says: {}", excerpt(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log_have_levels() {
        for line in [
            "2026/11/29 07:51:13 [error] 12#12: *1 open() \"/x\" failed",
            "[Sat Nov 28 10:00:00.000 2026] [php:error] [pid 1] PHP x",
            "[2026-11-29 07:51:13 +0000] [12/Thread-3 (process_request)] [ERROR] An exception occurred",
            "2026-11-29 07:51:13.100 UTC [12] ERROR:  relation \"x\" does not exist",
            "2026-11-29 12:00:00 0 [ERROR] InnoDB: x",
            "ERROR:root:x",
            "time=2026-11-29T07:51:13Z level=ERROR msg=x",
            "{\"level\":\"error\",\"msg\":\"x\"}",
            "fatal: not a git repository",
            "[error] FastCGI sent in stderr: \"PHP message: WordPress database error Unknown column 'x'\"",
            "[error] FastCGI sent in stderr: \"PHP message: PHP Warning:  x; PHP message: PHP Core error:  y\"",
        ] {
            assert_eq!(level(line), Some(Level::Error), "{line}");
        }
        for line in [
            "Traceback (most recent call last):",
            "[error] FastCGI sent in stderr: \"PHP message: PHP Fatal error:  Uncaught Error: x\"",
            "[29-Nov-2026 11:25:33] WARNING: [pool wiki] child 12 exited on signal 11 (SIGSEGV) after 3 seconds",
        ] {
            assert_eq!(level(line), Some(Level::Crash), "{line}");
        }
        for line in [
            "2026/11/29 07:51:13 [notice] 12#12: start worker processes",
            "127.0.0.1 - - [29/Nov/2026:07:51:13 +0000] \"GET /ERROR?q=fatal:%20 HTTP/1.1\" 200 5",
            "2026-11-29 07:51:13.100 UTC [12] LOG:  checkpoint starting",
            "time=x level=info msg=\"no error\"",
            "tinyroot-init: ready",
            "0 errors found",
            "PHP Warning:  x in /y on line 3",
            "2026/11/29 11:25:33 [error] 21#21: *174 FastCGI sent in stderr: \"PHP message: PHP Warning:  Undefined array key",
            "[proxy_fcgi:error] AH01071: Got error 'PHP message: PHP Deprecated:  x in /y on line 3'",
        ] {
            assert_eq!(level(line), None, "{line}");
        }
    }

    #[test]
    fn a_refused_request_may_be_logged_as_an_error_and_no_request_may_crash() {
        let refused =
            "2026/11/29 11:25:14 [error] 21#21: *139 access forbidden by rule, request: \"GET /x HTTP/1.1\"";
        let crash = "Traceback (most recent call last):";
        let told = |line: &str, status| told(&["GET /x".to_owned(), line.to_owned()], status);
        for status in [Some(200), Some(302), None] {
            assert_eq!(told(refused, status), Some(format!("the log says: {refused}")));
        }
        assert_eq!(told(refused, Some(403)), None);
        assert_eq!(told(crash, Some(403)), Some(format!("the log says: {crash}")));
        assert_eq!(told(crash, Some(500)), None);
    }
}
