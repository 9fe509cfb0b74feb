//! The calls of `std::fs`, each with the path in its error ([`PathError`]).
//!
//! `clippy.toml` refuses the calls of `std::fs` themselves, whose errors do not say which file they are
//! about. The rooms that use them all the same say so at their head: the ground below the rooms (`sys`,
//! `atomic`, `closed`, `deep`, `store`), whose callers know better what the file is for and add path and
//! operation.

#![allow(clippy::disallowed_methods, reason = "the one place that adds the path")]

use std::{
    fs::{self, DirEntry, File, Permissions},
    path::Path,
};

use crate::error::{At, PathError};

type Result<T> = std::result::Result<T, PathError>;

/// Opens a file for reading.
///
/// # Errors
/// [`PathError`] if the kernel refuses, as for all functions here.
pub fn open(path: impl AsRef<Path>) -> Result<File> {
    File::open(&path).at("read", path)
}

/// Returns the contents of a file.
///
/// # Errors
/// As [`open`].
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    fs::read(&path).at("read", path)
}

/// Returns the contents of a file that is UTF-8 text.
///
/// # Errors
/// As [`open`]; [`std::io::ErrorKind::InvalidData`] for other bytes.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String> {
    fs::read_to_string(&path).at("read", path)
}

/// Writes a file, or writes it anew. One that must never be half written goes through
/// [`atomic`](crate::atomic).
///
/// # Errors
/// As [`open`].
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<()> {
    fs::write(&path, contents).at("write", path)
}

/// Copies a file with its mode.
///
/// # Errors
/// As [`open`], with the path of the file that is read.
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<u64> {
    fs::copy(&from, &to).at("copy", from)
}

/// Gives a file a second name.
///
/// # Errors
/// As [`open`], with the new name.
pub fn hard_link(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    fs::hard_link(from, &to).at("link", to)
}

/// Returns the entries of a directory, in no order.
///
/// # Errors
/// As [`open`].
pub fn list(path: impl AsRef<Path>) -> Result<Vec<DirEntry>> {
    fs::read_dir(&path).and_then(Iterator::collect).at("list", path)
}

/// Creates a directory.
///
/// # Errors
/// As [`open`].
pub fn create_dir(path: impl AsRef<Path>) -> Result<()> {
    fs::create_dir(&path).at("create", path)
}

/// Creates a directory and those above it that are missing.
///
/// # Errors
/// As [`open`].
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    fs::create_dir_all(&path).at("create", path)
}

/// Gives a file or directory another name.
///
/// # Errors
/// As [`open`], with the new name.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    fs::rename(from, &to).at("write", to)
}

/// Removes a file or link.
///
/// # Errors
/// As [`open`].
pub fn remove_file(path: impl AsRef<Path>) -> Result<()> {
    fs::remove_file(&path).at("remove", path)
}

/// Removes an empty directory.
///
/// # Errors
/// As [`open`].
pub fn remove_dir(path: impl AsRef<Path>) -> Result<()> {
    fs::remove_dir(&path).at("remove", path)
}

/// Removes a directory and everything below it. One with files of other users' ids is for
/// [`deep`](crate::deep).
///
/// # Errors
/// As [`open`].
pub fn remove_dir_all(path: impl AsRef<Path>) -> Result<()> {
    fs::remove_dir_all(&path).at("remove", path)
}

/// Changes who may use a file or directory.
///
/// # Errors
/// As [`open`].
pub fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> Result<()> {
    fs::set_permissions(&path, permissions).at("change the mode of", path)
}
