//! Files that maintainer scripts make and that no two machines should share: keys, identities, seeds,
//! password hashes.
//!
//! What a package ships is public already and no secret; a copy that a script makes of it neither. A shipped
//! file that a script changed is looked through as what it made. Secrets in settings do not take their file
//! away, which an app may need; they are warned of.

mod keys;
#[cfg(feature = "testing")]
pub(super) mod readers;
mod tokens;

pub(in crate::prune) use tokens::Token;

use std::collections::{BTreeMap, HashSet};

use super::{Candidate, Facts, Ruling};
use crate::{
    digest::Digest,
    prune::{Inputs, PruneError},
    tree::{Entry, Kind, TreePath},
};

/// A kind of secret.
#[derive(Clone, Copy)]
struct Secret {
    /// Its kind, after "a".
    name: &'static str,
    /// How a grain makes its own.
    remedy: &'static str,
}

const PRIVATE_KEY: Secret = Secret {
    name: "private key",
    remedy: "let [setup] make one below /var, as `openssl req -x509 -newkey …` or `ssh-keygen` does",
};
const IDENTITY: Secret = Secret {
    name: "machine's identity",
    remedy: "let [setup] make one below /var, as `dbus-uuidgen` or `od -An -N16 -tx1 /dev/urandom` does",
};
const SEED: Secret =
    Secret { name: "random seed", remedy: "let [setup] take one from /dev/urandom if it is needed at all" };
const HASH: Secret = Secret {
    name: "list of password hashes",
    remedy: "let [setup] make it below /var with a password of the grain's own",
};
const SECRET_KEY: Secret =
    Secret { name: "secret key", remedy: "let [setup] make one below /var from /dev/urandom" };
const PUBLIC_HALF: Secret = Secret {
    name: "public half of a private key",
    remedy: "let [setup] make it below /var with its private key",
};
const LINK: Secret = Secret { name: "link to a secret", remedy: "let [setup] make it below /var" };

/// Files larger than this hold no key.
const MOST_BYTES: u64 = 1 << 20;

/// The secrets of a root, by path.
#[derive(Default)]
pub(in crate::prune) struct Secrets {
    /// Files that are secrets, links to them, and public halves.
    files: BTreeMap<TreePath, Secret>,
    /// Files that hold one among other things.
    pub tokens: BTreeMap<TreePath, Token>,
}

impl Secrets {
    /// Looks through all that no package ships as it is and the recipe does not lay.
    ///
    /// # Errors
    /// [`PruneError::Contents`].
    pub fn of(facts: &Facts<'_>, inputs: &Inputs<'_>) -> Result<Self, PruneError> {
        let content = |entry: &Entry| entry.kind.content().map(|(digest, _)| digest);
        let changed_from =
            |path: &TreePath, entry: &Entry| content(entry).and_then(|now| (inputs.changed_from)(path, &now));
        let is_given = |path: &TreePath, entry: &Entry| {
            let is_owned = || (inputs.owner)(path.as_bytes()).is_some();
            facts.overlay.contains(path) || is_owned() && changed_from(path, entry).is_none()
        };
        let given = facts.tree.iter().filter(|(path, entry)| is_given(path, entry));
        let public: HashSet<Digest> = given.filter_map(|(_, entry)| content(entry)).collect();
        let made: Vec<Candidate<'_>> = facts
            .tree
            .iter()
            .filter(|(path, entry)| {
                !is_given(path, entry) && content(entry).is_none_or(|digest| !public.contains(&digest))
            })
            .map(|(path, entry)| facts.candidate(path, entry))
            .collect();
        let mut tokens = BTreeMap::new();
        let mut secrets = BTreeMap::new();
        let mut certificates = Vec::new();
        for candidate in &made {
            let Some((_, size_bytes)) = candidate.entry.kind.content() else { continue };
            // Byte code holds what its source holds, which a package ships.
            let code = [&b".pyc"[..], b".pyo", b".elc"].iter().any(|end| candidate.bytes().ends_with(end));
            if size_bytes == 0 || size_bytes > MOST_BYTES || code {
                continue;
            }
            let bytes = facts.contents(candidate)?;
            if let Some(secret) = secret_in(candidate.path.file_name(), &bytes) {
                secrets.insert(candidate.path.clone(), secret);
            } else if lines(&bytes).any(|line| line == b"-----BEGIN CERTIFICATE-----") {
                certificates.push(candidate.path);
            } else {
                let shipped = changed_from(candidate.path, candidate.entry)
                    .and_then(|digest| inputs.store.read(&digest).ok());
                let token = tokens::token(&bytes, &shipped.unwrap_or_default());
                tokens.extend(token.map(|token| (candidate.path.clone(), token)));
            }
        }
        let keys: HashSet<Vec<u8>> = secrets.keys().map(|path| stem(path.file_name()).to_vec()).collect();
        let published = made.iter().map(|candidate| candidate.path).filter(|path| {
            let key = path.as_bytes().strip_suffix(b".pub");
            key.is_some_and(|key| secrets.contains_key(key))
        });
        let certified = certificates.into_iter().filter(|path| keys.contains(stem(path.file_name())));
        let halves: Vec<TreePath> = published.chain(certified).cloned().collect();
        secrets.extend(halves.into_iter().map(|path| (path, PUBLIC_HALF)));
        let links = made.iter().filter(|candidate| matches!(candidate.entry.kind, Kind::Symlink { .. }));
        let links: Vec<TreePath> = links
            .filter(|candidate| {
                let end = facts.tree.resolve(candidate.bytes(), |_| {});
                end.is_some_and(|end| secrets.contains_key(&end))
            })
            .map(|candidate| candidate.path.clone())
            .collect();
        secrets.extend(links.into_iter().map(|path| (path, LINK)));
        Ok(Secrets { files: secrets, tokens })
    }

    /// Returns the warnings about secrets in files that stay, but for those that the recipe names by their
    /// path.
    pub fn warnings(&self, facts: &Facts<'_>, stays: impl Fn(&TreePath) -> bool) -> Vec<String> {
        let is_named =
            |path: &TreePath| facts.policy.keep.find(path).is_some_and(|glob| glob == format!("/{path}"));
        let staying = self.tokens.iter().filter(|(path, _)| stays(path) && !is_named(path));
        staying
            .map(|(path, Token { name, line })| {
                format!(
                    "/{path} holds what looks like a secret that a maintainer script made (`{name}` in line {line}): all who \
                     have the artifact have it, and all its grains share it; lay the file with [[file]], and let [setup] make \
                     the secret below /var (if it is none: [prune] keep = [\"/{path}\"])"
                )
            })
            .collect()
    }
}

/// Drops secrets and names them, unless the recipe itself names the path.
pub(super) fn secret(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    let Some(Secret { name, remedy }) = facts.secrets.files.get(candidate.path) else { return Ruling::Pass };
    let path = candidate.path;
    if facts.policy.drop.find(path).is_some() {
        return Ruling::Pass;
    }
    // A glob may match it by chance; a path is meant.
    if facts.policy.keep.find(path).is_some_and(|glob| glob == format!("/{path}")) {
        facts.note(format!(
            "prune.keep puts /{path} into the artifact, a {name} that a maintainer script made: all who have the \
             artifact have it, and all its grains share it"
        ));
        return Ruling::Pass;
    }
    facts.note(format!(
        "/{path} is left out: it is a {name} that a maintainer script made, and no two grains should share it; {remedy} \
         (to have it all the same: [prune] keep = [\"/{path}\"]; to have this said no more: [prune] drop)"
    ));
    Ruling::Forbid(format!("a {name} that a maintainer script made; each grain makes its own in [setup]"))
}

fn secret_in(name: &[u8], bytes: &[u8]) -> Option<Secret> {
    let name = String::from_utf8_lossy(name).to_lowercase();
    let is_hex = |line: &[u8]| line.len() == 32 && line.iter().all(u8::is_ascii_hexdigit);
    if lines(bytes).any(is_private_key) || keys::is_private_key(bytes) {
        return Some(PRIVATE_KEY);
    }
    if name == "machine-id" && lines(bytes).any(is_hex) {
        return Some(IDENTITY);
    }
    if ["random-seed", "random_seed", "prng_seed", "prng_exch", ".rnd", ".rand"].contains(&&*name) {
        return Some(SEED);
    }
    if lines(bytes).any(has_password_hash) {
        return Some(HASH);
    }
    let starts = ["secret_key", "secret-key", "secretkey", "secret_token"];
    let is_named = starts.iter().any(|start| name.starts_with(start))
        || ["secret", "secret.key", ".erlang.cookie"].contains(&&*name)
        || (name.starts_with("ssh_host_") && name.ends_with("_key"));
    is_named.then_some(SECRET_KEY)
}

/// The first line of a key in the form of RFC 7468, or of OpenSSH's or OpenPGP's like it.
fn is_private_key(line: &[u8]) -> bool {
    let named = line.strip_prefix(b"-----BEGIN ").and_then(|rest| rest.strip_suffix(b"-----"));
    named.is_some_and(|name| name.windows(11).any(|part| part == b"PRIVATE KEY"))
}

/// A line as in `/etc/shadow` or a file of htpasswd(1): a name, then a hash (crypt(5)).
fn has_password_hash(line: &[u8]) -> bool {
    let mut fields = line.split(|byte| *byte == b':');
    let (Some(name), Some(hash)) = (fields.next(), fields.next()) else { return false };
    let kinds: [&[u8]; 12] = [
        b"$1$", b"$2a$", b"$2b$", b"$2y$", b"$5$", b"$6$", b"$7$", b"$y$", b"$gy$", b"$apr1$", b"{SHA}",
        b"{SSHA}",
    ];
    let is_name = !name.is_empty() && !name.iter().any(u8::is_ascii_whitespace);
    is_name && kinds.iter().any(|kind| hash.starts_with(kind))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end)
}

/// Returns a file's name without its last ending.
fn stem(name: &[u8]) -> &[u8] {
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    dot.map_or(name, |dot| &name[..dot])
}
