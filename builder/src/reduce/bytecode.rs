//! Sources of Python whose byte code is there.
//!
//! Python goes by a `.pyc` in `__pycache__` if the source beside it has the time and size that are noted in
//! it, or the hash: byte code that is made under `SOURCE_DATE_EPOCH`, as ours is, has that, and Python reads
//! each source at each start to check it. Nothing changes a source in a grain. So byte code is marked as not
//! to be checked, which also makes apps start sooner, and its source becomes newlines, as many as it was
//! long. Python reads a source otherwise to show a line of it in a traceback, or where a program reads its
//! own text (`inspect.getsource`).
//!
//! A file that a trace saw read for itself stays, as does a file that can be started: a script that is
//! started is read, whatever lies in `__pycache__`.

use super::{ReduceError, Reductions, note};
use crate::{
    digest::Digest,
    evidence::{Kinds, UsedList},
    prune::Pruned,
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

/// Magic number, flags, then time and size of the source or its hash (PEP 552).
const HEADER_BYTES: usize = 16;

/// The flags of byte code that goes by a hash of its source, without and with Python checking it.
const UNCHECKED: u8 = 1;
const CHECKED: u8 = 3;

pub(super) fn reduce(
    pruned: &mut Pruned,
    used: &UsedList,
    store: &Store,
    files: &mut Reductions,
) -> Result<(), ReduceError> {
    let sources: Vec<TreePath> = pruned.tree.iter().map(|(path, _)| path.clone()).collect();
    for path in sources.into_iter().filter(|path| path.file_name().ends_with(b".py")) {
        let Some(entry) = pruned.tree.get(path.as_bytes()) else { continue };
        let Kind::File { digest, size_bytes, .. } = entry.kind else { continue };
        let is_started = entry.mode & 0o111 != 0 || path.file_name() == b"__main__.py";
        if size_bytes == 0 || is_started {
            continue;
        }
        let Some(code) = byte_code(&pruned.tree, &path, entry, store)? else { continue };
        let read = Kinds::OPENED.union(Kinds::EXECUTED).union(Kinds::WRITTEN);
        let to_check = code.checked.is_some() && used.kinds(code.path.as_bytes()).contains(Kinds::OPENED);
        if read.intersects(used.kinds(path.as_bytes())) && !to_check {
            continue;
        }
        let contents = |source| ReduceError::Contents { path: path.clone(), source };
        let source = store.read(&digest).map_err(contents)?;
        if source.starts_with(b"#!") {
            continue;
        }
        let after = store.put(vec![b'\n'; source.len()]);
        replace(pruned, files, &path, after, "its length alone, for its byte code");
        if let Some(mut bytes) = code.checked {
            bytes[4] = UNCHECKED;
            replace(pruned, files, &code.path, store.put(bytes), "all, its source not to be checked");
        }
    }
    Ok(())
}

fn replace(pruned: &mut Pruned, files: &mut Reductions, path: &TreePath, after: Digest, left: &str) {
    if let Some(Entry { kind: Kind::File { digest, .. }, .. }) = pruned.tree.get_mut(path.as_bytes()) {
        note(files, path, left.to_owned(), *digest, after);
        *digest = after;
    }
}

/// Byte code that Python takes for a source.
struct ByteCode {
    path: TreePath,
    /// Its contents, if Python would check the source's hash.
    checked: Option<Vec<u8>>,
}

/// Returns the byte code of a source: of one version of Python, without optimisation.
fn byte_code(
    tree: &Tree,
    path: &TreePath,
    source: &Entry,
    store: &Store,
) -> Result<Option<ByteCode>, ReduceError> {
    let Kind::File { size_bytes, .. } = source.kind else { return Ok(None) };
    let (Some(directory), Some(stem)) = (path.parent_bytes(), path.file_name().strip_suffix(b".py")) else {
        return Ok(None);
    };
    let start = [stem, b".cpython-"].concat();
    let cache = [directory, b"/__pycache__"].concat();
    let mut versions = tree.children(&cache).filter(|(other, _)| {
        let rest = other.file_name().strip_prefix(&start[..]);
        let version = rest.and_then(|rest| rest.strip_suffix(b".pyc"));
        version.is_some_and(|version| version.iter().all(u8::is_ascii_digit))
    });
    let (Some((code_path, code)), None) = (versions.next(), versions.next()) else { return Ok(None) };
    let Some((digest, _)) = code.kind.content() else { return Ok(None) };
    let bytes = store.read(&digest);
    let bytes = bytes.map_err(|source| ReduceError::Contents { path: code_path.clone(), source })?;
    let Some(header) = bytes.get(..HEADER_BYTES) else { return Ok(None) };
    let noted = [source.mtime_s as u32, size_bytes as u32].map(u32::to_le_bytes).concat();
    let checked = match header[4..8] {
        [0, 0, 0, 0] if header[8..] == noted => None,
        [UNCHECKED, 0, 0, 0] => None,
        [CHECKED, 0, 0, 0] => Some(bytes),
        _ => return Ok(None),
    };
    Ok(Some(ByteCode { path: code_path.clone(), checked }))
}
