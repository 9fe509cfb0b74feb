//! Package URLs, as scanners read them.
//!
//! Source: the purl specification, types `deb` and `npm`. `distro` is `debian-12`, as Syft writes and Grype reads
//! it and as Trivy's begin; the specification's own examples have the codename, which these tools do not know as a
//! release. It is the codename where the release has no number yet. `upstream` is Syft's and Grype's qualifier for
//! the source package, by which Debian's advisories go.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::formats::relation::is_name;

/// The distribution of a root, as its os-release has it (os-release(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// `ID`, such as `debian`.
    pub id: String,
    /// `VERSION_ID`, such as `12`; releases to come have none.
    pub version: Option<String>,
    /// `VERSION_CODENAME`, such as `bookworm`.
    pub codename: Option<String>,
}

impl Distribution {
    /// Reads the text of an os-release; `None` without an `ID`.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            let plain = line.trim().trim_matches(['"', '\'']);
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            ((1..=64).contains(&plain.len()) && plain.bytes().all(is_plain)).then(|| plain.to_owned())
        };
        Some(Distribution {
            id: value("ID")?,
            version: value("VERSION_ID"),
            codename: value("VERSION_CODENAME"),
        })
    }

    /// Returns the value of `distro`; of a release without a number its codename.
    fn qualifier(&self, suite: &str) -> String {
        match (&self.version, &self.codename) {
            (Some(version), _) => format!("{}-{version}", self.id),
            (None, Some(codename)) => codename.clone(),
            (None, None) => percent_encoded(suite),
        }
    }
}

/// A Debian package, to be named by a URL.
#[derive(Clone, Copy, Debug)]
pub struct DebianPackage<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its architecture, which may be `all`.
    pub architecture: &'a str,
    /// Its suite, after the name of its archive where that is not Debian's.
    pub suite: &'a str,
    /// Name and version of its source package, where known.
    pub source: Option<(&'a str, &'a str)>,
}

impl DebianPackage<'_> {
    /// Returns the package URL. A package of an archive beside the distribution's has that archive's name in
    /// place of the distribution's, so that it is not taken for a package of the distribution.
    ///
    /// `suite` is that of the root.
    pub fn purl(&self, distribution: &Distribution, suite: &str) -> String {
        let (name, version) = (percent_encoded(self.name), percent_encoded(self.version));
        let other = self.suite.split_once('/').map(|(archive, _)| archive);
        let other = other.filter(|archive| is_name(archive) && !self.suite.starts_with(suite));
        let vendor = other.unwrap_or(if distribution.id.is_empty() { "debian" } else { &distribution.id });
        let distro = distribution.qualifier(suite);
        let mut out = format!("pkg:deb/{vendor}/{name}@{version}?arch={}&distro={distro}", self.architecture);
        if let Some((source, source_version)) =
            self.source.filter(|source| *source != (self.name, self.version))
        {
            out += "&upstream=";
            out += &percent_encoded(source);
            if source_version != self.version {
                out += &format!("%40{}", percent_encoded(source_version));
            }
        }
        out
    }
}

/// Returns a package URL of type npm; a scope is its namespace.
pub fn npm_purl(name: &str, version: &str) -> String {
    let name = name.split('/').map(percent_encoded).collect::<Vec<_>>().join("/");
    format!("pkg:npm/{name}@{}", percent_encoded(version))
}

/// Encodes all but letters, digits, `.-_~` and `:` (purl specification, "character encoding").
fn percent_encoded(text: &str) -> String {
    const ENCODED: AsciiSet =
        NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');
    utf8_percent_encode(text, &ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n\
                           VERSION_CODENAME=bookworm\n";

    fn libfoo(suite: &str) -> DebianPackage<'_> {
        let source = Some(("foo", "1.1"));
        DebianPackage { name: "libfoo1", version: "1.1+b1", architecture: "amd64", suite, source }
    }

    #[test]
    fn a_package_is_named_as_scanners_read_it() {
        let bookworm = Distribution::parse(RELEASE).expect("has an ID");
        let purl = |package: DebianPackage<'_>| package.purl(&bookworm, "bookworm");
        assert_eq!(
            purl(libfoo("bookworm-security")),
            "pkg:deb/debian/libfoo1@1.1%2Bb1?arch=amd64&distro=debian-12&upstream=foo%401.1"
        );
        let own = DebianPackage { source: Some(("libfoo1", "1.1+b1")), ..libfoo("bookworm") };
        assert_eq!(purl(own), "pkg:deb/debian/libfoo1@1.1%2Bb1?arch=amd64&distro=debian-12");
        assert!(purl(libfoo("example/stable")).starts_with("pkg:deb/example/libfoo1@"));
        let sid = Distribution::parse("ID=debian\nVERSION_CODENAME=forky\n").expect("has an ID");
        assert!(libfoo("sid").purl(&sid, "sid").contains("&distro=forky&"));
        assert!(libfoo("sid").purl(&Distribution::default(), "sid").contains("pkg:deb/debian/libfoo1@"));
        assert_eq!(npm_purl("@s/b", "1.0.0+x"), "pkg:npm/%40s/b@1.0.0%2Bx");
    }

    #[test]
    fn a_release_file_of_anything_is_no_distribution() {
        assert_eq!(Distribution::parse("ID=a b\n"), None);
        assert_eq!(Distribution::parse("VERSION_ID=12\n"), None);
    }
}
