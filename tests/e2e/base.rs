//! A Debian small enough to be made on the spot and large enough to be configured: the host's own dpkg.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tinyroot::testing::{Compression, Deb, deb};

use super::support::end;

/// What dpkg and our own scripts run.
const PROGRAMS: &str = "sh dpkg dpkg-deb dpkg-split tar rm mv chmod chown mkdir cat sleep find xargs diff ldconfig \
                        start-stop-daemon";

/// Returns an Essential package of the host's programs that a root cannot be configured without, and of perl
/// with its sockets; where the host is no Debian, what is missing.
pub fn base() -> Result<Deb, String> {
    let mut files = BTreeSet::new();
    for name in PROGRAMS.split_whitespace().chain(["perl"]) {
        let found = ["/usr/bin", "/usr/sbin"].map(|place| Path::new(place).join(name));
        let found = found.into_iter().find(|path| path.exists());
        files.insert(found.ok_or(format!("this host has no {name}"))?);
    }
    let script = "use Socket; print join qq(\\n), values %INC, @DynaLoader::dl_shared_objects";
    let modules = end(Command::new("perl").args(["-e", script]));
    files.extend(modules.stdout.lines().map(PathBuf::from));
    let needed: Vec<PathBuf> = files.iter().flat_map(|file| libraries(file)).collect();
    files.extend(needed);
    let mut base = deb("base").field("Essential", "yes").compression(Compression::None);
    for (link, target) in
        [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
    {
        base = base.symlink(link, target);
    }
    for place in ["dev", "proc", "run", "sys", "tmp", "var/log", "var/tmp", "root"] {
        base = base.directory(place, 0o755);
    }
    base = base.file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n");
    base = base.file("etc/group", 0o644, "root:x:0:\nmail:x:8:\n");
    for file in files {
        let path = inside(&file).ok_or(format!("{} is not below /usr", file.display()))?;
        let mode = fs::metadata(&file).expect("is there").permissions().mode() & 0o755;
        base = base.file(&path, mode, fs::read(&file).expect("reads"));
    }
    Ok(base)
}

/// The libraries of a program, its loader among them.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = end(Command::new("ldd").arg(program)).stdout;
    let words = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

/// Where a file of the host lies in a root whose `/lib` is a link to `usr/lib`, as the host's is.
fn inside(file: &Path) -> Option<String> {
    let path = file.to_str()?.strip_prefix('/')?;
    match path.starts_with("usr/") {
        true => Some(path.to_owned()),
        false => Some(format!("usr/{path}")),
    }
}
