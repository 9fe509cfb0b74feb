//! Makes .debs in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use sha2::Digest as _;

/// How the members of a .deb are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `control.tar`, `data.tar`.
    None,
    /// `.gz`.
    Gzip,
    /// `.bz2`, of old archives.
    Bzip2,
    /// `.xz`, Debian's habit and the default here.
    Xz,
    /// `.zst`, Ubuntu's habit.
    Zstd,
}

#[derive(Clone, Debug)]
struct Member {
    kind: tar::EntryType,
    path: String,
    link: String,
    mode: u32,
    owner: (u64, u64),
    contents: Vec<u8>,
}

/// A .deb to be: [`deb`] begins one, [`Deb::build`] gives its bytes.
#[derive(Clone, Debug)]
pub struct Deb {
    fields: Vec<(String, String)>,
    members: Vec<Member>,
    conffiles: Vec<String>,
    control: BTreeMap<String, (u32, Vec<u8>)>,
    compression: Compression,
    mtime_s: u64,
}

/// Begins a package: version 1.0, architecture amd64, no files.
pub fn deb(name: &str) -> Deb {
    Deb {
        fields: Vec::new(),
        members: Vec::new(),
        conffiles: Vec::new(),
        control: BTreeMap::new(),
        compression: Compression::Xz,
        mtime_s: 1_600_000_000,
    }
    .field("Package", name)
    .field("Version", "1.0")
    .field("Architecture", "amd64")
    .field("Maintainer", "Nobody <nobody@example.org>")
    .field("Description", &format!("the made package {name}"))
}

impl Deb {
    /// Sets the version.
    pub fn version(self, version: &str) -> Self {
        self.field("Version", version)
    }

    /// Sets the architecture.
    pub fn architecture(self, architecture: &str) -> Self {
        self.field("Architecture", architecture)
    }

    /// Sets any field of the control file, in place of what it held.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value.into(),
            None => self.fields.push((name.into(), value.into())),
        }
        self
    }

    /// Returns the value of a field, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn member(mut self, kind: tar::EntryType, path: &str, link: &str, mode: u32, contents: Vec<u8>) -> Self {
        let (path, link) = (path.into(), link.into());
        self.members.push(Member { kind, path, link, mode, owner: (0, 0), contents });
        self
    }

    /// Adds a file. Paths have no leading slash; directories above come by themselves, 0755. A path that
    /// begins with `/` or `../` is written as it is, for tests of refusals.
    pub fn file(self, path: &str, mode: u32, contents: impl Into<Vec<u8>>) -> Self {
        self.member(tar::EntryType::Regular, path, "", mode, contents.into())
    }

    /// Adds a directory.
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.member(tar::EntryType::Directory, path, "", mode, Vec::new())
    }

    /// Adds a symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.member(tar::EntryType::Symlink, path, target, 0o777, Vec::new())
    }

    /// Adds a hard link to a file added before.
    pub fn hard_link(self, path: &str, to: &str) -> Self {
        // Both names are of one file; dpkg goes by the last.
        let (mode, (uid, gid)) =
            self.members.iter().find(|m| m.path == to).map_or((0o644, (0, 0)), |m| (m.mode, m.owner));
        self.member(tar::EntryType::Link, path, &format!("./{to}"), mode, Vec::new()).owned_by(uid, gid)
    }

    /// Adds a file that is listed in `conffiles`.
    pub fn conffile(mut self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.conffiles.push(format!("/{path}"));
        self.file(path, 0o644, contents)
    }

    /// Gives what was added last to another user and group.
    pub fn owned_by(mut self, uid: u64, gid: u64) -> Self {
        self.members.last_mut().expect("something was added").owner = (uid, gid);
        self
    }

    /// Adds a maintainer script (`postinst` and its like).
    pub fn script(mut self, name: &str, text: &str) -> Self {
        self.control.insert(name.into(), (0o755, text.into()));
        self
    }

    /// Adds any file to the control member (`triggers`, `md5sums`, `shlibs`).
    pub fn control_file(mut self, name: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.control.insert(name.into(), (0o644, contents.into()));
        self
    }

    /// Chooses the compression of both members.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets the time of all members.
    pub fn mtime_s(mut self, mtime_s: u64) -> Self {
        self.mtime_s = mtime_s;
        self
    }

    /// Returns the control file: the fields in the order they were set, and Installed-Size, in KiB
    /// rounded up as dpkg-gencontrol counts, unless it was set.
    pub fn stanza(&self) -> String {
        let mut text: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        if self.get("Installed-Size").is_empty() {
            let kib = |member: &Member| member.contents.len().div_ceil(1024).max(1);
            text += &format!("Installed-Size: {}\n", self.members.iter().map(kib).sum::<usize>());
        }
        text
    }

    /// Returns `NAME_VERSION_ARCHITECTURE.deb` without the version's epoch, as archives name it.
    pub fn file_name(&self) -> String {
        let version = self.get("Version");
        let version = version.split_once(':').map_or(version, |(_, rest)| rest);
        format!("{}_{version}_{}.deb", self.get("Package"), self.get("Architecture"))
    }

    /// Returns the .deb.
    pub fn build(&self) -> Vec<u8> {
        let mut control = self.control.clone();
        control.insert("control".into(), (0o644, self.stanza().into()));
        if !self.conffiles.is_empty() {
            control.insert("conffiles".into(), (0o644, (self.conffiles.join("\n") + "\n").into()));
        }
        let control: Vec<Member> = control
            .into_iter()
            .map(|(path, (mode, contents))| Member {
                kind: tar::EntryType::Regular,
                path,
                link: String::new(),
                mode,
                owner: (0, 0),
                contents,
            })
            .collect();
        let mut ar = ar::Builder::new(Vec::new());
        let mut add = |name: &str, contents: &[u8]| {
            let mut header = ar::Header::new(name.into(), contents.len() as u64);
            header.set_mode(0o100_644);
            header.set_mtime(self.mtime_s);
            ar.append(&header, contents).expect("memory takes it");
        };
        add("debian-binary", b"2.0\n");
        for (name, members) in [("control.tar", &control), ("data.tar", &self.members)] {
            let (extension, bytes) = compress(self.compression, &self.tar(members));
            add(&format!("{name}{extension}"), &bytes);
        }
        ar.into_inner().expect("memory takes it")
    }

    /// Returns the files alone as a gzipped tar, as npm's registries have packages.
    pub fn tarball(&self) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(&self.tar(&self.members)).expect("memory takes it");
        out.finish().expect("memory takes it")
    }

    /// Returns what an npm lock says of [`Deb::tarball`].
    pub fn integrity(&self) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digest = sha2::Sha512::digest(self.tarball());
        let mut out = String::from("sha512-");
        for bytes in digest.chunks(3) {
            let bits =
                bytes.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - bytes.len()));
            for place in 0..4 {
                let digit = DIGITS[bits >> (18 - 6 * place) & 63];
                out.push(if place > bytes.len() { '=' } else { char::from(digit) });
            }
        }
        out
    }

    fn tar(&self, members: &[Member]) -> Vec<u8> {
        let mut out = tar::Builder::new(Vec::new());
        let given: BTreeSet<&str> =
            members.iter().filter(|m| m.kind.is_dir()).map(|m| m.path.as_str()).collect();
        let mut made = BTreeSet::new();
        let directory = |path: &str| Member {
            kind: tar::EntryType::Directory,
            path: path.into(),
            link: String::new(),
            mode: 0o755,
            owner: (0, 0),
            contents: Vec::new(),
        };
        self.append(&mut out, "./", &directory(""));
        for member in members {
            if member.path.starts_with('/') || member.path.starts_with("../") {
                self.append(&mut out, &member.path, member);
                continue;
            }
            for (end, _) in member.path.match_indices('/') {
                let above = &member.path[..end];
                if made.insert(above.to_owned()) && !given.contains(above) {
                    self.append(&mut out, &format!("./{above}/"), &directory(above));
                }
            }
            let slash = if member.kind.is_dir() { "/" } else { "" };
            self.append(&mut out, &format!("./{}{slash}", member.path), member);
        }
        out.into_inner().expect("memory takes it")
    }

    fn append(&self, out: &mut tar::Builder<Vec<u8>>, path: &str, member: &Member) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        header.set_uid(member.owner.0);
        header.set_gid(member.owner.1);
        // dpkg goes by names first.
        if member.owner == (0, 0) {
            header.set_username("root").expect("short");
            header.set_groupname("root").expect("short");
        }
        header.set_mtime(self.mtime_s);
        header.set_size(member.contents.len() as u64);
        for (kind, field, name) in [(b'L', 0, path), (b'K', 157, member.link.as_str())] {
            if name.len() > 100 {
                long_name(out, kind, name);
            }
            // Written by hand: the library refuses the paths that tests of refusals need.
            let short = &name.as_bytes()[..name.len().min(100)];
            header.as_mut_bytes()[field..field + short.len()].copy_from_slice(short);
        }
        header.set_cksum();
        out.append(&header, member.contents.as_slice()).expect("memory takes it");
    }
}

/// Appends the GNU record that holds a name too long for a header.
fn long_name(out: &mut tar::Builder<Vec<u8>>, kind: u8, name: &str) {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..13].copy_from_slice(b"././@LongLink");
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(name.len() as u64 + 1);
    header.set_cksum();
    let bytes = [name.as_bytes(), b"\0"].concat();
    out.append(&header, bytes.as_slice()).expect("memory takes it");
}

/// Returns the file name extension and the compressed bytes.
pub(super) fn compress(compression: Compression, bytes: &[u8]) -> (&'static str, Vec<u8>) {
    let taken = "memory takes it";
    match compression {
        Compression::None => ("", bytes.to_vec()),
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).expect(taken);
            (".gz", out.finish().expect(taken))
        }
        Compression::Bzip2 => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            out.write_all(bytes).expect(taken);
            (".bz2", out.finish().expect(taken))
        }
        Compression::Xz => {
            let mut out = liblzma::write::XzEncoder::new(Vec::new(), 0);
            out.write_all(bytes).expect(taken);
            (".xz", out.finish().expect(taken))
        }
        Compression::Zstd => (".zst", zstd::encode_all(bytes, 1).expect(taken)),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn dpkg_reads_what_is_made() {
        let directory = tempfile::tempdir().expect("a directory");
        for compression in [Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd] {
            let long = format!("usr/share/{}/x", "long".repeat(40));
            let made = deb("hello")
                .version("1:2.0-1")
                .file("usr/bin/hello", 0o755, "hi\n")
                .file(&long, 0o644, "")
                .hard_link("usr/bin/hullo", "usr/bin/hello")
                .symlink("usr/bin/hi", "hello")
                .directory("var/lib/hello", 0o2750)
                .owned_by(33, 33)
                .conffile("etc/hello.conf", "a = 1\n")
                .script("postinst", "#!/bin/sh\nexit 0\n")
                .compression(compression);
            assert_eq!(made.file_name(), "hello_2.0-1_amd64.deb");
            let path = directory.path().join("hello.deb");
            std::fs::write(&path, made.build()).expect("writes");
            let Ok(listed) = Command::new("dpkg-deb").arg("--contents").arg(&path).output() else {
                crate::testing::skip("dpkg-deb is missing (apt-get install dpkg)");
                return;
            };
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            let modes: Vec<(&str, &str)> =
                listed.lines().map(|line| (&line[..10], line.split(" ./").nth(1).unwrap_or(""))).collect();
            assert!(modes.contains(&("-rwxr-xr-x", "usr/bin/hello")), "{listed}");
            assert!(modes.contains(&("-rw-r--r--", long.as_str())), "{listed}");
            assert!(modes.contains(&("drwxr-s---", "var/lib/hello/")), "{listed}");
            assert!(modes.contains(&("lrwxrwxrwx", "usr/bin/hi -> hello")), "{listed}");
        }
    }
}
