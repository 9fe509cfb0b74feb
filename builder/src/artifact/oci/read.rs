//! The tree of an image: its layers, one over the other.

use std::io::{self, Read};

use serde_json::Value;

use super::{DOCKER_FILE, Descriptor, INDEX_FILE, INDEX_TYPE, LAYOUT_FILE, Layout};
use crate::{
    artifact::{
        Format,
        fault::{Budget, ImageFault},
    },
    digest::{Digest, Hashed},
    formats::{
        budget::TooMuch,
        compression::decompressed,
        tar_in::{self, Dialect},
    },
    shown,
    store::BundleWriter,
    tree::{Tree, TreePath},
};

/// What hides an entry of a lower layer, and all of a directory's (OCI image specification, layer).
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// How deep indexes may name indexes.
pub(super) const MAX_INDEXES: usize = 4;
/// Most layers of an image; engines allow 128.
pub(super) const MAX_LAYERS: usize = 512;

/// An image of a layout.
#[derive(Debug)]
pub struct ImageParts {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The length of all files that it is made of: layers, configuration, manifest, indexes, and what names these.
    pub size_bytes: u64,
    /// The digest of each layer, uncompressed, as its configuration says.
    diff_ids: Vec<Digest>,
    layers: Vec<Layer>,
}

/// A layer, by its descriptor, or by its name in what `docker save` writes.
#[derive(Debug)]
enum Layer {
    Blob(Descriptor),
    Named(String),
}

/// Finds the image of a layout.
///
/// # Errors
/// A layout with several images, and one that is damaged.
pub fn image_of(layout: &Layout) -> Result<ImageParts, ImageFault> {
    let mut image = match layout.has(INDEX_FILE) {
        true => image_in(layout, &layout.json(INDEX_FILE)?, 0)?,
        false => docker_image(layout)?,
    };
    for name in [LAYOUT_FILE, INDEX_FILE, DOCKER_FILE].into_iter().filter(|name| layout.has(name)) {
        image.size_bytes = image.size_bytes.saturating_add(layout.file(name)?.1);
    }
    Ok(image)
}

fn image_in(layout: &Layout, index: &Value, depth: usize) -> Result<ImageParts, ImageFault> {
    let rule = |rule| ImageFault::rule(INDEX_FILE, rule);
    if depth > MAX_INDEXES {
        return Err(rule("names indexes in indexes in indexes"));
    }
    let image = image_there(layout, index)?;
    let blob = Descriptor::read(image).ok_or(rule("has a descriptor that is not one of SHA-256"))?;
    let manifest = layout.json_blob(&blob)?;
    if blob.media_type == INDEX_TYPE || manifest["manifests"].is_array() {
        let mut image = image_in(layout, &manifest, depth + 1)?;
        image.size_bytes = image.size_bytes.saturating_add(blob.size_bytes);
        return Ok(image);
    }
    let part = format!("the manifest {}", blob.digest);
    let damaged = || ImageFault::rule(&part[..], "has a descriptor that is not one of SHA-256");
    let config = Descriptor::read(&manifest["config"]).ok_or_else(damaged)?;
    let layers = manifest["layers"].as_array().filter(|layers| layers.len() <= MAX_LAYERS);
    let layers = layers.ok_or(ImageFault::rule(&part[..], "has no list of layers, or a very long one"))?;
    let layers: Option<Vec<Descriptor>> = layers.iter().map(Descriptor::read).collect();
    let layers = layers.ok_or_else(damaged)?;
    let diff_ids = diff_ids(&layout.json_blob(&config)?)?;
    let sizes = layers.iter().map(|layer| layer.size_bytes);
    let size_bytes = sizes.fold(blob.size_bytes.saturating_add(config.size_bytes), u64::saturating_add);
    let layers = layers.into_iter().map(Layer::Blob).collect();
    Ok(ImageParts { digest: blob.digest, size_bytes, diff_ids, layers })
}

/// Returns the descriptor of the one image that an index names, or of the one of them that is there: engines save
/// the index of all platforms with the image of one.
fn image_there<'v>(layout: &Layout, index: &'v Value) -> Result<&'v Value, ImageFault> {
    only_image(index).or_else(|fault| {
        let manifests = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_there = |value: &&Value| {
            Descriptor::read(value).is_some_and(|blob| layout.has(&super::layout::blob_name(&blob)))
        };
        let mut there = manifests.iter().filter(is_image).filter(is_there);
        match (there.next(), there.next()) {
            (Some(image), None) => Ok(image),
            _ => Err(fault),
        }
    })
}

/// Returns true for what is no description of an image beside it: a bill of materials, a signature.
fn is_image(value: &&Value) -> bool {
    value["artifactType"].is_null() && value["platform"]["os"].as_str().is_none_or(|os| os != "unknown")
}

/// Returns the descriptor of the one image that an index names.
pub(super) fn only_image(index: &Value) -> Result<&Value, ImageFault> {
    let rule = |rule| ImageFault::rule(INDEX_FILE, rule);
    let manifests = index["manifests"].as_array().ok_or(rule("has no list of manifests"))?;
    let mut images = manifests.iter().filter(is_image);
    match (images.next(), images.next()) {
        (Some(image), None) => Ok(image),
        _ if manifests.is_empty() => Err(rule("names no image")),
        _ => Err(rule("names several images, or images of several platforms")),
    }
}

/// Finds the image of what `docker save` writes.
fn docker_image(layout: &Layout) -> Result<ImageParts, ImageFault> {
    let rule = |rule| ImageFault::rule(DOCKER_FILE, rule);
    let list = layout.json(DOCKER_FILE)?;
    let image = match list.as_array().map(Vec::as_slice) {
        Some([image]) => image,
        _ => return Err(rule("names no image, or several")),
    };
    let config = image["Config"].as_str().ok_or(rule("names no configuration"))?;
    let mut text = Vec::new();
    let (reader, mut size_bytes) = layout.file(config)?;
    reader.take(4 << 20).read_to_end(&mut text).map_err(|e| ImageFault::read(shown::name(config), e))?;
    let parsed = serde_json::from_slice(&text).map_err(|error| {
        ImageFault::read(shown::name(config), io::Error::new(io::ErrorKind::InvalidData, error))
    })?;
    let names = image["Layers"].as_array().filter(|layers| layers.len() <= MAX_LAYERS);
    let names = names.ok_or(rule("has no list of layers, or a very long one"))?;
    let mut layers = Vec::new();
    for name in names {
        let name = name.as_str().ok_or(rule("names a layer that is no text"))?;
        size_bytes = size_bytes.saturating_add(layout.file(name)?.1);
        layers.push(Layer::Named(name.to_owned()));
    }
    Ok(ImageParts { digest: Digest::of(&text), size_bytes, diff_ids: diff_ids(&parsed)?, layers })
}

fn diff_ids(config: &Value) -> Result<Vec<Digest>, ImageFault> {
    let digest = |value: &Value| value.as_str()?.strip_prefix("sha256:")?.parse().ok();
    let ids = config["rootfs"]["diff_ids"].as_array();
    let ids = ids.and_then(|ids| ids.iter().map(digest).collect());
    ids.ok_or(ImageFault::rule("the configuration", "does not list the digests of its layers"))
}

/// Reads the tree of a layout's image; contents go to the bundle.
///
/// # Errors
/// [`ImageFault`], also where a blob or an unpacked layer has another digest than it should.
pub fn read(layout: &Layout, bundle: &mut BundleWriter<'_>) -> Result<Tree, ImageFault> {
    let image = image_of(layout)?;
    let limit = Format::Oci.limit_bytes();
    if image.size_bytes > limit {
        return Err(TooMuch { what: "bytes", limit }.into());
    }
    if image.diff_ids.len() != image.layers.len() {
        return Err(ImageFault::rule(
            "the configuration",
            "lists another number of layers than the manifest",
        ));
    }
    let mut tree = Tree::new();
    // One for all layers, of which each counts as often as it is named.
    let mut budget = Budget::new();
    for (index, (layer, diff_id)) in image.layers.iter().zip(&image.diff_ids).enumerate() {
        let part = format!("layer {}", index + 1);
        let own = self::layer(layout, layer, diff_id, &part, &mut budget, bundle)?;
        lay(&mut tree, own)?;
    }
    // The first name of a file may be hidden by an upper layer.
    tree.regroup_hard_links();
    Ok(tree)
}

/// A layer's name in faults, its length, and its place.
pub type LayerPlace = (String, u64, String);

/// Returns the layers of a layout's image, the lowest first.
///
/// # Errors
/// As [`image_of`].
pub fn layers(layout: &Layout) -> Result<Vec<LayerPlace>, ImageFault> {
    let image = image_of(layout)?;
    let place = |(index, layer): (usize, &Layer)| {
        let name = match layer {
            Layer::Blob(blob) => super::layout::blob_name(blob),
            Layer::Named(name) => name.clone(),
        };
        let size_bytes = layout.file(&name)?.1;
        Ok((format!("layer {}", index + 1), size_bytes, name))
    };
    image.layers.iter().enumerate().map(place).collect()
}

/// Reads one layer, and checks it by both its digests.
fn layer(
    layout: &Layout,
    layer: &Layer,
    diff_id: &Digest,
    part: &str,
    budget: &mut Budget,
    bundle: &mut BundleWriter<'_>,
) -> Result<Tree, ImageFault> {
    let failed = |source| ImageFault::read(part, source);
    let (reader, expected) = match layer {
        Layer::Blob(blob) => (layout.blob(blob)?.0, Some(blob.digest)),
        Layer::Named(name) => (layout.file(name)?.0, None),
    };
    let mut packed = Hashed::new(reader);
    let tree = {
        let plain = decompressed(&mut packed).map_err(failed)?;
        let mut plain = Hashed::new(plain);
        let read = tar_in::read_tree_with(&mut plain, Dialect::Any, budget, |_, _, contents| {
            Ok(bundle.add(contents)?.0)
        });
        let (tree, _) = read.map_err(|source| ImageFault::Tar { part: part.to_owned(), source })?;
        // Behind the last member stand zeros, which its digest covers.
        let most = (&mut plain).take(budget.bytes_left().saturating_add(1));
        budget.bytes(io::copy(&mut { most }, &mut io::sink()).map_err(failed)?)?;
        if plain.finish().0 != *diff_id {
            return Err(ImageFault::rule(part, "has not the contents that the configuration names"));
        }
        tree
    };
    io::copy(&mut packed, &mut io::sink()).map_err(failed)?;
    match expected {
        Some(expected) if packed.finish().0 != expected => {
            Err(ImageFault::rule(part, "has not the contents that its digest names"))
        }
        _ => Ok(tree),
    }
}

/// Lays a layer over a tree: first what it hides, then what it brings. Groups of hard links are to be put in order
/// when all are laid.
pub fn lay(tree: &mut Tree, layer: Tree) -> Result<(), ImageFault> {
    for (path, _) in layer.iter() {
        let name = path.file_name();
        let parent = path.parent().unwrap_or_default();
        if name == OPAQUE {
            let below: Vec<TreePath> = tree
                .subtree(parent.as_bytes())
                .map(|(path, _)| path.clone())
                .filter(|p| *p != parent)
                .collect();
            below.iter().for_each(|path| drop(tree.remove(path.as_bytes())));
        } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            // Joined, these would be the directory itself.
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(ImageFault::entry(path, "is a whiteout that names no entry"));
            }
            tree.remove_subtree(parent.join(hidden)?.as_bytes());
        }
    }
    let mut before = TreePath::root();
    for (path, entry) in layer.into_iter().filter(|(path, _)| !path.file_name().starts_with(WHITEOUT)) {
        let both_directories = entry.kind.is_directory()
            && tree.get(path.as_bytes()).is_some_and(|below| below.kind.is_directory());
        if !both_directories {
            tree.remove_subtree(path.as_bytes());
        }
        // Engines would follow a link there, out of the root if it leads out. Directories that the entry before lies
        // in as well were looked at for that one.
        for above in path.ancestors() {
            if before != above && before.is_at_or_below(above.as_bytes()) {
                break;
            }
            if tree.get(above.as_bytes()).is_some_and(|above| !above.kind.is_directory()) {
                return Err(ImageFault::entry(
                    &path,
                    "lies below an entry of a lower layer that is no directory",
                ));
            }
        }
        tree.insert(path.clone(), entry);
        before = path;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    #[test]
    fn a_whiteout_hides_an_entry_and_never_the_directory_that_it_is_in() {
        let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
        let of = |names: &[&str]| {
            let mut tree = Tree::new();
            for name in names {
                path(name).ancestors().for_each(|above| drop(tree.insert(above, Entry::directory(0))));
                tree.insert(path(name), Entry::symlink("x", 0));
            }
            tree
        };
        let lower = of(&["etc/a", "etc/b"]);
        for name in ["etc/.wh.", "etc/.wh..", "etc/.wh...", ".wh.", ".wh.."] {
            let error = lay(&mut lower.clone(), of(&[name])).expect_err("is refused").to_string();
            assert_eq!(error, format!("/{name} is a whiteout that names no entry"));
        }
        let mut tree = lower.clone();
        lay(&mut tree, of(&["etc/.wh.a"])).expect("is laid");
        assert!(tree.get(b"etc/a").is_none() && tree.get(b"etc/b").is_some());
    }
}
