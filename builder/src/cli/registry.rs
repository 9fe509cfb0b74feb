//! Packages at registries, as arguments: `docker://HOST/NAME:TAG`.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Context, Failure, size_text};
use crate::{
    artifact::{self, Artifact, Format, Pushed, Signatures},
    atomic,
    download::registry::{Purpose, Registry},
    error::At as _,
    files,
    formats::{
        auth_file::{self, Login},
        image_name::{ImageName, ImageNameError},
        key_file::Key,
    },
};

/// The longest file with logins that is read.
const MAX_AUTH_FILE_BYTES: usize = 1 << 20;

/// Reads the name of an image on the command line.
pub(super) fn image_name(text: &str) -> Result<ImageName, ImageNameError> {
    ImageName::read(text)
}

/// Fetches an image as a layout into a directory of its own, that is removed with what is returned.
pub(super) fn pull(name: &str, context: &Context) -> Result<(atomic::Directory, PathBuf), Failure> {
    let image = ImageName::read(name)?;
    let registry = registry(&image, Purpose::Pull, context)?;
    let (made, layout) = temporary()?;
    files::create_dir(&layout)?;
    artifact::pull(&registry, &image, &layout, &*context.reading_store()?, &context.progress)?;
    Ok((made, layout))
}

/// Checks the signatures in sigstore's form that refer to an image at a registry.
pub(super) fn signatures(name: &str, artifact: &Artifact, context: &Context) -> Result<Signatures, Failure> {
    let image = ImageName::read(name)?;
    let registry = registry(&image, Purpose::Pull, context)?;
    Ok(artifact::signatures(&registry, &image, &artifact.digest, &artifact.app_id())?)
}

/// Sends a package as an image, with what refers to it; the app's key signs that.
pub(super) fn push(
    artifact: &Artifact,
    image: &ImageName,
    key: Option<&Key>,
    context: &Context,
) -> Result<Pushed, Failure> {
    let registry = registry(image, Purpose::Push, context)?;
    let (_made, layout) = temporary()?;
    let store = context.reading_store()?;
    let made = artifact::convert(artifact, Format::OciDirectory, &layout, &store, &context.progress)?;
    let referrers = artifact::referrers(artifact, &made.digest, key, &store)?;
    Ok(artifact::push(&registry, image, &layout, &referrers, &context.progress)?)
}

/// Returns what was pushed as a document.
pub(super) fn pushed_json(pushed: &Pushed) -> Value {
    json!({
        "image": pushed.image.to_string(),
        "sha256": pushed.digest,
        "size_bytes": pushed.size_bytes,
        "sent_bytes": pushed.sent_bytes,
        "referrers": pushed.referrers,
    })
}

/// Returns what was pushed as a line.
pub(super) fn pushed_text(pushed: &Pushed) -> String {
    let (size, sent) = (size_text(pushed.size_bytes), size_text(pushed.sent_bytes));
    let referrers = pushed.referrers.iter().map(|kind| format!("  with {kind}\n")).collect::<String>();
    format!("pushed {}: {size}, {sent} of it sent\n{referrers}", pushed.image)
}

/// Makes a directory of this command's own; also returns where a layout may lie in it.
pub(super) fn temporary() -> Result<(atomic::Directory, PathBuf), Failure> {
    let parent = env::temp_dir();
    let made = atomic::Directory::make(&parent, ".tinyroot-image-").at("create a directory in", &parent)?;
    let layout = made.path().join("layout");
    Ok((made, layout))
}

fn registry(image: &ImageName, purpose: Purpose, context: &Context) -> Result<Registry, Failure> {
    Ok(Registry::new(context.registry_downloads(), image, purpose, login(image)?))
}

/// Finds the login for a registry: the first that podman's file or docker's has.
pub(super) fn login(image: &ImageName) -> Result<Login, Failure> {
    for path in auth_files() {
        let bytes = match files::read(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            read => read?,
        };
        let named = |why: String| Failure::new(format!("cannot use the logins in {}: {why}", path.display()));
        if bytes.len() > MAX_AUTH_FILE_BYTES {
            return Err(named("it is longer than 1 MiB".into()));
        }
        match auth_file::login(&bytes, image).map_err(|error| named(crate::error::chain(&error)))? {
            Login::None => {}
            login => return Ok(login),
        }
    }
    Ok(Login::None)
}

/// Returns the files in which logins may be, best first (containers-auth.json(5)).
fn auth_files() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(only) = variable("REGISTRY_AUTH_FILE") {
        return vec![only];
    }
    let home = variable("HOME");
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let user = rustix::process::getuid().as_raw();
    let runtime = variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers"));
    let runtime = runtime.unwrap_or_else(|| Path::new("/run/containers").join(user.to_string()));
    let config = variable("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
    let docker = variable("DOCKER_CONFIG").or_else(|| below_home(".docker"));
    let files = [
        Some(runtime.join("auth.json")),
        config.map(|config| config.join("containers/auth.json")),
        docker.map(|docker| docker.join("config.json")),
    ];
    files.into_iter().flatten().collect()
}
