//! Which app a key of a ring is of: `KEYRING.apps`.
//!
//! ```text
//! NAME APPID     the app's key; the last line of a name counts
//! - APPID        an imported key whose app is not known yet, until another line has it
//! ```
//!
//! A file is only ever appended to, under its lock.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use super::KeysError;
use crate::{error::At as _, formats::app_id::AppId};

/// Stands for an app that is not known yet; no app is called so.
pub(super) const OF_NO_APP: &str = "-";

/// The notes beside a ring.
pub(super) struct Notes(Vec<(String, AppId)>);

impl Notes {
    /// Reads the notes of an open file.
    ///
    /// # Errors
    /// [`KeysError::Apps`] for a line that is none.
    pub fn read(path: &Path, file: &mut File) -> Result<Self, KeysError> {
        let mut text = String::new();
        file.read_to_string(&mut text).at("read", path)?;
        let line = |(index, line): (usize, &str)| {
            let fields =
                line.split_once(' ').and_then(|(name, id)| Some((name.to_owned(), id.parse().ok()?)));
            fields.ok_or_else(|| KeysError::Apps { path: path.to_path_buf(), line: index + 1 })
        };
        text.lines().enumerate().map(line).collect::<Result<_, _>>().map(Notes)
    }

    /// Appends a note to an open file, for good.
    pub fn append(file: &mut File, name: &str, app_id: &AppId) -> io::Result<()> {
        file.write_all(format!("{name} {app_id}\n").as_bytes())?;
        file.sync_all()
    }

    /// Returns the key of an app.
    pub fn find(&self, name: &str) -> Option<AppId> {
        self.0.iter().rev().find(|(noted, _)| noted == name && noted != OF_NO_APP).map(|(_, id)| *id)
    }

    /// Returns the last app that a key was noted for.
    pub fn app_of(&self, app_id: &AppId) -> Option<String> {
        let noted = self.0.iter().rev().find(|(name, id)| id == app_id && name != OF_NO_APP);
        noted.map(|(name, _)| name.clone())
    }

    /// Returns the imported keys that are of no app yet, in the order of their import.
    pub fn of_no_app(&self) -> Vec<AppId> {
        let mut out: Vec<AppId> = Vec::new();
        for (name, id) in &self.0 {
            if name == OF_NO_APP && self.app_of(id).is_none() && !out.contains(id) {
                out.push(*id);
            }
        }
        out
    }
}
