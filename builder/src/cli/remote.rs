//! The remote cache, as options and variables name it.

use std::{ffi::OsStr, path::PathBuf, sync::Arc};

use clap::{Arg, Command, Error, builder::TypedValueParser, error::ErrorKind};

use super::{
    Context, Failure,
    key::KeyFile,
    registry,
    secret::Unrepeated,
    signing::{Named, key_for},
};
use crate::{
    download::{
        Objects, Proxies,
        registry::{Purpose, Registry},
    },
    formats::{
        app_id::AppId,
        auth_file::Login,
        image_name::{ImageName, is_loopback},
        key_file::Key,
    },
    remote::{Place, RemoteCache, impatient},
    store::Store,
};

/// Where a remote cache is, whom it is believed from, and who fills it.
#[derive(Clone, Debug, clap::Args)]
pub struct Remote {
    /// URL (http, https or docker://HOST/NAME) of a cache that machines share: what one of them unpacked, configured and compressed, the others
    /// fetch; --remote-cache-sign fills it
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TINYROOT_REMOTE_CACHE",
        hide_env_values = true,
        value_parser = SERVER
    )]
    remote_cache: Option<Server>,
    /// Believe entries of the remote cache that this key signed; may be repeated, or separated by blanks in the
    /// variable
    #[arg(
        long,
        global = true,
        value_name = "KEYID",
        env = "TINYROOT_REMOTE_CACHE_KEYS",
        hide_env_values = true,
        value_delimiter = ' ',
        value_parser = KEY
    )]
    remote_cache_key: Vec<Trusted>,
    /// Fill the remote cache, with entries signed by this key of TINYROOT_KEY or the keyring (--key-file)
    #[arg(
        long,
        global = true,
        value_name = "KEYID",
        env = "TINYROOT_REMOTE_CACHE_SIGN",
        hide_env_values = true,
        value_parser = KEY
    )]
    remote_cache_sign: Option<Trusted>,
    /// The keyring that the command was given, if it takes one.
    #[arg(skip)]
    ring: KeyFile,
}

impl Remote {
    /// Notes the keyring of a command line: it is an option of some commands only.
    pub(super) fn note_ring(&mut self, matches: &clap::ArgMatches) {
        let mut rest = Some(matches);
        while let Some(matches) = rest {
            if let Ok(Some(path)) = matches.try_get_one::<PathBuf>("key_file") {
                self.ring.key_file = Some(path.clone());
            }
            rest = matches.subcommand().map(|(_, below)| below);
        }
    }

    /// Returns the key that signs what is sent.
    pub(super) fn signs(&self) -> Option<AppId> {
        self.remote_cache_sign.and_then(|key| key.0)
    }

    /// Returns the keyring of that key.
    fn ring(&self) -> KeyFile {
        let named = std::env::var_os("TINYROOT_KEYRING").filter(|path| !path.is_empty());
        KeyFile { key_file: self.ring.key_file.clone().or_else(|| named.map(PathBuf::from)) }
    }
}

/// A key, or nothing: a variable may be set to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trusted(Option<AppId>);

const KEY: Unrepeated<Trusted> = Unrepeated(|text| match text {
    "" => Some(Trusted(None)),
    text => Some(Trusted(Some(text.parse().ok()?))),
});

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Server {
    /// None: the variable is set to nothing.
    None,
    /// A web server: its URL, without a slash at the end.
    Web(String),
    /// A repository of a registry.
    Registry(ImageName),
}

/// Reads the URL of a remote cache. A wrong one is not repeated: it may have a password in it.
#[derive(Clone)]
struct ServerParser;

const SERVER: ServerParser = ServerParser;

impl TypedValueParser for ServerParser {
    type Value = Server;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Server, Error> {
        let read = value.to_str().ok_or_else(|| "it is not UTF-8 text".to_owned()).and_then(server);
        read.map_err(|why| {
            let name = argument.map(Arg::to_string).unwrap_or_default();
            let text = format!("the value of '{name}' cannot be used: {why}\n");
            Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        })
    }
}

fn server(text: &str) -> Result<Server, String> {
    if text.is_empty() {
        return Ok(Server::None);
    }
    if ImageName::is_meant(text) {
        let name = ImageName::read(text).ok().filter(|name| name.tag.is_none() && name.digest.is_none());
        return name.map(Server::Registry).ok_or_else(|| "it is not docker://HOST/NAME".to_owned());
    }
    let url =
        url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("it is not http://, https:// or docker://HOST/NAME")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("others can see a password in it: set TINYROOT_REMOTE_CACHE_TOKEN".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has more than a host and a path".into());
    }
    Ok(Server::Web(text.trim_end_matches('/').to_owned()))
}

/// Who wants the key, in errors.
const FILLER: &str = "the remote cache";

impl Context {
    /// Has the store ask the remote cache that is named, if one is. What is wrong with keys and tokens is a
    /// warning: all can be made without it.
    pub(super) fn use_remote_cache(&self, store: &Store) {
        let named = &self.global.remote;
        let server = match &named.remote_cache {
            None | Some(Server::None) => return,
            Some(_) if self.global.offline || store.has_elsewhere() => return,
            Some(server) => server,
        };
        let options = impatient(self.downloads(Proxies::of_environment()));
        let wanted = named.signs();
        let (place, signer) = match server {
            Server::None => return,
            Server::Web(url) => {
                let token = self.token(url);
                let signer = wanted.filter(|_| token.is_some()).and_then(|key| self.signer(key, true));
                let objects = Objects::new(options, url, token.as_deref());
                (Place::web(url, objects), signer)
            }
            Server::Registry(name) => {
                let login = registry::login(name).unwrap_or_else(|failure| {
                    self.progress.warn(&reason(&failure));
                    Login::None
                });
                // Jobs of forks have neither a login nor the key, and need not hear of it.
                let signer = wanted.and_then(|key| self.signer(key, login != Login::None));
                let purpose = if signer.is_some() { Purpose::Push } else { Purpose::Pull };
                (Place::registry(name, Registry::new(options, name, purpose, login)), signer)
            }
        };
        let keys: Vec<AppId> = named.remote_cache_key.iter().filter_map(|key| key.0).collect();
        if keys.is_empty() && signer.is_none() {
            let text = "anybody could have put something into it, and no key is named whose entries are believed: \
                        name the one that signs them with --remote-cache-key KEYID";
            return self.progress.warn(&format!("the remote cache {place} is not used: {text}"));
        }
        let remote = Arc::new(RemoteCache::new(place, keys, signer, self.progress.clone()));
        store.look_elsewhere(remote.clone());
        let _ = self.remote.set(remote);
    }

    /// Returns the key that signs what is sent; `None`, with a warning if wanted, if it is not at hand.
    fn signer(&self, key: AppId, warn: bool) -> Option<Key> {
        let ring = self.global.remote.ring();
        let find = |ring: &KeyFile| key_for(FILLER, Some(Named::App(key)), ring);
        // A keyring of the app need not hold it.
        let found = find(&ring).or_else(|failure| match ring.key_file {
            Some(_) => find(&KeyFile::default()).map_err(|_| failure),
            None => Err(failure),
        });
        if let Err(failure) = &found
            && warn
        {
            self.progress.warn(&format!("nothing is sent to the remote cache: {}", reason(failure)));
        }
        found.ok()
    }

    /// Sends what this command made to the remote cache, where it may.
    pub(super) fn fill_remote_cache(&self) {
        if let (Some(remote), Some(store)) = (self.remote.get(), self.store.get()) {
            remote.share(store);
        }
    }

    /// Returns the header that TINYROOT_REMOTE_CACHE_TOKEN stands for.
    fn token(&self, url: &str) -> Option<String> {
        let token = std::env::var_os("TINYROOT_REMOTE_CACHE_TOKEN").filter(|token| !token.is_empty())?;
        let token = token.to_str().map(str::trim).unwrap_or_default();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            self.progress.warn("TINYROOT_REMOTE_CACHE_TOKEN is not a line of ASCII text, and is not used");
            return None;
        }
        let parsed = url::Url::parse(url).ok()?;
        if parsed.scheme() == "http" && !parsed.host().is_some_and(|host| is_loopback(&host.to_owned())) {
            self.progress.warn(&format!("the token for {url} is sent without encryption: use https"));
        }
        // `Basic …`, for servers that want a name and a password.
        Some(if token.contains(' ') { token.to_owned() } else { format!("Bearer {token}") })
    }
}

fn reason(failure: &Failure) -> String {
    failure.to_string().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_cache_is_a_url_without_a_password() {
        assert_eq!(server(""), Ok(Server::None));
        let web = |url: &str| Ok(Server::Web(url.into()));
        assert_eq!(server("http://127.0.0.1:8000/cache/"), web("http://127.0.0.1:8000/cache"));
        assert_eq!(server("https://cache.example"), web("https://cache.example"));
        let name = ImageName::read("cache.example/tea").expect("is one");
        assert_eq!(server("docker://cache.example/tea"), Ok(Server::Registry(name)));
        for (text, expected) in [
            ("cache.example", "it is not http://, https:// or docker://HOST/NAME"),
            ("ftp://cache.example/", "it is not http://, https:// or docker://HOST/NAME"),
            (
                "https://x:y@cache.example/",
                "others can see a password in it: set TINYROOT_REMOTE_CACHE_TOKEN",
            ),
            ("docker://cache.example/tea:1", "it is not docker://HOST/NAME"),
            ("docker://cache.example", "it is not docker://HOST/NAME"),
            ("https://cache.example/?token=x", "it has more than a host and a path"),
        ] {
            assert_eq!(server(text), Err(expected.to_owned()), "{text}");
        }
    }
}
