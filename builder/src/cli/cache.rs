//! The cache as commands use it: opened as this user's own, and what was found changed in it told and made anew.

mod command;

pub use command::{Args, run};

use std::path::Path;

use super::{Command, Context, Failure, dispatch, xdg_directory};
use crate::{
    progress::Progress,
    seal::{Seal, SealError},
    store::Store,
};

/// Returns the seal of this user's caches: that of `TINYROOT_CACHE_KEY`, else the one that is kept with this user's state, else, with the
/// reason, one for this process alone.
///
/// # Errors
/// A given key that is too short or no text, and a kernel without random numbers.
pub fn seal() -> Result<(Seal, Option<SealError>), SealError> {
    if let Some(text) = std::env::var_os("TINYROOT_CACHE_KEY").filter(|text| !text.is_empty()) {
        return Ok((Seal::of_text(text.to_str().ok_or(SealError::NotText)?)?, None));
    }
    let path = xdg_directory("XDG_STATE_HOME", ".local/state").map(|directory| directory.join("cache.key"));
    let kept = match &path {
        Some(path) => Seal::read_or_make(path),
        None => Err(SealError::NoHome),
    };
    match kept {
        Ok(seal) => Ok((seal, None)),
        Err(error) => Ok((Seal::of_process().map_err(SealError::Random)?, Some(error))),
    }
}

/// Opens the cache in a directory. What is odd about it is a warning.
pub(super) fn open(directory: &Path, progress: &Progress) -> Result<Store, Failure> {
    let (seal, why_not) = seal()?;
    let store = Store::open_sealed(directory, seal).map_err(|error| {
        let hint = error.hint();
        match hint {
            Some(hint) => Failure::from(error).hint(hint),
            None => Failure::from(error),
        }
    })?;
    if let Some(why) = why_not {
        let why = Failure::from(why).to_string();
        let why = why.trim_start_matches("error: ");
        progress
            .warn(&format!("the key of the cache cannot be kept, so all but downloads is made anew: {why}"));
    }
    if let Some((above, open)) = store.exposed() {
        let text = "is above the cache, so another user could lay one of theirs in its place";
        progress.warn(&format!("{} {text}: {open}", above.display()));
    }
    let progress = progress.clone();
    store.tell_damage(move |path| {
        let path = path.display();
        progress.warn(&format!(
            "{path} was changed since tinyroot wrote it; it was removed, and is made anew when it is needed next"
        ));
    });
    Ok(store)
}

impl Context {
    /// Fails if contents of the cache were refused since they were changed: what was made meanwhile may lack them.
    pub(super) fn unaffected(&self) -> Result<(), Failure> {
        match self.store.get().is_some_and(|store| store.has_refused()) {
            true => Err(Failure::new(
                "parts of the cache were changed since they were written, and the result would lack them",
            )
            .hint("they were removed: run the same again")),
            false => Ok(()),
        }
    }
}

/// How often a command is done again after parts of the cache were found changed.
const AGAIN: usize = 3;

/// Does a command again that failed while parts of the cache were found changed: they are gone, and made anew. A grain
/// is not: it may have worked for hours.
pub(super) fn mended(
    mut result: Result<(), Failure>,
    command: &Command,
    is_grain: bool,
    context: &Context,
) -> Result<(), Failure> {
    for _ in 0..AGAIN {
        let is_damaged = context.store.get().is_some_and(|store| !store.take_damaged().is_empty());
        if is_grain || !is_damaged || result.is_ok() {
            break;
        }
        if let Some(store) = context.store.get() {
            store.check_known();
            store.take_refused();
        }
        result = dispatch(command, context);
    }
    if let Some(count) = context.store.get().map(|store| store.foreign()).filter(|count| *count > 0) {
        let what = if count == 1 { "entry of the cache was" } else { "entries of the cache were" };
        context
            .progress
            .warn(&format!("{count} {what} made by another user or machine, or changed since, and not used"));
    }
    match is_grain {
        true => result,
        false => result.and_then(|()| context.unaffected()),
    }
}
