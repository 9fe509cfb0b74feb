//! What a grain is besides its root.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Log, Waits};
use crate::{image::services, recipe::Recipe};

/// What a grain is besides its root.
#[derive(Clone)]
pub struct GrainOptions {
    /// The directory that is the grain's `/var`; made if needed.
    pub var: PathBuf,
    /// The port of its web server.
    pub port: Option<u16>,
    /// Whether it has `/proc`.
    pub proc: bool,
    /// Whether it has pseudo terminals.
    pub terminals: bool,
    /// Size of `/tmp`, `/run` and `/dev/shm` each.
    pub tmp_bytes: u64,
    /// How long its first process may take to stop its services.
    pub stop_limit: Duration,
    /// What its first process waits for.
    pub waits: Waits,
    /// Environment of programs that are run beside its services.
    pub env: BTreeMap<String, String>,
    /// Where its output is kept.
    pub log: Arc<Log>,
}

impl GrainOptions {
    /// Returns what a recipe says, with an output that is kept in memory only.
    pub fn of(recipe: &Recipe, var: &Path) -> Self {
        GrainOptions {
            var: var.to_path_buf(),
            port: recipe.web.as_ref().map(|web| web.port),
            proc: recipe.sandbox.proc,
            terminals: recipe.sandbox.terminals,
            tmp_bytes: recipe.sandbox.tmp_bytes,
            stop_limit: Duration::from_secs(services::stop_limit_s(recipe)),
            waits: Waits::of(recipe),
            env: services::environment(recipe),
            log: Arc::new(Log::in_memory()),
        }
    }
}
