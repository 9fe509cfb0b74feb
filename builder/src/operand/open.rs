//! Opens an operand, by what its path is and how its file begins.

use std::{
    fs::File,
    io::{BufReader, Read as _, Seek as _},
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{Operand, OperandError, OperandFault, Root, Taken, compressed::decompress};
use crate::{
    artifact::{self, Artifact, ArtifactError, Foreign, Format, Papers, Prices},
    error::{At as _, PathError},
    files,
    formats::{compression::Compression, deb},
    progress::Progress,
    render,
    store::Store,
    tree::TreePath,
    unpack,
};

/// Most bytes of one file of a directory that are kept in memory, and of all such files.
const MOST_KEPT_BYTES: (u64, u64) = (16 << 20, 256 << 20);

/// Opens an operand. `name` is how errors and titles name it.
///
/// # Errors
/// [`OperandError`] says what it was taken for, and why it is none.
pub fn open(path: &Path, name: &str, store: &Store, progress: &Progress) -> Result<Operand, OperandError> {
    // One that is no regular file is not waited for.
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).at("open", path)?;
    let found = file.metadata().at("open", path)?;
    if found.is_dir() {
        return match artifact::is_layout(path) {
            true => of_file(path, name, Taken::Image, store, progress),
            false if is_transport(path) => Err(refused(name, Taken::Image, OperandFault::Transport)),
            false => of_directory(path, name, store),
        };
    }
    if !found.is_file() {
        let rule = "it is neither a regular file nor a directory";
        return Err(PathError::new("open", path, std::io::Error::other(rule)).into());
    }
    let start = start(&mut file, path)?;
    if start.starts_with(deb::MAGIC) {
        return of_deb(path, name, store);
    }
    if let Some(taken) = taken(&start) {
        return of_file(path, name, taken, store, progress);
    }
    let Some(compression) = Compression::of(&start) else {
        return Err(OperandError::Unknown { name: name.to_owned() });
    };
    let refused = |source| refused(name, Taken::Tar, source);
    let (mut plain, digest, size_bytes) =
        decompress(&file, compression, Format::Tar.limit_bytes()).map_err(refused)?;
    plain.rewind().at("read", path)?;
    let kept = PathBuf::from(format!("/proc/self/fd/{}", plain.as_raw_fd()));
    match taken(&self::start(&mut plain, path)?) {
        Some(Taken::Tar) => {
            let operand = of_file(&kept, name, Taken::Tar, store, progress)?;
            // Its prices were those of what it decompresses to. Of an image in it they are not known.
            let prices = match &operand.root {
                Root::Tree(tree) if operand.taken == Taken::Tar => {
                    let (place, plain) = (0..size_bytes, BufReader::with_capacity(1 << 18, &plain));
                    let priced = artifact::tar_prices(path, &place, plain, &digest, size_bytes, tree, store);
                    Some(priced.map_err(|error| self::refused(name, Taken::Tar, error))?)
                }
                _ => None,
            };
            Ok(Operand { size_bytes: Some(size_bytes), prices, ..operand })
        }
        _ => Err(OperandError::Unknown { name: name.to_owned() }),
    }
}

/// Returns whether a directory is an image of skopeo's own form, which would pass for a directory of blobs.
fn is_transport(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = files::open(path.join("version")).map(|file| file.take(64).read_to_end(&mut start));
    read.is_ok() && start.starts_with(b"Directory Transport Version") && path.join("manifest.json").is_file()
}

/// Returns how long a stream may be that begins so; `None` if no operand does.
pub fn stream_limit_bytes(start: &[u8]) -> Option<u64> {
    let is_other = start.starts_with(deb::MAGIC) || Compression::of(start).is_some();
    Format::of(start).or(is_other.then_some(Format::Tar)).map(Format::limit_bytes)
}

fn start(file: &mut File, path: &Path) -> Result<Vec<u8>, PathError> {
    let mut start = Vec::new();
    file.take(Format::MAGIC_BYTES as u64).read_to_end(&mut start).at("read", path)?;
    file.rewind().at("read", path)?;
    Ok(start)
}

fn taken(start: &[u8]) -> Option<Taken> {
    match Format::of(start)? {
        Format::Spk => Some(Taken::Package),
        Format::Squashfs | Format::Erofs => Some(Taken::FileSystem),
        Format::Tar | Format::Oci | Format::OciDirectory => Some(Taken::Tar),
    }
}

fn refused(name: &str, taken: Taken, source: impl Into<OperandFault>) -> OperandError {
    OperandError::Refused { name: name.to_owned(), taken, source: source.into() }
}

/// Opens a package, an image or a tar.
fn of_file(
    path: &Path,
    name: &str,
    taken: Taken,
    store: &Store,
    progress: &Progress,
) -> Result<Operand, OperandError> {
    // What comes from standard input is there only now.
    let (opened, prices) = artifact::open_any_priced(path, store, progress).map_err(|error| match taken {
        Taken::Package => OperandError::Package(error.naming(name)),
        _ => refused_file(path, name, taken, error),
    })?;
    match opened {
        artifact::Root::Package(artifact) => Ok(Operand::of_package(artifact, Some(prices), store)),
        artifact::Root::Foreign(Foreign { format, tree, size_bytes, .. }) => Ok(Operand {
            taken: taken_of(format),
            title: name.to_owned(),
            papers: Papers::read_foreign(&tree, store),
            root: Root::Tree(tree),
            size_bytes: Some(size_bytes),
            prices: Some(prices),
        }),
    }
}

/// Names what a file was taken for, once it is known whether a tar is an image.
fn refused_file(path: &Path, name: &str, taken: Taken, error: ArtifactError) -> OperandError {
    let taken = artifact::format_at(path).map_or(taken, taken_of);
    refused(name, taken, error.naming(name))
}

fn taken_of(format: Format) -> Taken {
    match format {
        Format::Spk => Taken::Package,
        Format::Oci | Format::OciDirectory => Taken::Image,
        Format::Squashfs | Format::Erofs => Taken::FileSystem,
        Format::Tar => Taken::Tar,
    }
}

fn of_deb(path: &Path, name: &str, store: &Store) -> Result<Operand, OperandError> {
    let deb = unpack::unpack_file(path, store).map_err(|fault| refused(name, Taken::Deb, fault))?;
    let place = files::open(path).and_then(|file| deb::data_place(file).at("read", path))?;
    let prices = match place {
        Some(place) => {
            let plain = deb.data().at("read", path)?;
            let (digest, size_bytes, tree) = (&deb.digest, deb.size_bytes, &deb.tree);
            let priced = artifact::tar_prices(path, &place, plain, digest, size_bytes, tree, store);
            Some(priced.map_err(|error| refused(name, Taken::Deb, error))?)
        }
        None => None,
    };
    let (package, version) = (deb.control.package(), deb.control.version());
    Ok(Operand {
        taken: Taken::Deb,
        title: format!("{package} {version} {}", deb.control.architecture()),
        papers: Papers::of_package(package, version, &deb.tree),
        root: Root::Tree(deb.tree),
        size_bytes: Some(deb.size_bytes),
        prices,
    })
}

fn of_directory(path: &Path, name: &str, store: &Store) -> Result<Operand, OperandError> {
    let left = std::cell::Cell::new(MOST_KEPT_BYTES.1);
    let wanted = |path: &TreePath, size_bytes: u64| {
        let rest = left.get().checked_sub(size_bytes).filter(|_| size_bytes <= MOST_KEPT_BYTES.0);
        let is_wanted = rest.is_some() && is_read(path);
        left.set(rest.filter(|_| is_wanted).unwrap_or(left.get()));
        is_wanted
    };
    let keep = |bytes: Vec<u8>| {
        store.put(bytes);
    };
    let tree = render::survey(path, &wanted, keep).map_err(|error| refused(name, Taken::Directory, error))?;
    Ok(Operand {
        taken: Taken::Directory,
        title: name.to_owned(),
        papers: Papers::read_foreign(&tree, store),
        root: Root::Tree(tree),
        size_bytes: None,
        prices: None,
    })
}

/// Returns whether the contents of a file say something about packages.
fn is_read(path: &TreePath) -> bool {
    const BELOW: [&[u8]; 4] =
        [b"var/lib/dpkg", b"tinyroot/var/lib/dpkg", b"tinyroot/papers", b"usr/share/doc"];
    BELOW.iter().any(|directory| path.is_at_or_below(directory))
}

impl Operand {
    /// Returns a package that was opened.
    fn of_package(artifact: Box<Artifact>, prices: Option<Prices>, store: &Store) -> Self {
        Operand {
            taken: Taken::Package,
            title: format!("{} {}", artifact.title(), artifact.version()),
            papers: Papers::read(&artifact.tree, store),
            size_bytes: Some(artifact.size_bytes),
            root: Root::Package(artifact),
            prices,
        }
    }
}
