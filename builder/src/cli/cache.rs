//! The cache as commands use it: opened as this user's own; changed entries are reported and made again.

mod command;

pub use command::{Args, run};

use std::{path::Path, sync::Arc};

use super::{Command, Context, Failure, dispatch, output, xdg_directory};
use crate::{
    error::PathError,
    line::{Fault, LineError},
    progress::Progress,
    seal::{Seal, SealError},
    store::{Closed, Store, StoreError},
};

/// Returns the seal of this user's caches: that of `TINYROOT_CACHE_KEY`, else the one that is kept with this
/// user's state, else, with the reason, one for this process alone.
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

/// Opens the cache in a directory, to read it and to write to it; one that cannot be written is read below a
/// directory of this process alone. Oddities of it are warnings.
pub(super) fn open(directory: &Path, progress: &Progress) -> Result<Store, Failure> {
    let (seal, why_not) = seal()?;
    let store = match Store::open_sealed(directory, seal.clone()) {
        Err(error) if error.is_of_writing() => over(directory, seal, error, progress)?,
        opened => opened?,
    };
    if let Some(why) = why_not {
        let why = Failure::from(why).to_string();
        let why = why.trim_start_matches("error: ");
        progress
            .warn(&format!("the key of the cache cannot be kept, so all but downloads is made anew: {why}"));
    }
    warn_of(&store, progress);
    Ok(store)
}

/// Opens a cache that cannot be written, as an error said.
fn over(directory: &Path, seal: Seal, error: StoreError, progress: &Progress) -> Result<Store, Failure> {
    let store = match Store::open_over(directory, seal) {
        Ok(store) => store,
        // The first error says more, unless the cache is one that cannot be believed.
        Err(other @ StoreError::Open { .. }) if !other.is_of_writing() => return Err(other.into()),
        Err(_) => {
            let failure = Failure::from(error);
            return Err(failure.hint("name a directory that can be written with --cache DIR, or set TMPDIR"));
        }
    };
    let why = match &error {
        StoreError::Io(PathError { source, .. }) => source.kind().to_string(),
        StoreError::Open { open, .. } => open.to_string(),
        other => other.to_string(),
    };
    progress.warn(&format!(
        "the cache {} cannot be written ({why}), so what is made lies in {} until this ends; --cache DIR names another",
        directory.display(),
        store.root().display(),
    ));
    Ok(store)
}

/// Opens the cache for a command that needs nothing but its arguments: where there is no cache, it cannot be
/// used or written, or has no space, the command unpacks into memory, without a message.
fn open_for_reading(directory: Option<&Path>, progress: &Progress) -> Result<Store, Failure> {
    let (seal, why_not) = seal()?;
    let in_memory = |seal| Store::in_memory(seal).spared();
    let Some(directory) = directory else { return Ok(in_memory(seal)) };
    let store = match Store::open_sealed(directory, seal.clone()) {
        Ok(store) => store.spared(),
        // Without a key that lasts nothing in it can be believed.
        Err(StoreError::Io(_)) if why_not.is_none() => {
            in_memory(seal.clone()).reading(directory).unwrap_or_else(|_| in_memory(seal))
        }
        Err(_) => return Ok(in_memory(seal)),
    };
    warn_of(&store, progress);
    Ok(store)
}

/// Warns of the oddities of a store, now and as they are found.
fn warn_of(store: &Store, progress: &Progress) {
    if let Some((above, open)) = store.exposed() {
        let text = "is above the cache, so another user could lay one of theirs in its place";
        progress.warn(&format!("{} {text}: {open}", above.display()));
    }
    if let Some(Closed { mode, removed }) = store.closed() {
        let gone = match removed {
            0 => String::new(),
            1 => "; 1 file to which another user could still write was removed".into(),
            _ => format!("; {removed} files to which other users could still write were removed"),
        };
        let root = store.root().display();
        progress.warn(&format!(
            "other users could write to the cache {root} (mode {mode:04o}), so it was closed (0700){gone}"
        ));
    }
    let progress = progress.clone();
    store.tell_damage(move |path| {
        let path = path.display();
        progress.warn(&format!(
            "{path} was changed since tinyroot wrote it; it was removed, and is made anew when it is needed next"
        ));
    });
}

impl Context {
    /// Returns the store, opened at first use, for a command that does without a home, a cache and a place to
    /// write to.
    ///
    /// # Errors
    /// A key of the cache that is too short or no text.
    pub(super) fn reading_store(&self) -> Result<Arc<Store>, Failure> {
        if let Some(store) = self.store.get() {
            return Ok(store.clone());
        }
        let directory = self.cache_directory().ok();
        let store = open_for_reading(directory.as_deref(), &self.progress)?;
        Ok(self.store.get_or_init(|| Arc::new(store)).clone())
    }

    /// Fails if contents of the cache were refused since they were changed: results made meanwhile may lack
    /// them.
    pub(super) fn unaffected(&self) -> Result<(), Failure> {
        match self.store.get().is_some_and(|store| store.has_refused()) {
            true => Err(LineError::from(Fault::Refused).into()),
            false => Ok(()),
        }
    }
}

/// How often a command is done again after parts of the cache were found changed.
const AGAIN: usize = 3;

/// Does a command again that failed while parts of the cache were found changed: they are gone, and made
/// again. A grain is not: it may have worked for hours.
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
        output::forget_document();
        result = dispatch(command, context);
    }
    let used = context.store.get().filter(|store| !store.is_spared());
    if let Some(count) = used.map(|store| store.foreign()).filter(|count| *count > 0) {
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
