//! Keys in wrong places: they are never printed. A CI service keeps the output of a job.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command, Error, builder::TypedValueParser, error::ErrorKind};

use crate::formats::{app_id::AppId, key_file};

/// Says where a key belongs.
const PLACES: &str = "hand a key over in TINYROOT_KEY or on standard input (build --key -)";

/// Refuses arguments and variables that have the text of a key in them, before anything can repeat them.
///
/// # Errors
/// A usage error without any part of the key.
pub(super) fn refuse_keys(
    arguments: &[OsString],
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(), Error> {
    let has_key = |text: &OsStr| key_file::has_text_of_key(&text.to_string_lossy());
    if arguments.iter().any(|word| has_key(word)) {
        let text = "an argument looks like a key, which others can see in the list of processes";
        return Err(refused(text, PLACES));
    }
    let may_be_key =
        |name: &OsStr| name == "TINYROOT_KEY" || !name.as_encoded_bytes().starts_with(b"TINYROOT_");
    match variables.into_iter().find(|(name, value)| !may_be_key(name) && has_key(value)) {
        Some((name, _)) => Err(refused(&format!("{} looks like a key", name.display()), PLACES)),
        None => Ok(()),
    }
}

fn refused(text: &str, hint: &str) -> Error {
    Error::raw(ErrorKind::ValueValidation, format!("{text}\n\nhint: {hint}\n"))
}

/// Reads a value that names an app. A wrong one is not repeated, as clap would do: it may be a key, or a part
/// of one.
#[derive(Clone)]
pub(super) struct Unrepeated<T>(pub fn(&str) -> Option<T>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Unrepeated<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        value.to_str().and_then(self.0).ok_or_else(|| {
            let name = argument.map(Arg::to_string).unwrap_or_default();
            let text = format!("the value of '{name}' is not an app id (52 letters and digits)");
            refused(&text, &format!("`tinyroot key list` shows the app ids; {PLACES}")).with_cmd(command)
        })
    }
}

/// Reads app ids.
pub(super) const APP_ID: Unrepeated<AppId> = Unrepeated(|text| text.parse().ok());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::key_file::{Key, to_text};

    #[test]
    fn a_key_is_refused_wherever_it_stands_and_not_repeated() {
        let key = to_text(&Key::from_seed([3; 32]).to_bytes());
        let (front, back) = key.split_at(40);
        let check = |word: &str, name: &str, value: &str| {
            let arguments = ["tinyroot", word].map(OsString::from);
            refuse_keys(&arguments, [(name.into(), value.into())].into_iter())
                .map_err(|error| error.to_string())
        };
        assert_eq!(check("build", "TINYROOT_KEY", &key), Ok(()));
        assert_eq!(check("build", "OTHER", &key), Ok(()));
        assert_eq!(check("build", "TINYROOT_KEYRING", "/home/me/AAAAAA8A"), Ok(()));
        for word in [&*key, front, &format!("--key={key}"), &format!("'{key}'"), &format!("{front}\n {back}")]
        {
            let error = check(word, "CI", "true").expect_err("is a key");
            assert!(
                error.starts_with("error: an argument looks like a key") && !error.contains("AAAA"),
                "{error}"
            );
        }
        let error = check("build", "TINYROOT_KEYRING", &key).expect_err("is a key");
        assert!(
            error.starts_with("error: TINYROOT_KEYRING looks like a key") && !error.contains("AAAA"),
            "{error}"
        );
    }
}
