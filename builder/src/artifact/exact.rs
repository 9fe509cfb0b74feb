//! Whether a file is the very one that tinyroot writes of what is signed.
//!
//! The signature covers what an `.spk` holds, and reading an `.spk` accounts for each of its bytes. A file of
//! another format says more to other tools: owners, modes and attributes, how an engine starts the app, names,
//! padding. All of that follows from the signed contents; so the file is written again from them, and
//! compared.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use super::{Artifact, Details, Format, PackError, convert};
use crate::{error::At as _, files, progress::Progress, store::Store};

/// A difference between a file and what tinyroot writes of its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The first byte that differs; `None` for an OCI directory, whose manifest differs.
    pub at: Option<u64>,
}

/// Looks for a byte in a package that its signature does not account for. `directory` must be empty; the file
/// that is compared with is written there.
///
/// # Errors
/// [`PackError`].
pub fn deviation(
    artifact: &Artifact,
    directory: &Path,
    store: &Store,
    progress: &Progress,
) -> Result<Option<Deviation>, PackError> {
    let format = match &artifact.details {
        // One of another program that is more than one stream; reading refuses such of ours.
        Details::Spk(spk) if !spk.is_one_stream => return Ok(Some(Deviation { at: None })),
        Details::Spk(_) => return Ok(None),
        Details::Image(image) => image.format,
    };
    let path = directory.join("again");
    let again = convert(artifact, format, &path, store, progress)?;
    if again.digest == artifact.digest {
        return Ok(None);
    }
    if format == Format::OciDirectory {
        return Ok(Some(Deviation { at: None }));
    }
    let [one, other] = [&artifact.path, &path].map(files::open);
    let at = common_bytes(one?, other?).at("read", &artifact.path)?;
    Ok(Some(Deviation { at: Some(at) }))
}

/// Returns how many bytes two files have in common at their start.
fn common_bytes(one: File, other: File) -> io::Result<u64> {
    let [mut one, mut other] = [one, other].map(|file| BufReader::new(file).bytes());
    for at in 0.. {
        match (one.next().transpose()?, other.next().transpose()?) {
            (Some(a), Some(b)) if a == b => {}
            _ => return Ok(at),
        }
    }
    Ok(u64::MAX)
}
