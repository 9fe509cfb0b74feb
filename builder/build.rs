//! Compiles the first process of a grain (`init/`), which the library embeds.
//!
//! rustc is called by itself, not through cargo, and links with the toolchain's own linker: no
//! compiler, linker, start file or library of the host takes part, and no path of it gets in. So
//! the bytes, which go into every artifact, are the same from every machine with this toolchain.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let sources = here.join("init/src");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("tinyroot-init");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", sources.display());
    let target = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "aarch64" => "aarch64-unknown-linux-gnu",
        _ => "x86_64-unknown-linux-gnu",
    };
    compile(&sources, &out, target)?;
    let size_bytes = fs::metadata(&out)?.len();
    let release = release()?;
    println!("cargo::rustc-env=TINYROOT_INIT_RUSTC={release}");
    println!("cargo::rerun-if-changed={}", here.join("init/digests").display());
    let known = fs::read_to_string(here.join("init/digests"))?;
    if !known.lines().any(|line| line.starts_with(&format!("{release} "))) {
        println!(
            "cargo::warning=rustc {release} is not in init/digests: packages built with this tinyroot may be others, \
             by the bytes of their first process, than those of other machines"
        );
    }
    if size_bytes > 64 << 10 {
        return Err(format!("the first process has {size_bytes} bytes, more than 64 KiB").into());
    }
    Ok(())
}

/// Returns the version of the compiler ("1.95.0").
fn release() -> Result<String, Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").ok_or("cargo sets RUSTC")?;
    let text = String::from_utf8(Command::new(rustc).arg("--version").output()?.stdout)?;
    Ok(text.split(' ').nth(1).ok_or("rustc tells no version")?.to_owned())
}

fn compile(sources: &Path, out: &Path, target: &str) -> Result<(), Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").ok_or("cargo sets RUSTC")?;
    let mut command = Command::new(rustc);
    command
        .args(["--crate-name", "tinyroot_init", "--crate-type", "bin", "--edition", "2024"])
        .args(["--target", target])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "codegen-units=1", "-C", "lto=fat"])
        .args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static"])
        .args(["-C", "linker=rust-lld", "-C", "linker-flavor=ld.lld", "-C", "strip=symbols"])
        .args(["-C", "link-arg=--build-id=none", "-C", "link-arg=--no-eh-frame-hdr"])
        .args(["-C", "metadata=tinyroot-init"])
        .arg(format!("--remap-path-prefix={}=init", sources.display()))
        .arg("-o")
        .arg(out)
        .arg(sources.join("main.rs"))
        // Flags meant for the builder would change the artifact.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}
