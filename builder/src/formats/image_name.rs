//! Names of images at a registry, as skopeo, podman and Helm write them.
//!
//! ```text
//! docker://HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]       oci:// is the same
//! ```
//!
//! Without a tag and a digest the tag is `latest`. The host is never left out: `docker.io` is not assumed.
//! (OCI distribution specification 1.1, "Pulling manifests"; containers-transports(5).)

use std::fmt;

use crate::digest::Digest;

/// How such names begin. The first is the one that messages show.
const SCHEMES: [&str; 2] = ["docker://", "oci://"];

/// The longest host and name together, by the specification, and the longest tag.
const MAX_NAME_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

/// The name of an image at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// The registry: a host, and its port if it is another than HTTPS'.
    pub host: String,
    /// The repository: lower-case words with slashes.
    pub name: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest of the manifest.
    pub digest: Option<Digest>,
}

/// A text that is not such a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageNameError {
    /// No host, or one that is none.
    #[error("`{0}` names no registry")]
    Host(String),
    /// A repository in other letters.
    #[error(
        "`{0}` is not the name of a repository: lower-case letters, digits and `.`, `_`, `-` between them"
    )]
    Name(String),
    /// A tag in other letters.
    #[error("`{0}` is not a tag: letters, digits, `_`, `.` and `-`, 128 at most")]
    Tag(String),
    /// A digest of another kind.
    #[error("`{0}` is not a digest: sha256: and 64 digits in lower-case hex")]
    Digest(String),
}

impl crate::error::Hint for ImageNameError {
    fn hint(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some("write docker://HOST/NAME:TAG or docker://HOST/NAME@sha256:DIGEST".into())
    }
}

impl ImageName {
    /// Returns whether a text is meant as such a name.
    pub fn is_meant(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }

    /// Reads a name, with or without what such names begin with.
    ///
    /// # Errors
    /// [`ImageNameError`].
    pub fn read(text: &str) -> Result<Self, ImageNameError> {
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let (host, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let is_host = |host: &str| host == "localhost" || host.contains(['.', ':']);
        if !is_host(host) || !has_form_of_host(host) {
            return Err(ImageNameError::Host(host.into()));
        }
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => {
                let read = digest.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
                (rest, Some(read.ok_or_else(|| ImageNameError::Digest(digest.into()))?))
            }
        };
        let (name, tag) = rest.split_once(':').map_or((rest, None), |(name, tag)| (name, Some(tag)));
        if name.len() + host.len() >= MAX_NAME_BYTES || !name.split('/').all(is_component) {
            return Err(ImageNameError::Name(name.into()));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ImageNameError::Tag(tag.into()));
        }
        Ok(ImageName { host: host.into(), name: name.into(), tag: tag.map(str::to_owned), digest })
    }

    /// Returns what a registry is asked for: the digest, or else the tag.
    pub fn wanted(&self) -> String {
        let tag = || self.tag.clone().unwrap_or_else(|| "latest".into());
        self.digest.map_or_else(tag, |digest| format!("sha256:{digest}"))
    }

    /// Returns whether the registry is on this machine, by its name alone.
    pub fn is_of_loopback(&self) -> bool {
        let url = url::Url::parse(&format!("http://{}/", self.host)).ok();
        url.and_then(|url| url.host().map(|host| host.to_owned())).is_some_and(|host| is_loopback(&host))
    }

    /// Returns the URL of its repository below the registry's API: plain HTTP on this machine, HTTPS elsewhere.
    pub fn url(&self) -> String {
        // Docker Hub's name is not its address.
        let host = if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host };
        let scheme = if self.is_of_loopback() { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{}", self.name)
    }
}

/// Returns whether a text is the name of an image as engines take it: the host may be left out, and the digest
/// may be of another kind.
pub fn is_reference(text: &str) -> bool {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let is_digest = |digest: &str| {
        digest.split_once(':').is_some_and(|(kind, hex)| {
            is_component(kind) && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let (path, last) = rest.rsplit_once('/').map_or((None, rest), |(path, last)| (Some(path), last));
    let (last, tag) = last.split_once(':').map_or((last, None), |(last, tag)| (last, Some(tag)));
    let mut words = path.into_iter().flat_map(|path| path.split('/'));
    let is_first = words.next().is_none_or(|first| is_component(first) || has_form_of_host(first));
    rest.len() <= MAX_NAME_BYTES + MAX_TAG_BYTES
        && is_first
        && words.all(is_component)
        && is_component(last)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

/// Returns whether a host is this machine, which no other listens to.
pub fn is_loopback(host: &url::Host) -> bool {
    match host {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", SCHEMES[0], self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@sha256:{digest}"),
            None => Ok(()),
        }
    }
}

fn has_form_of_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    host.chars().all(allowed)
        && url::Url::parse(&format!("http://{host}/")).is_ok_and(|url| url.path() == "/" && url.has_host())
}

fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = |text: &str| matches!(text, "." | "_" | "__") || text.chars().all(|c| c == '-');
    let mut between = text.split(plain).filter(|text| !text.is_empty());
    text.starts_with(plain) && text.ends_with(plain) && between.all(separators)
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let all = text.chars().all(|c| word(c) || matches!(c, '.' | '-'));
    (1..=MAX_TAG_BYTES).contains(&text.len()) && text.starts_with(word) && all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_take_names_without_a_host() {
        let digest = "0".repeat(64);
        for good in
            ["cgit", "cgit:1", "localhost/cgit:1.2-3", "registry.example.org:5000/a/cgit:1", "library/tea"]
        {
            assert!(is_reference(good) && is_reference(&format!("{good}@sha256:{digest}")), "{good}");
        }
        for bad in [
            "",
            "bad ref!!",
            "a/",
            "/a",
            "a:",
            "a:b:c",
            "a@sha256:1",
            "Tea",
            "a\nb",
            "docker://host/a",
            "a//b",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_has_a_host_a_repository_and_a_tag_or_digest() {
        let digest = "1f".repeat(32);
        for (text, url, wanted) in [
            ("docker://127.0.0.1:5000/cgit:1.2", "http://127.0.0.1:5000/v2/cgit", "1.2".into()),
            ("oci://[::1]:5000/a/b-c__d", "http://[::1]:5000/v2/a/b-c__d", "latest".into()),
            ("docker://localhost/x:1", "http://localhost/v2/x", "1".into()),
            (
                "docker://docker.io/library/debian:12",
                "https://registry-1.docker.io/v2/library/debian",
                "12".into(),
            ),
            (&format!("ghcr.io/x/y:z@sha256:{digest}"), "https://ghcr.io/v2/x/y", format!("sha256:{digest}")),
        ] {
            let name = ImageName::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((&name.url()[..], name.wanted()), (url, wanted), "{text}");
            assert_eq!(ImageName::read(&name.to_string()), Ok(name));
        }
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in [
            "docker://cgit:1",
            "docker://user@host.example/x",
            "docker://host.example",
            "docker://host.example/",
            "docker://host.example/Upper:1",
            "docker://host.example/a//b",
            "docker://host.example/../x",
            "docker://host.example/a._b",
            "docker://host.example/a:",
            "docker://host.example/a:-b",
            "docker://host.example/a?x=1",
            "docker://host.example/a@sha256:12",
            "docker://host.example:port/a",
            "docker://127.0.0.1.example.org\\@x/a",
        ] {
            ImageName::read(text).expect_err(text);
        }
        let outside = ImageName::read("docker://127.0.0.1.example.org/a").expect("is one");
        assert!(
            outside.url().starts_with("https://"),
            "a name that only begins as an address of this machine"
        );
    }
}
