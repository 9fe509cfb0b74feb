//! An image at a registry: fetched as a layout, sent from one.

use std::{
    borrow::Cow,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Descriptor, INDEX_FILE, INDEX_TYPE, LAYOUT_FILE, Layout, MANIFEST_TYPE,
    layout::{MAX_JSON_BYTES, blob_name},
    read::{MAX_INDEXES, MAX_LAYERS, only_image},
    referrers::{EMPTY, Referrer},
};
use crate::{
    artifact::{Format, fault::ImageFault},
    digest::Digest,
    download::{
        Length, Wanted,
        registry::{MAX_MANIFEST_BYTES, Manifest, Outgoing, Registry, RegistryError},
    },
    error::{At as _, Hint, PathError},
    files,
    formats::{
        app_id::AppId,
        budget::TooMuch,
        image_name::ImageName,
        sigstore::{BUNDLE_TYPE, Bundle, BundleError, SIGN_PREDICATE},
    },
    progress::{Progress, Unit},
    store::Store,
};

/// An image that cannot be fetched or sent.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A fault at the registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A file of the layout.
    #[error(transparent)]
    Io(#[from] PathError),
    /// What is there cannot be an image.
    #[error("{image} is refused")]
    Refused {
        /// Which.
        image: Box<ImageName>,
        /// Why.
        source: ImageFault,
    },
    /// A signature of the image's own key that does not hold.
    #[error("{image} is refused: the signature sha256:{referrer} that refers to it is false")]
    Signature {
        /// Which image.
        image: Box<ImageName>,
        /// The digest of the manifest with the signature.
        referrer: Digest,
        /// Why.
        source: BundleError,
    },
    /// A name says another digest than that of the image.
    #[error("cannot push the image under {image}: its digest is sha256:{found}")]
    OtherDigest {
        /// The name.
        image: Box<ImageName>,
        /// The digest that the image has.
        found: Digest,
    },
}

impl Hint for RemoteError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            RemoteError::Registry(error) => error.hint(),
            RemoteError::Io(error) => error.hint(),
            RemoteError::Refused { .. } | RemoteError::Signature { .. } => None,
            RemoteError::OtherDigest { .. } => Some("name a tag in its place".into()),
        }
    }
}

/// An image that is at a registry now.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Its name, with its digest.
    pub image: ImageName,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The length of all that it is made of.
    pub size_bytes: u64,
    /// How much of that was sent; the registry had the rest.
    pub sent_bytes: u64,
    /// The kinds of the documents that refer to it, in order.
    pub referrers: Vec<&'static str>,
}

/// Fetches an image into an empty directory, as a layout. What the store has of it is not fetched again: of an
/// image that was fetched before, only the manifest that a tag names.
///
/// # Errors
/// [`RemoteError`].
pub fn pull(
    registry: &Registry,
    image: &ImageName,
    directory: &Path,
    store: &Store,
    progress: &Progress,
) -> Result<(), RemoteError> {
    let refused = |source| RemoteError::Refused { image: Box::new(image.clone()), source };
    files::create_dir_all(directory.join("blobs/sha256"))?;
    let mut wanted = image.wanted();
    let mut top = None;
    let mut manifest = Value::Null;
    for depth in 0.. {
        if depth > MAX_INDEXES {
            return Err(refused(ImageFault::rule("the index", "names indexes in indexes in indexes")));
        }
        let came = manifest_of(registry, &wanted, store)?;
        manifest = parse("the manifest", &came.bytes).map_err(refused)?;
        let media_type = manifest["mediaType"].as_str().unwrap_or(&came.media_type).to_owned();
        let digest = Digest::of(&came.bytes);
        let blob = Descriptor { media_type, digest, size_bytes: came.bytes.len() as u64 };
        files::write(directory.join(blob_name(&blob)), &came.bytes)?;
        top.get_or_insert(blob);
        if !manifest["manifests"].is_array() {
            break;
        }
        let next = only_image(&manifest).and_then(|image| {
            Descriptor::read(image)
                .ok_or(ImageFault::rule("the index", "has a descriptor that is not one of SHA-256"))
        });
        wanted = format!("sha256:{}", next.map_err(refused)?.digest);
    }
    let blobs = blobs_of(&manifest).map_err(refused)?;
    let total_bytes = blobs.iter().map(|blob| blob.size_bytes).fold(0, u64::saturating_add);
    if total_bytes > Format::Oci.limit_bytes() {
        return Err(refused(TooMuch { what: "bytes", limit: Format::Oci.limit_bytes() }.into()));
    }
    let task = progress.task(&format!("fetching {image}"), total_bytes, Unit::Bytes);
    let mut items: Vec<(Wanted, PathBuf)> = Vec::new();
    let mut missing: Vec<&Descriptor> = Vec::new();
    for blob in &blobs {
        let path = directory.join(blob_name(blob));
        // A layer may be there twice.
        if path.exists() || items.iter().any(|(_, other)| *other == path) {
            continue;
        }
        if store.copy_image_blob(&blob.digest, blob.size_bytes, &path) {
            task.add(blob.size_bytes);
        } else {
            items.push((wanted_blob(registry, blob), path));
            missing.push(blob);
        }
    }
    registry.blobs(&items, directory, &|count| task.add(count))?;
    for (blob, (_, path)) in missing.into_iter().zip(&items) {
        // A cache without room for it does without.
        let _ = store.keep_image_blob(&blob.digest, files::open(path)?);
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": top.iter().map(Descriptor::json).collect::<Vec<_>>(),
    });
    files::write(directory.join(INDEX_FILE), index.to_string())?;
    files::write(directory.join(LAYOUT_FILE), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    Ok(())
}

/// Returns a manifest: one that is named by its digest from the store, if it is there.
fn manifest_of(registry: &Registry, wanted: &str, store: &Store) -> Result<Manifest, RegistryError> {
    let digest = wanted.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    if let Some(bytes) = digest.and_then(|digest| store.image_blob(&digest, MAX_MANIFEST_BYTES)) {
        return Ok(Manifest { media_type: String::new(), bytes });
    }
    let came = registry.manifest(wanted)?;
    // The store does not hold what the registry says of its kind.
    let names_its_kind = parse("the manifest", &came.bytes).is_ok_and(|json| json["mediaType"].is_string());
    if names_its_kind {
        let _ = store.keep_image_blob(&Digest::of(&came.bytes), &came.bytes[..]);
    }
    Ok(came)
}

/// Returns a blob as it is to be fetched.
fn wanted_blob(registry: &Registry, blob: &Descriptor) -> Wanted {
    Wanted {
        what: format!("the blob sha256:{}", blob.digest),
        urls: vec![registry.blob_url(&blob.digest)],
        past: Vec::new(),
        length: Length::Exactly(blob.size_bytes),
        checksum: blob.digest.into(),
        mode: Wanted::OWN,
    }
}

/// Returns the configuration and the layers of a manifest, in this order.
fn blobs_of(manifest: &Value) -> Result<Vec<Descriptor>, ImageFault> {
    let rule = |rule| ImageFault::rule("the manifest", rule);
    let layers = manifest["layers"].as_array().filter(|layers| layers.len() <= MAX_LAYERS);
    let layers = layers.ok_or(rule("has no list of layers, or a very long one"))?;
    let blobs: Option<Vec<Descriptor>> =
        std::iter::once(&manifest["config"]).chain(layers).map(Descriptor::read).collect();
    let blobs = blobs.ok_or(rule("has a descriptor that is not one of SHA-256"))?;
    match blobs.first().is_some_and(|config| config.size_bytes > MAX_JSON_BYTES) {
        true => Err(ImageFault::rule("the configuration", "is longer than 4 MiB")),
        false => Ok(blobs),
    }
}

fn parse(part: &str, bytes: &[u8]) -> Result<Value, ImageFault> {
    serde_json::from_slice(bytes)
        .map_err(|error| ImageFault::read(part, std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

/// Sends the image of a layout in a directory, and what refers to it. The image gets its tag last, so that
/// nothing half-sent has one.
///
/// # Errors
/// [`RemoteError`].
pub fn push(
    registry: &Registry,
    image: &ImageName,
    directory: &Path,
    referrers: &[Referrer],
    progress: &Progress,
) -> Result<Pushed, RemoteError> {
    let refused = |source| RemoteError::Refused { image: Box::new(image.clone()), source };
    let file = files::open(directory)?;
    let layout = Layout::open(&file).map_err(refused)?;
    let index = layout.json(INDEX_FILE).map_err(refused)?;
    let top = only_image(&index).map_err(refused)?;
    let top = Descriptor::read(top).ok_or_else(|| refused(ImageFault::rule(INDEX_FILE, "names no image")))?;
    if image.digest.is_some_and(|digest| digest != top.digest) {
        return Err(RemoteError::OtherDigest { image: Box::new(image.clone()), found: top.digest });
    }
    let mut bytes = Vec::new();
    let (reader, _) = layout.blob(&top).map_err(refused)?;
    let path = directory.join(blob_name(&top));
    reader.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes).at("read", &path)?;
    let blobs = blobs_of(&parse("the manifest", &bytes).map_err(refused)?).map_err(refused)?;
    let total_bytes = blobs.iter().map(|blob| blob.size_bytes).fold(0, u64::saturating_add);
    let task = progress.task(&format!("pushing {image}"), total_bytes, Unit::Bytes);
    let mut sent_bytes = bytes.len() as u64;
    for (place, blob) in blobs.iter().enumerate() {
        let path = directory.join(blob_name(blob));
        let what = if place == 0 { "the configuration".to_owned() } else { format!("layer {place}") };
        let open = || -> std::io::Result<Box<dyn std::io::Read>> {
            Ok(Box::new(files::open(&path).map_err(|error| error.source)?))
        };
        let outgoing =
            Outgoing { what: &what, digest: blob.digest, size_bytes: blob.size_bytes, open: &open };
        if registry.upload(&outgoing, &|count| task.add(count))? {
            sent_bytes += blob.size_bytes;
        }
    }
    let by_digest = format!("sha256:{}", top.digest);
    let media_type = if top.media_type.is_empty() { MANIFEST_TYPE } else { &top.media_type };
    registry.put_manifest(&by_digest, media_type, &bytes)?;
    let subject =
        Descriptor { media_type: media_type.into(), digest: top.digest, size_bytes: bytes.len() as u64 };
    sent_bytes += push_referrers(registry, &subject, referrers)?;
    // Under a digest alone it is there already.
    if image.tag.is_some() || image.digest.is_none() {
        let tag = image.tag.as_deref().unwrap_or("latest");
        registry.put_manifest(tag, media_type, &bytes)?;
    }
    Ok(Pushed {
        image: ImageName { digest: Some(top.digest), ..image.clone() },
        digest: top.digest,
        size_bytes: total_bytes + bytes.len() as u64,
        sent_bytes,
        referrers: referrers.iter().map(|one| one.artifact_type).collect(),
    })
}

/// Sends what refers to an image; returns how many bytes were sent.
fn push_referrers(
    registry: &Registry,
    subject: &Descriptor,
    referrers: &[Referrer],
) -> Result<u64, RegistryError> {
    let (mut sent_bytes, mut unlisted) = (0, Vec::new());
    for referrer in referrers {
        for bytes in [EMPTY, &referrer.bytes] {
            let open = || -> std::io::Result<Box<dyn std::io::Read>> {
                Ok(Box::new(std::io::Cursor::new(bytes.to_vec())))
            };
            let outgoing = Outgoing {
                what: referrer.artifact_type,
                digest: Digest::of(bytes),
                size_bytes: bytes.len() as u64,
                open: &open,
            };
            if registry.upload(&outgoing, &|_| {})? {
                sent_bytes += bytes.len() as u64;
            }
        }
        let manifest = referrer.manifest(subject);
        sent_bytes += manifest.len() as u64;
        let name = format!("sha256:{}", Digest::of(&manifest));
        if !registry.put_manifest(&name, MANIFEST_TYPE, &manifest)? {
            unlisted.push(referrer.listed(&manifest));
        }
    }
    if !unlisted.is_empty() {
        registry.tag_referrers(&subject.digest, &unlisted)?;
    }
    Ok(sent_bytes)
}

/// The signatures in sigstore's form that refer to an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// Those of the key that is asked for; they hold.
    pub own: usize,
    /// Those of others, which are not checked.
    pub others: usize,
}

/// More signatures of an image are not looked at.
const MOST_SIGNATURES: usize = 100;

/// Checks all signatures of an image that say that they are of a key.
///
/// # Errors
/// [`RemoteError::Signature`] names one that is false.
pub fn signatures(
    registry: &Registry,
    image: &ImageName,
    digest: &Digest,
    key: &AppId,
) -> Result<Signatures, RemoteError> {
    let refused = |source| RemoteError::Refused { image: Box::new(image.clone()), source };
    let mut found = Signatures::default();
    let is_bundle = |one: &&Value| one["artifactType"].as_str() == Some(BUNDLE_TYPE);
    for listed in registry.referrers(digest)?.iter().filter(is_bundle).take(MOST_SIGNATURES) {
        let part = "a signature that refers to it";
        let manifest = Descriptor::read(listed)
            .ok_or_else(|| refused(ImageFault::rule(part, "has a descriptor that is not one of SHA-256")))?;
        let came = registry.manifest(&format!("sha256:{}", manifest.digest))?;
        let part = format!("the signature sha256:{}", manifest.digest);
        let document = parse(&part, &came.bytes).map_err(refused)?;
        let subject = Descriptor::read(&document["subject"]);
        if subject.is_none_or(|subject| subject.digest != *digest) {
            return Err(refused(ImageFault::rule(part, "is listed, but refers to another image")));
        }
        let layer = Descriptor::read(&document["layers"][0]);
        let layer = layer.filter(|layer| layer.size_bytes <= MAX_MANIFEST_BYTES);
        let layer =
            layer.ok_or_else(|| refused(ImageFault::rule(&part[..], "has no bundle, or a long one")))?;
        let bytes = registry.small_blob(&part, &layer.digest)?;
        let false_one = |source| {
            let image = Box::new(image.clone());
            RemoteError::Signature { image, referrer: manifest.digest, source }
        };
        let bundle = Bundle::read(&bytes).map_err(false_one)?;
        if !bundle.names(key) {
            found.others += 1;
            continue;
        }
        let predicate = bundle.check(key, digest).map_err(false_one)?;
        found.own += usize::from(predicate == SIGN_PREDICATE);
    }
    Ok(found)
}
