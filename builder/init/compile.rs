//! Compiles the first process, and tells of what: for `build.rs`, and for whoever pins its bytes.
//!
//! rustc is called by itself, not through cargo, and links with the toolchain's own linker: no
//! compiler, linker, start file or library of the host takes part, and no path of it gets in. So
//! the bytes are the same from every machine with this toolchain. Another version of rustc makes
//! others, so the bytes that go into artifacts are kept beside the sources, in `built/`.

use std::{
    error::Error,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What a compiler is told beside target and paths; part of the digest of the sources.
const FLAGS: &str = "--crate-name tinyroot_init --crate-type bin --edition 2024 \
    -C panic=abort -C opt-level=s -C codegen-units=1 -C lto=fat \
    -C relocation-model=static -C target-feature=+crt-static \
    -C linker=rust-lld -C linker-flavor=ld.lld -C strip=symbols \
    -C link-arg=--build-id=none -C link-arg=--no-eh-frame-hdr -C metadata=tinyroot-init";

/// Returns the files that the first process is compiled from, sorted, of the folder `init/src`.
///
/// # Errors
/// The folder cannot be read.
pub fn sources(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files =
        fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.retain(|file| file.extension() == Some(OsStr::new("rs")));
    files.sort();
    Ok(files)
}

/// Returns what is to be hashed for the digest of the sources: the flags, then each file's name, length and text.
///
/// # Errors
/// A file cannot be read.
pub fn hashed(folder: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut text = FLAGS.as_bytes().to_vec();
    for file in sources(folder)? {
        let name = file.file_name().ok_or("a file has a name")?;
        let bytes = fs::read(&file)?;
        text.extend_from_slice(format!("\n{} {}\n", name.to_string_lossy(), bytes.len()).as_bytes());
        text.extend_from_slice(&bytes);
    }
    Ok(text)
}

/// Returns the version of a compiler ("1.95.0").
///
/// # Errors
/// It cannot be started, or tells no version.
pub fn release(rustc: &OsStr) -> Result<String, Box<dyn Error>> {
    let text = String::from_utf8(Command::new(rustc).arg("--version").output()?.stdout)?;
    Ok(text.split(' ').nth(1).ok_or("rustc tells no version")?.to_owned())
}

/// Compiles the sources of `folder` into the file `out`, for `x86_64` or `aarch64`.
///
/// # Errors
/// The compiler cannot be started, or fails.
pub fn compile(rustc: &OsStr, folder: &Path, out: &Path, architecture: &str) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(rustc);
    command
        .args(FLAGS.split(' '))
        .args(["--target", &format!("{architecture}-unknown-linux-gnu")])
        .arg(format!("--remap-path-prefix={}=init", folder.display()))
        .arg("-o")
        .arg(out)
        .arg(folder.join("main.rs"))
        // Flags meant for the builder would change the artifact.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}
