//! A layout from a package.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write},
    path::Path,
};

use flate2::{Compression, GzBuilder};
use serde_json::json;

use super::{
    DOCKER_FILE, Descriptor, INDEX_FILE, INDEX_TYPE, LAYOUT_FILE, MANIFEST_TYPE,
    config::{self, Described},
    layout::blob_name,
};
use crate::{
    artifact::{spk::SignedTree, write::PackError},
    digest::Hasher,
    error::At as _,
    files,
    image::GRAIN_ID,
    progress::Task,
    render::{TarOptions, write_tar as write_tree},
    store::{self, Store},
    tree::Tree,
};

/// The parts of an image.
pub struct Parts {
    described: Described,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The configuration.
    pub config: Vec<u8>,
    /// The layer's descriptor.
    pub layer: Descriptor,
    /// The layer, in a file without a name.
    layer_file: File,
}

/// Makes the parts of an image. `tree` is the one of its layer.
///
/// # Errors
/// A package that encloses no recipe, contents that cannot be read, and a full disk.
pub fn parts(signed: &SignedTree, mut tree: Tree, store: &Store, task: &Task) -> Result<Parts, PackError> {
    let described = Described::of(signed, store)?;
    // A new volume gets the owner of the directory that it covers, and a copy of what is in that.
    for (_, entry) in tree.iter_mut().filter(|(path, _)| path.is_at_or_below(b"var")) {
        (entry.uid, entry.gid) = (GRAIN_ID, GRAIN_ID);
    }
    let file = store::unnamed().map_err(PackError::writing)?;
    let packed = Hasher::new(file);
    // No name, no time, no system: the bytes follow from the tree.
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(packed, Compression::best());
    let mut plain = Hasher::new(Counted { inner: gzip, task });
    write_tree(&tree, store, &mut plain, TarOptions::default()).map_err(PackError::Render)?;
    let (diff_id, _, counted) = plain.finish();
    let (digest, size_bytes, layer_file) = counted.inner.finish().map_err(PackError::writing)?.finish();
    let layer = config::layer(digest, size_bytes);
    let config = described.config(&diff_id);
    let manifest = described.manifest(&config, &layer);
    Ok(Parts { described, manifest, config, layer, layer_file })
}

impl Parts {
    /// Returns the descriptor of the manifest, which is the identity of the image.
    pub fn descriptor(&self) -> Descriptor {
        config::descriptor(MANIFEST_TYPE, &self.manifest)
    }

    /// Returns a reader of the layer, from its start.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn layer_reader(&self) -> io::Result<impl Read + '_> {
        let mut file = &self.layer_file;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Returns the small files of a layout, in the order in which a tar has them.
    fn files(&self, for_docker: bool) -> Vec<(String, Vec<u8>)> {
        let name = self.described.reference();
        let tag = name.rsplit(':').next().unwrap_or_default();
        let mut image = self.descriptor().json();
        image["platform"] = self.described.platform();
        image["annotations"] = json!({
            "org.opencontainers.image.ref.name": tag,
            "io.containerd.image.name": name,
        });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [image] });
        let config = blob_name(&config::descriptor("", &self.config));
        let docker = json!([{
            "Config": config,
            "RepoTags": [name],
            "Layers": [blob_name(&self.layer)],
        }]);
        let mut files = vec![
            (LAYOUT_FILE.to_owned(), json!({ "imageLayoutVersion": "1.0.0" }).to_string().into_bytes()),
            (INDEX_FILE.to_owned(), index.to_string().into_bytes()),
        ];
        if for_docker {
            files.push((DOCKER_FILE.to_owned(), docker.to_string().into_bytes()));
        }
        files.push((blob_name(&self.descriptor()), self.manifest.clone()));
        files.push((config, self.config.clone()));
        files
    }
}

/// Writes a layout as a tar.
///
/// # Errors
/// A file that cannot be written.
pub fn write_tar(parts: &Parts, out: &mut impl Write) -> Result<(), PackError> {
    let written = (|| {
        let mut archive = tar::Builder::new(out);
        for directory in ["blobs/", "blobs/sha256/"] {
            let mut header = header(tar::EntryType::Directory, 0o755, 0);
            archive.append_data(&mut header, directory, io::empty())?;
        }
        for (name, bytes) in parts.files(true) {
            let mut header = header(tar::EntryType::Regular, 0o644, bytes.len() as u64);
            archive.append_data(&mut header, name, &bytes[..])?;
        }
        let mut header = header(tar::EntryType::Regular, 0o644, parts.layer.size_bytes);
        archive.append_data(&mut header, blob_name(&parts.layer), parts.layer_reader()?)?;
        archive.into_inner()?.flush()
    })();
    written.map_err(PackError::writing)
}

/// Writes a layout into an empty directory. Returns the length of all its files.
///
/// # Errors
/// A file that cannot be written.
pub fn write_directory(parts: &Parts, directory: &Path) -> Result<u64, PackError> {
    files::create_dir_all(directory.join("blobs/sha256"))?;
    let mut size_bytes = parts.layer.size_bytes;
    for (name, bytes) in parts.files(false) {
        size_bytes += bytes.len() as u64;
        files::write(directory.join(name), bytes)?;
    }
    let path = directory.join(blob_name(&parts.layer));
    let mut file = File::options().write(true).create_new(true).open(&path).at("create", &path)?;
    let copied = parts.layer_reader().and_then(|mut reader| io::copy(&mut reader, &mut file));
    copied.at("write", &path)?;
    Ok(size_bytes)
}

fn header(kind: tar::EntryType, mode: u32, size_bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size_bytes);
    header
}

/// Counts what is written.
struct Counted<'a, W> {
    inner: W,
    task: &'a Task,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.task.add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
