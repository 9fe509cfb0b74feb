//! What a root by chroot holds, as nothing can be bound there.

use std::{fs, path::Path, process::Command};

/// Copies programs of the host and their libraries into a root.
pub fn root_for_chroot(root: &Path, programs: &[&str]) {
    for name in ["bin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(name)).expect("makes");
    }
    for program in programs {
        let path = format!("/usr/bin/{program}");
        let listed = Command::new("ldd").arg(&path).output().expect("ldd of libc-bin runs");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for file in listed.split_ascii_whitespace().filter(|word| word.starts_with('/')).chain([&*path]) {
            copy(root, file);
        }
    }
}

/// Copies a file of the host to the same place in a root.
pub fn copy(root: &Path, file: &str) {
    let to = root.join(file.trim_start_matches('/'));
    fs::create_dir_all(to.parent().expect("lies in a directory")).expect("makes");
    fs::copy(file, to).expect("copies");
}
