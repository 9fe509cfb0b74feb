//! How a service is stopped: `service.stop_signal`, `service.stop_timeout_s`.

use toml::Spanned;

use super::{RecipeError, check::Checker};

/// The number of SIGTERM, which is the default.
pub const SIGTERM: u8 = 15;

/// The signals by which programs let themselves be stopped (`signal(7)`; the numbers are those of x86-64 and
/// arm64).
const SIGNALS: [(&str, u8); 8] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGALRM", 14),
    ("SIGTERM", SIGTERM),
    ("SIGWINCH", 28),
];

/// The whole grain waits for a stop, so it is bounded.
const MOST_S: u32 = 3600;

pub(super) fn signal(check: &Checker<'_>, name: Option<Spanned<String>>) -> Result<u8, RecipeError> {
    let Some(name) = name else { return Ok(SIGTERM) };
    let known = SIGNALS.iter().find(|(known, _)| known == name.get_ref());
    known.map(|(_, number)| *number).ok_or_else(|| {
        let names = SIGNALS.map(|(name, _)| name).join(", ");
        check.rule(name.span(), format!("service.stop_signal `{}` is not one of {names}", name.get_ref()))
    })
}

pub(super) fn timeout(
    check: &Checker<'_>,
    seconds: Option<Spanned<u32>>,
) -> Result<Option<u32>, RecipeError> {
    match seconds {
        Some(seconds) if !(1..=MOST_S).contains(seconds.get_ref()) => {
            let rule = format!("service.stop_timeout_s is {} (must be 1 to {MOST_S})", seconds.get_ref());
            Err(check.rule(seconds.span(), rule))
        }
        seconds => Ok(seconds.map(Spanned::into_inner)),
    }
}
