//! Directories that are closed to all but their owner.
//!
//! Comes in: a path. Goes out: that it is a directory of our own user which no other user can read or write,
//! or why it is not. A directory of another user is never changed.

#![allow(
    clippy::disallowed_methods,
    reason = "its callers know what a file is for, and add path and operation"
)]

use std::{
    fmt,
    fs::{self, DirBuilder, Metadata, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The bits by which users other than the owner can write.
const WRITABLE: u32 = 0o022;
/// The bit of directories for everybody, such as `/tmp`: names in them belong to their owners.
pub const STICKY: u32 = 0o1000;

/// Why a directory cannot be used as our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// A file, or a symbolic link where none may be.
    Other,
    /// It belongs to another user.
    Owner {
        /// Whose it is.
        uid: u32,
        /// Who we are.
        our_uid: u32,
    },
    /// Other users can write to it.
    Writable {
        /// Its mode.
        mode: u32,
    },
    /// The path goes through a symbolic link of another user.
    Link {
        /// Whose the link is.
        uid: u32,
    },
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Open::Other => f.write_str("it is not a directory"),
            Open::Owner { uid, our_uid } => write!(f, "it belongs to user {uid}, and this is user {our_uid}"),
            Open::Writable { mode } => write!(f, "other users can write to it (mode {mode:04o})"),
            Open::Link { uid } => write!(f, "a symbolic link of user {uid} leads to it"),
        }
    }
}

impl Open {
    /// Returns what one can do about a directory.
    pub fn remedy(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Open::Writable { mode } if mode & STICKY == 0 => {
                format!("`chmod go-w {path}` if no other user has used it, or name another with --cache DIR")
            }
            Open::Owner { uid, our_uid: 0 } => format!(
                "run it as user {uid}, without sudo; or name a directory of root's own with --cache DIR"
            ),
            Open::Writable { .. } => format!("name a directory of your own in it: --cache {path}/tinyroot"),
            Open::Owner { .. } => format!(
                "name a directory of your own with --cache DIR; `cp -r {path} DIR` before makes use of what is there"
            ),
            _ => "name a directory of your own with --cache DIR".into(),
        }
    }
}

/// Makes a directory with those above it, closed whatever the umask. Existing ones stay as they are.
///
/// # Errors
/// The kernel's error.
pub fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Closes a directory if it is ours to close and not one for everybody.
///
/// # Errors
/// The kernel's error.
pub fn close(directory: &Path) -> io::Result<()> {
    let found = fs::metadata(directory)?;
    let is_shared = found.mode() & STICKY != 0;
    if found.uid() == our_uid() && !is_shared && found.mode() & 0o077 != 0 {
        fs::set_permissions(directory, Permissions::from_mode(found.mode() & 0o700))?;
    }
    Ok(())
}

/// Returns why a directory is not only ours to write; `None` if it is. A link at the path is not followed.
///
/// # Errors
/// The kernel's error.
pub fn check(directory: &Path) -> io::Result<Option<Open>> {
    let found = fs::symlink_metadata(directory)?;
    let (uid, our_uid, mode) = (found.uid(), our_uid(), found.mode() & 0o7777);
    Ok(match found.is_dir() {
        false => Some(Open::Other),
        true if uid != our_uid => Some(Open::Owner { uid, our_uid }),
        true if mode & WRITABLE != 0 => Some(Open::Writable { mode }),
        true => None,
    })
}

/// Returns whose a symbolic link is, if there is one at the path that neither root nor we made.
pub fn foreign_link(path: &Path) -> Option<Open> {
    let found = fs::symlink_metadata(path).ok().filter(Metadata::is_symlink)?;
    (!is_trusted(found.uid())).then_some(Open::Link { uid: found.uid() })
}

/// Returns the first directory above a path, of which another user could take the path away and lay something
/// else in its place: one of a user other than root and us, or one that everybody can write to and that is
/// not sticky. The path has no links.
pub fn exposed(path: &Path) -> Option<(PathBuf, Open)> {
    path.ancestors().skip(1).find_map(|above| {
        let found = fs::symlink_metadata(above).ok()?;
        let (uid, mode) = (found.uid(), found.mode() & 0o7777);
        let open = match mode & 0o002 != 0 && mode & STICKY == 0 {
            true => Open::Writable { mode },
            false if !is_trusted(uid) => Open::Owner { uid, our_uid: our_uid() },
            false => return None,
        };
        Some((above.to_path_buf(), open))
    })
}

/// Returns our effective user.
pub fn our_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == our_uid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::skip;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("sets");
    }

    #[test]
    fn a_directory_is_ours_if_nobody_else_can_write_to_it() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = place.path().join("a/b");
        make(&directory).expect("makes");
        for path in [&directory, &place.path().join("a")] {
            assert_eq!(fs::metadata(path).expect("is there").mode() & 0o7777, 0o700);
        }
        for (mode, is_ours) in [(0o700, true), (0o755, true), (0o775, false), (0o757, false), (0o1777, false)]
        {
            set(&directory, mode);
            let expected = (!is_ours).then_some(Open::Writable { mode });
            assert_eq!(check(&directory).expect("is there"), expected, "{mode:04o}");
        }
        close(&directory).expect("leaves it");
        assert_eq!(fs::metadata(&directory).expect("is there").mode() & 0o7777, 0o1777);
        set(&directory, 0o755);
        close(&directory).expect("closes it");
        assert_eq!(fs::metadata(&directory).expect("is there").mode() & 0o7777, 0o700);
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&directory, &link).expect("links");
        assert_eq!(check(&link).expect("is there"), Some(Open::Other));
        assert_eq!(foreign_link(&link), None);
    }

    #[test]
    fn what_another_user_could_replace_is_exposed() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = fs::canonicalize(place.path()).expect("is there").join("a/b");
        make(&directory).expect("makes");
        assert_eq!(exposed(&directory), None);
        let above = directory.parent().expect("has one");
        set(above, 0o777);
        assert_eq!(exposed(&directory), Some((above.to_path_buf(), Open::Writable { mode: 0o777 })));
        set(above, 0o1777);
        assert_eq!(exposed(&directory), None);
        if std::os::unix::fs::chown(above, Some(12345), None).is_err() {
            return skip("root, to give a directory to another user");
        }
        let expected = Open::Owner { uid: 12345, our_uid: our_uid() };
        assert_eq!(exposed(&directory), Some((above.to_path_buf(), expected.clone())));
        assert_eq!(check(above).expect("is there"), Some(expected));
        let link = directory.join("link");
        std::os::unix::fs::symlink("/", &link).expect("links");
        std::os::unix::fs::lchown(&link, Some(12345), None).expect("gives it away");
        assert_eq!(foreign_link(&link), Some(Open::Link { uid: 12345 }));
    }
}
