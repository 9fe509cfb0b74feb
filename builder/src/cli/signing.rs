//! Which key signs a package: handed over for one command, or of a keyring.

use super::{
    Context, Failure, input,
    key::{KeyFile, named_in},
    secret::Unrepeated,
    surroundings::is_ci,
};
use crate::{
    formats::{app_id::AppId, key_file::Key},
    recipe::Recipe,
    signing_keys::{Handed, KeysError, Making},
};

/// Longer input is not a keyring: one key takes 128 bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Which key a command line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The one of an app, from the keyring.
    App(AppId),
    /// The one that comes on standard input.
    Input,
}

/// Reads what a command line names.
pub(super) const NAMED: Unrepeated<Named> = Unrepeated(|text| match text {
    "-" => Some(Named::Input),
    id => id.parse().ok().map(Named::App),
});

/// Returns the key that signs a recipe's packages. A new one is warned of, since nothing can replace it.
///
/// It is the one that the command line names; else one that is handed over in `TINYROOT_KEY`, unless a
/// keyring is named; else the keyring's for this app. With `--locked`, and in CI, none is made.
///
/// # Errors
/// No such key, with what one can do about it.
pub fn key_of(
    recipe: &Recipe,
    named: Option<Named>,
    ring: &KeyFile,
    context: &Context,
) -> Result<Key, Failure> {
    let of_recipe = named_in(recipe)?;
    let name = &recipe.app.name;
    // One variable may hold both keys.
    let filler = context.global.remote.signs();
    let wanted = match named {
        Some(Named::Input) => {
            let bytes = input::read(MOST_BYTES)?;
            return Ok(handed("standard input", &bytes, name, of_recipe, filler)?);
        }
        Some(Named::App(app_id)) => Some(app_id),
        None => of_recipe,
    };
    if ring.key_file.is_none()
        && let Some(text) = std::env::var_os("TINYROOT_KEY")
    {
        return handed_to_job(text.as_encoded_bytes(), name, wanted, filler, ring);
    }
    let ring = ring.keyring()?;
    let is_of_recipe = named.is_none() && of_recipe.is_some();
    let found = ring.for_app(name, wanted.as_ref(), making(context)).map_err(|error| match &error {
        KeysError::Io(_) => Failure::from(error)
            .map_hint(|hint| Some(hint? + ", or hand a key over by --key - or in TINYROOT_KEY")),
        KeysError::NoKey { .. } if is_of_recipe => Failure::from(error).hint(
            "add it with `tinyroot key import FILE`, or hand it over by --key - or in TINYROOT_KEY; only for a new app, \
             take `id` out of the recipe",
        ),
        _ => {
            let folder = recipe.directory.display().to_string();
            Failure::from(error).map_hint(|hint| Some(hint?.replace("RECIPE", &folder)))
        }
    })?;
    if found.is_new {
        context.progress.warn(&format!(
            "made a key for {name}: it lies in {}; keep a copy, grains of the app can never be upgraded without it",
            ring.path().display()
        ));
    }
    Ok(found.key)
}

/// Returns the key that signs what is no recipe's: the one that the command line names, else the only one
/// that is handed over in `TINYROOT_KEY` or lies in the keyring.
///
/// # Errors
/// No such key, or several.
pub fn only_key(named: Option<Named>, ring: &KeyFile) -> Result<Key, Failure> {
    key_for("the attestation", named, ring)
}

/// As [`only_key`], of what is named in errors.
pub fn key_for(what: &str, named: Option<Named>, ring: &KeyFile) -> Result<Key, Failure> {
    let app_id = match named {
        Some(Named::Input) => {
            return Ok(handed("standard input", &input::read(MOST_BYTES)?, what, None, None)?);
        }
        Some(Named::App(app_id)) => Some(app_id),
        None => None,
    };
    if ring.key_file.is_none()
        && let Some(text) = std::env::var_os("TINYROOT_KEY")
    {
        let key = handed("TINYROOT_KEY", text.as_encoded_bytes(), what, app_id, None);
        let Err(KeysError::HandedOthers { .. }) = &key else { return Ok(key?) };
    }
    let ring = ring.keyring()?;
    if let Some(app_id) = app_id {
        return Ok(ring.get(&app_id)?);
    }
    match &ring.list()?[..] {
        [only] => Ok(only.clone()),
        [] => Err(Failure::new(format!("there is no key in {}", ring.path().display()))
            .hint("make one with `tinyroot key generate`, or hand one over by --key - or in TINYROOT_KEY")),
        keys => Err(Failure::new(format!("{} has {} keys", ring.path().display(), keys.len()))
            .hint("name the one that signs with --key KEYID; `tinyroot key list` shows them")),
    }
}

/// Returns a key that an app's image is to be signed with: the one that the command line names, else the app's,
/// from `TINYROOT_KEY` or the keyring.
///
/// # Errors
/// No such key.
pub fn key_at_hand(named: Option<Named>, app_id: &AppId, ring: &KeyFile) -> Result<Key, Failure> {
    let named = named.unwrap_or(Named::App(*app_id));
    if let (Named::App(wanted), None, Some(text)) = (named, &ring.key_file, std::env::var_os("TINYROOT_KEY"))
        && let Ok(key) = handed("TINYROOT_KEY", text.as_encoded_bytes(), "the image", Some(wanted), None)
    {
        return Ok(key);
    }
    only_key(Some(named), ring)
}

/// Returns a key that was handed over; `filler` is that of the remote cache.
fn handed(
    from: &'static str,
    bytes: &[u8],
    name: &str,
    app_id: Option<AppId>,
    filler: Option<AppId>,
) -> Result<Key, KeysError> {
    Handed::read(from, bytes)?.for_app(name, app_id.as_ref(), filler.as_ref())
}

/// Returns the key in `TINYROOT_KEY`. Another app's may be set for all jobs; then one that is named may still
/// be in the keyring.
fn handed_to_job(
    bytes: &[u8],
    name: &str,
    wanted: Option<AppId>,
    filler: Option<AppId>,
    ring: &KeyFile,
) -> Result<Key, Failure> {
    let key = handed("TINYROOT_KEY", bytes, name, wanted, filler);
    let (Err(KeysError::HandedOthers { app_id, .. }), Ok(ring)) = (&key, ring.keyring()) else {
        return Ok(key?);
    };
    match ring.for_app(name, Some(app_id), Making::Forbidden("for an app id")) {
        Err(KeysError::NoKey { .. }) => Ok(key?),
        found => Ok(found?.key),
    }
}

/// Returns whether a key may be made. One that a job makes is lost with the job.
fn making(context: &Context) -> Making {
    match (context.global.locked, is_ci()) {
        (true, _) => Making::Forbidden("with --locked"),
        (_, true) => Making::Forbidden("where CI is set"),
        _ => Making::Allowed,
    }
}
