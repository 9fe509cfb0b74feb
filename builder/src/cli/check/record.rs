//! `tinyroot check --junit FILE --sarif FILE`: the proof for other programs.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{
    atomic,
    cli::{Context, Failure},
    error::At as _,
    report::{Place, ProofRecord},
};

/// The files that a proof is recorded in.
#[derive(Debug, clap::Args)]
pub struct Files {
    /// Write the proof to this file as JUnit's XML, whether it passes or not: a suite for each run of the app,
    /// a case for each step
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    junit: Option<PathBuf>,
    /// Write the pruned paths that the app requests to this file as SARIF 2.1.0, whether the proof passes or
    /// not
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    sarif: Option<PathBuf>,
}

impl Files {
    /// Refuses files that cannot be written, before the long work.
    ///
    /// # Errors
    /// A file in a directory that is not there; one file for both.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.junit.is_some() && self.junit == self.sarif {
            return Err(
                Failure::new("--junit and --sarif name the same file").hint("name another for one of them")
            );
        }
        for path in [&self.junit, &self.sarif].into_iter().flatten() {
            let parent =
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if !parent.is_dir() {
                let text =
                    format!("cannot write {}: {} is not a directory", path.display(), parent.display());
                return Err(Failure::new(text).hint(format!("mkdir -p {}", parent.display())));
            }
            if path.is_dir() {
                return Err(Failure::new(format!("cannot write {}: it is a directory", path.display()))
                    .hint("name a file in it"));
            }
        }
        Ok(())
    }

    /// Writes what is asked for. Returns how the command ends: with its own failure rather than with that of
    /// the writing.
    ///
    /// # Errors
    /// The failure that is given, or a full disk and the like.
    pub(super) fn write(
        &self,
        record: &ProofRecord,
        place: Place<'_>,
        result: Result<(), Failure>,
        context: &Context,
    ) -> Result<(), Failure> {
        let written = self.write_all(record, place);
        match (result, written) {
            (Err(failure), Err(unwritten)) => {
                context.progress.warn(&unwritten.to_string());
                Err(failure)
            }
            (result, written) => result.and(written),
        }
    }

    fn write_all(&self, record: &ProofRecord, place: Place<'_>) -> Result<(), Failure> {
        if let Some(path) = &self.junit {
            atomic::replace(path, record.junit().as_bytes()).at("write", path)?;
        }
        if let Some(path) = &self.sarif {
            let from_here = relative(match place {
                Place::Recipe(path) | Place::Package(path) => path,
            });
            let place = match place {
                Place::Recipe(_) => Place::Recipe(&from_here),
                Place::Package(_) => Place::Package(&from_here),
            };
            let text = format!("{:#}\n", record.sarif(place));
            atomic::replace(path, text.as_bytes()).at("write", path)?;
        }
        Ok(())
    }
}

/// Returns a path below the working directory as relative to it: that is how files of a repository are named.
fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    below.unwrap_or_else(|| path.to_path_buf())
}

/// Returns what an app is called whose recipe is not known.
pub(super) fn name_of(subject: &Path) -> String {
    subject.file_name().map_or_else(|| "app".into(), OsStr::to_string_lossy).into_owned()
}
