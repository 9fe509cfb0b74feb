//! Makes signed archives in a directory.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use super::{Compression, Deb, Key, deb::compress};
use crate::{
    digest::Digest,
    formats::{
        checksum::Checksum,
        suite::{self, directory, is_exact},
    },
};

/// When made archives are made unless they say so: the beginning of 2024.
pub const ARCHIVE_TIME_S: i64 = 1_704_067_200;

/// One suite of an archive to be. Several can be written into one directory and share its pool.
#[derive(Clone, Debug)]
pub struct MadeArchive {
    suite: String,
    codename: String,
    architecture: String,
    components: Vec<String>,
    debs: Vec<(String, Deb)>,
    fields: Vec<(String, String)>,
    replacements: Vec<(String, String)>,
    key: Key,
    date_s: i64,
    valid_until_s: Option<i64>,
    by_hash: bool,
    signed_apart: bool,
    compressions: Vec<Compression>,
    stanzas: String,
    in_index: Vec<(Vec<u8>, Vec<u8>)>,
    sha512: bool,
    plain_is_listed: bool,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Made {
    /// The directory, to be given as a mirror.
    pub directory: PathBuf,
    /// The public key, armored, in a file.
    pub keyring: PathBuf,
}

impl MadeArchive {
    /// Begins a suite without packages, for amd64, with the component `main`, signed by `Key::new(1)`. One
    /// that is an exact path (`./`) is flat: its index and its packages lie beside its Release file, which
    /// names no suite.
    pub fn new(suite: &str) -> Self {
        MadeArchive {
            suite: suite.into(),
            codename: suite.into(),
            architecture: "amd64".into(),
            components: vec!["main".into()],
            debs: Vec::new(),
            fields: Vec::new(),
            replacements: Vec::new(),
            key: Key::new(1),
            date_s: ARCHIVE_TIME_S,
            valid_until_s: None,
            by_hash: true,
            signed_apart: false,
            compressions: vec![Compression::Xz],
            stanzas: String::new(),
            in_index: Vec::new(),
            sha512: false,
            plain_is_listed: true,
        }
    }

    /// Adds a package to `main`.
    #[allow(clippy::should_implement_trait)]
    pub fn add(self, deb: Deb) -> Self {
        self.add_to("main", deb)
    }

    /// Adds a package to a component.
    pub fn add_to(mut self, component: &str, deb: Deb) -> Self {
        if !self.components.iter().any(|known| known == component) {
            self.components.push(component.into());
        }
        self.debs.push((component.into(), deb));
        self
    }

    /// Sets the architecture of the indexes.
    pub fn architecture(mut self, architecture: &str) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// Names another codename and suite in the Release file than in its path.
    pub fn calling_itself(mut self, codename: &str) -> Self {
        self.codename = codename.into();
        self
    }

    /// Adds a field to the Release file.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Puts one text in place of another in the Release file, before it is signed.
    pub fn instead(mut self, of: &str, text: &str) -> Self {
        self.replacements.push((of.into(), text.into()));
        self
    }

    /// Signs with another key.
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Sets Date and the time of the signature.
    pub fn date_s(mut self, date_s: i64) -> Self {
        self.date_s = date_s;
        self
    }

    /// Sets Valid-Until.
    pub fn valid_until_s(mut self, valid_until_s: i64) -> Self {
        self.valid_until_s = Some(valid_until_s);
        self
    }

    /// Leaves out the copies by digest.
    pub fn without_by_hash(mut self) -> Self {
        self.by_hash = false;
        self
    }

    /// Writes Release and Release.gpg in place of InRelease.
    pub fn signed_apart(mut self) -> Self {
        self.signed_apart = true;
        self
    }

    /// Chooses in which forms the indexes are there.
    pub fn compressions(mut self, compressions: &[Compression]) -> Self {
        self.compressions = compressions.to_vec();
        self
    }

    /// Adds stanzas to the index of `main`, each ended by a blank line; of packages that are not there.
    pub fn stanzas(mut self, stanzas: &str) -> Self {
        self.stanzas += stanzas;
        self
    }

    /// Puts bytes in place of others in the indexes.
    pub fn in_index(mut self, of: impl Into<Vec<u8>>, with: impl Into<Vec<u8>>) -> Self {
        self.in_index.push((of.into(), with.into()));
        self
    }

    /// Has SHA-512 in place of SHA-256 everywhere.
    pub fn sha512(mut self) -> Self {
        self.sha512 = true;
        self
    }

    /// Lists compressed indexes only.
    pub fn without_plain_listed(mut self) -> Self {
        self.plain_is_listed = false;
        self
    }

    fn digest(&self, bytes: &[u8]) -> (&'static str, String) {
        match self.sha512 {
            true => ("SHA512", Checksum::Sha512([0; 64]).of_same_kind(bytes).hex()),
            false => ("SHA256", Digest::of(bytes).to_string()),
        }
    }

    /// Returns the path of a package in the pool: below `pool/updates/` in a security suite, as
    /// Debian has it.
    pub fn path(&self, component: &str, deb: &Deb) -> String {
        if is_exact(&self.suite) {
            return format!("./{}{}", directory(&self.suite), deb.file_name());
        }
        let name = deb.get("Package");
        let updates = if self.suite.ends_with("-security") { "updates/" } else { "" };
        format!("pool/{updates}{component}/{}/{name}/{}", &name[..1], deb.file_name())
    }

    /// Returns the stanzas of a component, as its Packages index has them.
    pub fn packages(&self, component: &str) -> String {
        let mut out = if component == "main" { self.stanzas.clone() } else { String::new() };
        for (_, deb) in self.debs.iter().filter(|(of, _)| of == component) {
            let bytes = deb.build();
            let (path, (kind, digest)) = (self.path(component, deb), self.digest(&bytes));
            let stanza = deb.stanza();
            write!(out, "{stanza}Filename: {path}\nSize: {}\n{kind}: {digest}\n\n", bytes.len())
                .expect("a string takes it");
        }
        out
    }

    /// Returns the index of a component as it is written.
    pub fn index(&self, component: &str) -> Vec<u8> {
        let mut out = self.packages(component).into_bytes();
        for (of, with) in &self.in_index {
            let mut changed = Vec::new();
            let mut rest = &out[..];
            while let Some(at) = memchr::memmem::find(rest, of) {
                changed.extend_from_slice(&rest[..at]);
                changed.extend_from_slice(with);
                rest = &rest[at + of.len()..];
            }
            changed.extend_from_slice(rest);
            out = changed;
        }
        out
    }

    /// Writes pool, indexes, InRelease and key below a directory.
    pub fn write(&self, directory: &Path) -> Made {
        for (component, deb) in &self.debs {
            put(&directory.join(self.path(component, deb)), &deb.build());
        }
        let dist = directory.join(suite::directory(&self.suite));
        let mut listed = String::new();
        for component in &self.components {
            let text = self.index(component);
            let below = match is_exact(&self.suite) {
                true => String::new(),
                false => format!("{component}/binary-{}/", self.architecture),
            };
            let mut list = |name: &str, bytes: &[u8], present: bool| {
                let (kind, digest) = self.digest(bytes);
                writeln!(listed, " {digest} {} {below}{name}", bytes.len()).expect("a string takes it");
                if present {
                    put(&dist.join(&below).join(name), bytes);
                    if self.by_hash {
                        put(&dist.join(&below).join(format!("by-hash/{kind}/{digest}")), bytes);
                    }
                }
            };
            if self.plain_is_listed {
                list("Packages", &text, self.compressions.contains(&Compression::None));
            }
            for compression in self.compressions.iter().filter(|&&c| c != Compression::None) {
                let (extension, bytes) = compress(*compression, &text);
                list(&format!("Packages{extension}"), &bytes, true);
            }
        }
        let release = self.release(&listed);
        if self.signed_apart {
            put(&dist.join("Release"), release.as_bytes());
            put(&dist.join("Release.gpg"), self.key.sign_apart(&release, self.date_s).as_bytes());
        } else {
            put(&dist.join("InRelease"), self.key.sign(&release, self.date_s).as_bytes());
        }
        let keyring = directory.join("keyring.asc");
        put(&keyring, self.key.armored().as_bytes());
        Made { directory: directory.into(), keyring }
    }

    /// Writes this suite, and its updates and security updates without any package: what a recipe
    /// that says nothing of pockets reads.
    pub fn write_with_pockets(&self, directory: &Path) -> Made {
        for pocket in ["updates", "security"] {
            let suite = format!("{}-{pocket}", self.suite);
            let codename = format!("{}-{pocket}", self.codename);
            let empty = MadeArchive { suite, codename, debs: Vec::new(), ..self.clone() };
            empty.write(directory);
        }
        self.write(directory)
    }

    fn release(&self, listed: &str) -> String {
        let names = match is_exact(&self.suite) {
            true => String::new(),
            false => format!("Origin: Made\nLabel: Made\nSuite: {0}\nCodename: {0}\n", self.codename),
        };
        let mut text = format!("{names}Date: {}\n", rfc_time(self.date_s));
        if let Some(until_s) = self.valid_until_s {
            text += &format!("Valid-Until: {}\n", rfc_time(until_s));
        }
        if self.by_hash {
            text += "Acquire-By-Hash: yes\n";
        }
        if !is_exact(&self.suite) {
            text +=
                &format!("Architectures: {}\nComponents: {}\n", self.architecture, self.components.join(" "));
        }
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\n");
        }
        let kind = if self.sha512 { "SHA512" } else { "SHA256" };
        text += &format!("Description: made for a test\n{kind}:\n");
        text += listed;
        self.replacements.iter().fold(text, |text, (of, with)| text.replace(of, with))
    }
}

/// Returns a time as Release files have it.
fn rfc_time(time_s: i64) -> String {
    let time = jiff::Timestamp::from_second(time_s).expect("a time in range");
    time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a path below a directory")).expect("makes a directory");
    fs::write(path, bytes).expect("writes a file");
}
