//! The session of a command: what options, environment and clock say, as values.

use std::path::Path;

use super::{Context, Failure};
use crate::{
    archive::{self, Snapshots},
    download::{self, Patience, Proxies},
    error::At as _,
    files,
    formats::xz::Effort,
    line::Session,
    npm,
};

impl Context {
    /// Returns what the line works with.
    ///
    /// # Errors
    /// As [`Context::store`]; and a pool that is not there, or that cannot be named in a URL.
    pub fn session(&self) -> Result<Session, Failure> {
        let global = &self.global;
        let archive = archive::Options {
            mirrors: global.mirror.iter().filter(|given| !given.is_empty()).cloned().collect(),
            keyring: global.keyring.clone(),
            snapshots: global.snapshot_service.clone().map(|template| Snapshots { template, wanted_s: None }),
            ..archive::Options::default()
        };
        let store = self.store()?;
        self.use_remote_cache(&store);
        Ok(Session {
            store,
            progress: self.progress.clone(),
            // Mirrors are reached as apt reaches them; of registries apt knows nothing.
            mirrors: self.downloads(Proxies::as_apt(&archive.sources)),
            registries: self.downloads(Proxies::of_environment()),
            archive,
            npm_registry: self.npm_registry(),
            pool: self.pool()?,
            effort: Effort::Best,
            heavy: self.heavy.clone(),
        })
    }

    /// Returns how registries of images are reached.
    pub(super) fn registry_downloads(&self) -> download::Options {
        self.downloads(Proxies::of_environment())
    }

    pub(super) fn downloads(&self, proxies: Proxies) -> download::Options {
        download::Options {
            offline: self.global.offline,
            proxies,
            patience: Patience::of_seconds(self.global.retry_time),
            progress: self.progress.clone(),
            ..download::Options::default()
        }
    }

    /// Returns the npm registry for recipes that name none.
    fn npm_registry(&self) -> Option<String> {
        let variable =
            ["NPM_CONFIG_REGISTRY", "npm_config_registry"].iter().find_map(|name| std::env::var(name).ok());
        let npmrc = std::env::var_os("HOME").map(|home| Path::new(&home).join(".npmrc"));
        let npmrc = npmrc.and_then(|path| files::read_to_string(path).ok());
        npm::registry(&npm::Sources {
            option: self.global.npm_registry.as_deref(),
            environment: variable.as_deref(),
            npmrc: npmrc.as_deref(),
        })
    }

    /// Returns the pool that packages are taken from, as an absolute path.
    fn pool(&self) -> Result<Option<String>, Failure> {
        let Some(given) = &self.global.pool else { return Ok(None) };
        let shown = given.display();
        if !given.is_dir() {
            let failure = Failure::new(format!("there is no pool {shown}"));
            return Err(failure.hint(format!("fill one with `tinyroot fetch RECIPE --output {shown}`")));
        }
        match std::path::absolute(given).at("find", given)?.to_str() {
            Some(path) => Ok(Some(path.trim_end_matches('/').to_owned())),
            None => Err(Failure::new(format!("the name of the pool {shown} is not UTF-8 text"))),
        }
    }
}
