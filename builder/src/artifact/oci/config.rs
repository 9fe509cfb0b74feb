//! The configuration of an image: how an engine starts it.

use serde_json::{Value, json};

use super::{CONFIG_TYPE, Descriptor, LAYER_TYPE, MANIFEST_TYPE, name_of};
use crate::{
    artifact::{spk::SignedTree, write::PackError},
    digest::Digest,
    image::GRAIN_ID,
    layout,
    papers::{self, enclosed_recipe},
    store::Store,
};

/// The search path of programs inside, as Debian's login has it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image tells about its app.
pub(super) struct Described {
    created: String,
    architecture: (&'static str, Option<&'static str>),
    port: Option<u16>,
    labels: Value,
}

impl Described {
    /// Reads it out of a package.
    ///
    /// # Errors
    /// A package that encloses no recipe.
    pub fn of(signed: &SignedTree, store: &Store) -> Result<Self, PackError> {
        let recipe = enclosed_recipe(&signed.tree, store).map_err(PackError::Enclosed)?;
        let init = layout::INIT.trim_start_matches('/');
        let epoch_s = signed.tree.get(init.as_bytes()).map_or(0, |entry| entry.mtime_s);
        let created = jiff::Timestamp::from_second(epoch_s).unwrap_or_default().to_string();
        let mut labels = json!({
            "org.opencontainers.image.created": created,
            "org.opencontainers.image.title": signed.manifest.title,
            "org.opencontainers.image.version": signed.manifest.marketing_version,
            "tinyroot.app-id": signed.signature.app_id.to_string(),
            "tinyroot.name": recipe.app.name,
            "tinyroot.release": signed.manifest.app_version.to_string(),
        });
        if let Some(lock) = papers::lock(&signed.tree, store) {
            labels["tinyroot.suite"] = lock.suite.into();
        }
        let architecture = architecture(&recipe.debian.architecture)
            .ok_or_else(|| PackError::Architecture(recipe.debian.architecture.clone()))?;
        Ok(Described { created, architecture, port: recipe.web.map(|web| web.port), labels })
    }

    /// Returns the configuration of an image with one layer.
    pub fn config(&self, diff_id: &Digest) -> Vec<u8> {
        let mut run = json!({
            "User": format!("{GRAIN_ID}:{GRAIN_ID}"),
            "Env": [PATH],
            "Entrypoint": [layout::INIT],
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Volumes": { "/var": {} },
            "Labels": self.labels,
        });
        if let Some(port) = self.port {
            run["ExposedPorts"] = json!({ format!("{port}/tcp"): {} });
        }
        let mut config = json!({
            "created": self.created,
            "architecture": self.architecture.0,
            "os": "linux",
            "config": run,
            "rootfs": { "type": "layers", "diff_ids": [name_of(diff_id)] },
            "history": [{ "created": self.created, "created_by": concat!("tinyroot ", env!("CARGO_PKG_VERSION")) }],
        });
        if let Some(variant) = self.architecture.1 {
            config["variant"] = variant.into();
        }
        config.to_string().into_bytes()
    }

    /// Returns the manifest of an image.
    pub fn manifest(&self, config: &[u8], layer: &Descriptor) -> Vec<u8> {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, config).json(),
            "layers": [layer.json()],
            "annotations": self.labels,
        });
        manifest.to_string().into_bytes()
    }

    /// Returns the platform of an image.
    pub fn platform(&self) -> Value {
        let mut platform = json!({ "architecture": self.architecture.0, "os": "linux" });
        if let Some(variant) = self.architecture.1 {
            platform["variant"] = variant.into();
        }
        platform
    }

    /// Returns the name and tag that engines show.
    pub fn reference(&self) -> String {
        let text = |key: &str| self.labels[key].as_str().unwrap_or_default();
        reference(text("tinyroot.name"), text("org.opencontainers.image.version"))
    }
}

/// Returns the name and tag that engines show for an app: `localhost/NAME:VERSION`, in the letters that they
/// allow.
pub fn reference(name: &str, version: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = name.to_ascii_lowercase().replace('+', "-");
    let tag: String = version.chars().map(|c| if allowed(c) { c } else { '-' }).take(128).collect();
    let tag = tag.trim_start_matches(['.', '-']);
    format!("localhost/{name}:{}", if tag.is_empty() { "latest" } else { tag })
}

/// Returns the descriptor of bytes.
pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor { media_type: media_type.into(), digest: Digest::of(bytes), size_bytes: bytes.len() as u64 }
}

/// Returns the descriptor of a layer.
pub(super) fn layer(digest: Digest, size_bytes: u64) -> Descriptor {
    Descriptor { media_type: LAYER_TYPE.into(), digest, size_bytes }
}

/// Returns the name and variant that Go, and so OCI, has for an architecture of Debian.
fn architecture(debian: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match debian {
        "amd64" => ("amd64", None),
        "arm64" => ("arm64", Some("v8")),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v5")),
        "i386" => ("386", None),
        "loong64" => ("loong64", None),
        "mips64el" => ("mips64le", None),
        "ppc64el" => ("ppc64le", None),
        "riscv64" => ("riscv64", None),
        "s390x" => ("s390x", None),
        _ => return None,
    })
}
