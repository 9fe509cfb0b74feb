//! The values that all stages of the line work with: nothing below reads the environment, the clock or
//! options.

use std::sync::Arc;

use crate::{
    archive,
    download::{self, Downloader},
    formats::xz::Effort,
    progress::{Progress, Unit},
    store::Store,
    threads::{Turn, Turns},
};

/// The surroundings of a run of the line.
pub struct Session {
    /// Where contents are and go.
    pub store: Arc<Store>,
    /// Where stages report progress and warnings.
    pub progress: Progress,
    /// How Debian's archive is reached and trusted, before a recipe says anything; the present time is in it.
    pub archive: archive::Options,
    /// How mirrors are reached.
    pub mirrors: download::Options,
    /// How npm registries are reached.
    pub registries: download::Options,
    /// Base URL of the npm registry for recipes that name none.
    pub npm_registry: Option<String>,
    /// The directory that packages are looked for in first: absolute, without a slash at the end.
    pub pool: Option<String>,
    /// How hard packages are compressed. Their papers say it, and packing takes it from there.
    pub effort: Effort,
    /// Turns at stages that take all cores or much memory, for recipes that are built side by side.
    pub heavy: Turns,
}

impl Session {
    /// Returns a session that says nothing of its progress, reaches mirrors without a proxy, and knows no
    /// registry and no pool. The time is the host's.
    pub fn silent(store: Arc<Store>) -> Self {
        Session {
            store,
            progress: Progress::silent(),
            archive: archive::Options::default(),
            mirrors: download::Options::default(),
            registries: download::Options::default(),
            npm_registry: None,
            pool: None,
            effort: Effort::Best,
            heavy: Turns::of(1),
        }
    }

    /// Waits until a stage may begin that takes all cores or much memory.
    pub(super) fn turn(&self, stage: &str) -> Turn {
        self.heavy.take(|| self.progress.task(&format!("waiting for its turn to {stage}"), 0, Unit::Items))
    }

    /// Returns a downloader for mirrors. What it learns of one is forgotten with it.
    pub fn downloader(&self) -> Downloader {
        Downloader::new(self.mirrors.clone())
    }

    /// Returns a downloader for npm registries.
    pub fn registry_downloader(&self) -> Downloader {
        Downloader::new(self.registries.clone())
    }
}
