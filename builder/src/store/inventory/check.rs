//! Everything is compared with its digest or seal.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::PoisonError,
};

use super::{Entry, Kind, pack_of};
use crate::{
    error::At as _,
    formats::checksum::Checksum,
    store::{
        Store, StoreError, bundle,
        pack::{self, Pack},
    },
    sys::path::open_regular,
};

/// The result of [`Store::check`].
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// How many entries were looked at.
    pub count: usize,
    /// Files that changed since they were written or fetched.
    pub damaged: Vec<PathBuf>,
    /// Files with another seal: of another user or machine, or changed since.
    pub foreign: Vec<PathBuf>,
    /// Files that are not tinyroot's, and stay.
    pub others: Vec<PathBuf>,
}

impl Store {
    /// Reads everything and compares it with its digest or seal. Damaged entries are removed, as everywhere.
    /// `is_whole` looks at an index; `on_entry` is called after each entry.
    pub fn check(&self, is_whole: impl Fn(&Path) -> bool, on_entry: impl Fn(&Entry)) -> Checked {
        let mut out = Checked::default();
        self.take_damaged();
        let (entries, others) = self.all();
        out.others = others;
        for entry in entries {
            match entry.kind {
                Kind::Downloads | Kind::NpmDownloads | Kind::ImageDownloads => {
                    self.check_download(&entry.path)
                }
                Kind::Indexes if is_whole(&entry.path) => {}
                Kind::Remains => {}
                _ if self.is_own(&entry.path) => self.check_pack(&entry.path),
                _ if entry.path.exists() => out.foreign.push(entry.path.clone()),
                _ => {}
            }
            out.count += 1;
            on_entry(&entry);
        }
        out.damaged = self.take_damaged();
        // The caller reports them.
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).clear();
        out
    }

    fn check_download(&self, path: &Path) {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let checksum: Option<Checksum> = stem.rsplit('-').next().and_then(|hex| hex.parse().ok());
        let is_whole = checksum.zip(open_regular(path).ok()).map(|(checksum, file)| checksum.is_of(file));
        if !matches!(is_whole, Some(Ok(true))) && fs::remove_file(path).is_ok() {
            self.note_damaged(path);
        }
    }

    /// Checks the pack of a bundle, if it is one; the pack reports its faults.
    fn check_pack(&self, path: &Path) {
        if !path.starts_with(self.root.join("bundles")) {
            return;
        }
        let pack = || {
            let bytes = self.read_sealed(path)?;
            let text = bundle::Text::parse(std::str::from_utf8(&bytes).ok()?)?;
            let place = self.root.join("packs").join(text.name);
            let file = open_regular(&place).ok()?;
            Pack::new((place, path.into()), file, text.size_bytes, text.chunks()?, self.damages())
        };
        match pack() {
            Some(pack) => drop(pack.check()),
            None if self.remove_foreign(path).is_ok() => self.note_damaged(path),
            None => {}
        }
    }

    /// Removes an entry that [`Store::check`] named; of a bundle the pack, too, unless it is in use.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn remove_foreign(&self, path: &Path) -> Result<(), StoreError> {
        let pack = pack_of(path).map(|name| self.root.join("packs").join(name));
        fs::remove_file(path).at("remove", path)?;
        if let Some((pack, file)) = pack.and_then(|pack| open_regular(&pack).ok().map(|file| (pack, file))) {
            pack::remove_if_unused(&pack, &file);
        }
        Ok(())
    }

    fn is_own(&self, path: &Path) -> bool {
        self.read_kept(path).is_ok_and(|kept| kept.is_ours)
    }
}
