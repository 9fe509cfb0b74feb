//! Compiles the first process of a grain and keeps its bytes in `builder/init/built`, after a change of its
//! sources.
//!
//! `cargo run --example pin_init`, with the version of rustc that CI has: a test there compiles it once more.

#[path = "../init/compile.rs"]
mod compile;

use std::{error::Error, ffi::OsStr, fs, path::Path};

use tinyroot::digest::Digest;

fn main() -> Result<(), Box<dyn Error>> {
    let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("init");
    let (sources, built) = (init.join("src"), init.join("built"));
    let architecture = std::env::consts::ARCH;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let release = compile::release(OsStr::new(&rustc))?;
    let out = built.join(architecture);
    compile::compile(&rustc, &sources, &out, architecture)?;
    let line = format!(
        "{architecture} {} {} {release}\n",
        Digest::of(&compile::hashed(&sources)?),
        Digest::of(&fs::read(&out)?)
    );
    let digests = built.join("digests");
    let old = fs::read_to_string(&digests)?;
    let others = old.split_inclusive('\n').filter(|other| !other.starts_with(&format!("{architecture} ")));
    fs::write(&digests, others.chain([line.as_str()]).collect::<String>())?;
    Ok(())
}
