//! What a command runs in, as far as that changes what it does: a CI job, a terminal.

use std::{env, ffi::OsStr};

/// Returns whether this is a job of a CI service: they all set `CI`, commonly to `true`. A person may set it to `false`, `0` or nothing.
pub(super) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| says_yes(&value))
}

fn says_yes(value: &OsStr) -> bool {
    !value.is_empty() && value != "0" && !value.eq_ignore_ascii_case("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ci_is_what_is_not_denied() {
        for (value, expected) in
            [("true", true), ("1", true), ("woodpecker", true), ("", false), ("0", false), ("False", false)]
        {
            assert_eq!(says_yes(OsStr::new(value)), expected, "{value}");
        }
    }
}
