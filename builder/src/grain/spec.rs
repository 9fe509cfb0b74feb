//! The specification of a grain, without its root: data, port, limits, log.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Log, Waits};
use crate::{image::services, recipe::Recipe};

/// All that a grain needs besides its root. [`GrainSpec::of`] is the only way to make one, so that trace, proof
/// and use start the same grain.
#[derive(Clone)]
pub struct GrainSpec {
    /// The directory that is the grain's `/var`; made if needed.
    pub var: PathBuf,
    /// The port of its web server.
    pub(super) port: Option<u16>,
    /// Whether it has `/proc`.
    pub(super) proc: bool,
    /// Whether it has pseudo terminals.
    pub(super) terminals: bool,
    /// Size of `/tmp`, `/run` and `/dev/shm` each.
    pub(super) tmp_bytes: u64,
    /// The time that its first process has to stop its services.
    pub(super) stop_limit: Duration,
    /// The conditions that its first process waits for.
    pub(super) waits: Waits,
    /// Environment of programs that are run beside its services.
    pub(super) env: BTreeMap<String, String>,
    /// Takes its output.
    pub log: Arc<Log>,
}

impl GrainSpec {
    /// Returns the grain that a recipe describes, on the data in `var`, with a log in memory only.
    pub fn of(recipe: &Recipe, var: &Path) -> Self {
        GrainSpec {
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

    /// Sends its output to another log.
    #[must_use]
    pub fn with_log(self, log: Log) -> Self {
        GrainSpec { log: Arc::new(log), ..self }
    }
}
