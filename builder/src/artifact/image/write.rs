//! Writes such a file from an image, or from a package in another format.

use std::{
    collections::{BTreeMap, btree_map},
    fs::File,
    io::{BufWriter, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{SIGNATURE, normalise};
use crate::{
    artifact::{
        Format, erofs, oci,
        spk::{SignedTree, Signer, sign},
        squashfs,
        write::{PackError, Packable, Packed, Writer},
    },
    atomic,
    digest::Digest,
    error::{At as _, PathError},
    formats::{app_id::AppId, manifest::Manifest, spk::Signature},
    progress::{Progress, Task, Unit},
    render::{TarOptions, write_tar},
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

/// Writes packages in a format other than `.spk`.
#[derive(Clone, Copy)]
pub struct ImageWriter<'a> {
    /// The format.
    pub format: Format,
    /// The manifest of the package.
    pub manifest: &'a Manifest,
    /// The signer of its `.spk`.
    pub signer: Signer<'a>,
}

impl Writer for ImageWriter<'_> {
    fn app_id(&self) -> Option<AppId> {
        Some(self.signer.app_id())
    }

    fn write(
        &self,
        image: Packable,
        out: &Path,
        store: &Store,
        progress: &Progress,
    ) -> Result<Packed, PackError> {
        let signed = sign(image.tree(), self.manifest, &self.signer, store, progress)?;
        let tree = tree_of(&signed.tree, &signed.signature, store);
        let task = progress.task("packing", tree.size_bytes(), Unit::Bytes);
        let (digest, size_bytes) = match self.format {
            Format::OciDirectory => write_oci_directory(&signed, tree, store, &task, out)?,
            format => write_file(format, &signed, tree, store, &task, out)?,
        };
        Ok(Packed {
            path: out.to_path_buf(),
            size_bytes,
            digest,
            package_id: digest.into(),
            app_id: self.signer.app_id(),
            tree: image.into_tree(),
            blocks: Vec::new(),
        })
    }
}

/// Returns the tree of a file of another format than `.spk`.
pub(super) fn tree_of(tree: &Tree, signature: &Signature, store: &Store) -> Tree {
    let mut tree = tree.clone();
    let message = &signature.message;
    let entry = Entry::file(store.put(&message[..]), message.len() as u64, 0o644, 0);
    tree.insert(TreePath::new(SIGNATURE).unwrap_or_default(), entry);
    tree.add_parents(0);
    normalise(&mut tree);
    tree
}

/// Returns the time of a package: that of its first process.
fn epoch_s(signed: &SignedTree) -> i64 {
    let init = crate::layout::INIT.trim_start_matches('/');
    signed.tree.get(init.as_bytes()).map_or(0, |entry| entry.mtime_s)
}

fn parent_of(out: &Path) -> &Path {
    out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Files below this are not worth a link: a member of a tar takes as much.
const LEAST_LINKED_BYTES: u64 = 4096;

/// Makes files that are the same hard links of one, so that a tar holds their contents once: git alone has
/// over a hundred names for one program.
fn linked(mut tree: Tree) -> Tree {
    let mut first: BTreeMap<(Digest, u32, i64), TreePath> = BTreeMap::new();
    for (path, entry) in tree.iter_mut() {
        let key = (entry.mode, entry.mtime_s);
        let Kind::File { digest, size_bytes, hard_link } = &mut entry.kind else { continue };
        if *size_bytes < LEAST_LINKED_BYTES {
            continue;
        }
        match first.entry((*digest, key.0, key.1)) {
            btree_map::Entry::Occupied(known) => *hard_link = Some(known.get().clone()),
            btree_map::Entry::Vacant(free) => drop(free.insert(path.clone())),
        }
    }
    tree
}

/// Writes a file beside its place, and puts it there when it is whole.
fn write_file(
    format: Format,
    signed: &SignedTree,
    tree: Tree,
    store: &Store,
    task: &Task,
    out: &Path,
) -> Result<(Digest, u64), PackError> {
    let (file, _cleanup) = atomic::file(parent_of(out), ".tinyroot-pack-").at("create", out)?;
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    let written = match format {
        Format::Squashfs => squashfs::write(&tree, epoch_s(signed), store, task, &mut writer),
        Format::Erofs => erofs::write(&tree, epoch_s(signed), store, task, &mut writer),
        Format::Oci => {
            let tree = linked(tree);
            oci::parts(signed, tree, store, task).and_then(|parts| oci::write_tar(&parts, &mut writer))
        }
        Format::Tar => {
            let size_bytes = tree.size_bytes();
            let written = write_tar(&linked(tree), store, &mut writer, TarOptions::default());
            task.add(size_bytes);
            written.map_err(PackError::Render)
        }
        Format::Spk | Format::OciDirectory => Err(PackError::Format(format)),
    };
    written.map_err(|error| error.naming(out))?;
    writer.flush().at("write", out)?;
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error).at("write", out)?;
    file.as_file().sync_all().at("write", out)?;
    file.as_file().seek(SeekFrom::Start(0)).at("read back", out)?;
    let (digest, size_bytes) = Digest::of_reader(file.as_file()).at("read back", out)?;
    let _: File = file.persist(out).map_err(|e| e.error).at("create", out)?;
    Ok((digest, size_bytes))
}

/// Writes a layout as a directory, in the place of another one or where nothing is.
fn write_oci_directory(
    signed: &SignedTree,
    tree: Tree,
    store: &Store,
    task: &Task,
    out: &Path,
) -> Result<(Digest, u64), PackError> {
    let parts = oci::parts(signed, linked(tree), store, task)?;
    let made = atomic::Directory::make(parent_of(out), ".tinyroot-pack-").at("create", out)?;
    let root = made.path().join("layout");
    crate::files::create_dir(&root)?;
    let size_bytes = oci::write_directory(&parts, &root)?;
    let how = if oci::Layout::is_in(out) { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    renameat_with(CWD, &root, CWD, out, how).map_err(|error| PathError::new("create", out, error))?;
    Ok((parts.descriptor().digest, size_bytes))
}
