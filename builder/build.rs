//! Lays down the first process of a grain (`init/`), which the library embeds.
//!
//! It goes into every artifact, whose bytes must not depend on the version of rustc. So its bytes are kept in
//! `init/built`, by the digest of the sources that they were compiled from, and are taken from there. A test compiles the sources
//! again. Where the sources were changed, or nothing is kept for the architecture, they are compiled here.

#[path = "init/compile.rs"]
mod compile;
/// The first process's own: a build needs no other crate for it.
#[path = "init/src/sha256.rs"]
mod sha256;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let init = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("init");
    let sources = init.join("src");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("tinyroot-init");
    for path in [Path::new("build.rs"), &sources, &init.join("built"), &init.join("compile.rs")] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let architecture = env::var("CARGO_CFG_TARGET_ARCH")?;
    let digest = digest(&compile::hashed(&sources)?)?;
    match kept(&init.join("built"), &architecture, &digest)? {
        Some(bytes) => fs::write(&out, bytes)?,
        None => {
            let rustc = env::var_os("RUSTC").ok_or("cargo sets RUSTC")?;
            println!(
                "cargo::warning=init/built has no bytes of init/src for {architecture}; they are compiled by rustc {}, and packages may \
                 differ from those of other machines: `cargo run --example pin_init` keeps these bytes",
                compile::release(&rustc)?
            );
            compile::compile(&rustc, &sources, &out, &architecture)?;
        }
    }
    let size_bytes = fs::metadata(&out)?.len();
    if size_bytes > 64 << 10 {
        return Err(format!("the first process has {size_bytes} bytes, more than 64 KiB").into());
    }
    Ok(())
}

/// Returns the bytes kept for an architecture, if they are of these sources: a line of `digests` is the architecture, the digest of
/// the sources, that of the bytes and the version of rustc.
fn kept(built: &Path, architecture: &str, sources: &str) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    let text = fs::read_to_string(built.join("digests"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{architecture} {sources} ")));
    let Some(known) = line.and_then(|line| line.split(' ').next()) else { return Ok(None) };
    let file = built.join(architecture);
    let bytes = fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    if digest(&bytes)? != known {
        return Err(format!(
            "{} has another digest than init/built/digests tells: check it out again",
            file.display()
        )
        .into());
    }
    Ok(Some(bytes))
}

/// Returns a SHA-256 in hexadecimal.
fn digest(bytes: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut sum = sha256::Sha256::new();
    sum.add(bytes);
    Ok(String::from_utf8(sum.finish().to_vec())?)
}
