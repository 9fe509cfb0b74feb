//! Runs the maintainer scripts, so that the root is what a normal Debian installation leaves.
//!
//! Comes in: packages' trees and their assembly. Goes out: the tree that dpkg leaves. The Essential packages
//! are laid down, the root's own dpkg then installs them and after them the rest, inside the sandbox: no
//! network, no host path, no service started. The difference from the assembled tree is kept in the store as
//! a layer, by the packages' digests; a second run with the same packages runs nothing.
//!
//! Where nothing can be mounted the root is entered by chroot: .debs are copied into it, and files that are
//! laid into `/dev`, `/run` and `/tmp` is removed before the root is read, so that both give the same tree.
//!
//! It never changes an assembled path's time without need: files that scripts or dpkg touched get the newest
//! time that is in the packages, so no clock shows.

mod answers;
mod clean;
mod dpkg_status;
mod java_keystore;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod script;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use crate::{
    assemble::{self, AssembleError, Assembled, Owners},
    deep,
    digest::Digest,
    error::{At as _, Hint, PathError},
    files,
    layer::{self, Layer},
    lock::Lock,
    progress::{Progress, Unit},
    recipe::Answer,
    render::{self, RenderError, RenderOptions},
    sandbox::{
        self, Bind, Devices, Ids, Program, Root, Running, Sandbox, SandboxError, Tmpfs, Unavailable, Way,
        best_way, missing_features,
    },
    store::{BundleWriter, LAYER, Store, StoreError},
    tree::{Kind, Tree},
    unpack::{Unpacked, UnpackedPackage},
};

/// The version of this stage's results: it changes when the same packages give another root. Part of the
/// layer's key.
const FORMAT: &str = "configured layer 7";

/// A root that is configured.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The entries. Files that only this run made (logs, locks, machine identities) are left out.
    pub tree: Tree,
    /// From which package; diversions are applied. Files that scripts made belong to none.
    pub owners: Owners,
    /// The newest time in the packages, no later than the lock's; nothing in the tree is newer.
    pub epoch_s: i64,
    /// Whether the tree came out of the store.
    pub cached: bool,
}

/// Packages that could not be configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// A maintainer script failed.
    #[error("cannot configure {package}: {reason}{}", dpkg_status::quoted(output))]
    Script {
        /// Whose.
        package: String,
        /// In dpkg's words: which script, and how it ended.
        reason: String,
        /// The last lines that were written before.
        output: Vec<String>,
    },
    /// dpkg itself failed.
    #[error("cannot configure the root: dpkg ended with {exit}{}", dpkg_status::quoted(output))]
    Dpkg {
        /// How the run ended.
        exit: crate::sandbox::Exit,
        /// The last lines that were written before.
        output: Vec<String>,
    },
    /// The packages bring no dpkg.
    #[error("cannot configure a root without {0}: the set of packages lacks it")]
    Lacks(&'static str),
    /// Programs of another architecture, which did not start.
    #[error("cannot configure a root for {architecture} on this machine")]
    Foreign {
        /// The root's.
        architecture: String,
        /// How that showed.
        source: SandboxError,
    },
    /// A value of the recipe that fits no question.
    #[error("cannot answer debian.debconf `{question}`: {reason}")]
    Answer {
        /// The question.
        question: String,
        /// Why not.
        reason: String,
    },
    /// The Essential packages do not fit together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// No sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A root could not be laid down or read back.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The store cannot hold the result.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the root or beside it cannot be used.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The user's subordinate ids cannot be read.
    #[error("cannot read the subordinate ids of this user")]
    SubordinateIds(#[source] io::Error),
    /// A program inside the root whose output cannot be read.
    #[error("cannot read the output of {program}")]
    Output {
        /// Which.
        program: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
}

impl ConfigureError {
    /// Returns true if a root is there to look into: dpkg or a script failed in it.
    pub fn is_of_script(&self) -> bool {
        matches!(self, ConfigureError::Script { .. } | ConfigureError::Dpkg { .. })
    }
}

impl Hint for ConfigureError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            ConfigureError::Foreign { .. } => {
                "do it on a machine of that architecture, or let this one run its programs with \
                 qemu-user-static and binfmt-support; locking works here as it is"
            }
            ConfigureError::Lacks("debconf") => "[debian.debconf] wants a package that asks by debconf",
            ConfigureError::Lacks(_) => "let the recipe install the Essential packages as well",
            ConfigureError::Answer { reason, .. } if reason.contains("password") => {
                "take it out, and make a password per grain in [setup]"
            }
            ConfigureError::Assemble(error) => return error.hint(),
            ConfigureError::Sandbox(error) => return error.hint(),
            ConfigureError::Render(error) => return error.hint(),
            ConfigureError::Store(error) => return error.hint(),
            ConfigureError::Io(error) => return error.hint(),
            ConfigureError::Answer { .. }
            | ConfigureError::Script { .. }
            | ConfigureError::Dpkg { .. }
            | ConfigureError::SubordinateIds(_)
            | ConfigureError::Output { .. } => return None,
        };
        Some(text.into())
    }
}

/// Looks into a root whose scripts failed, where they ran, before it is thrown away. It is given a shell to
/// run there.
pub type OnScriptFailure<'a> = dyn Fn(&Running, Program, &ConfigureError) + 'a;

/// The parts of a recipe that change the configured root.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its values for debconf.
    pub answers: &'a BTreeMap<String, Answer>,
    /// Whether the owners of files matter. Where they do not, a root that was configured in any way will do.
    pub owners: bool,
}

/// Returns the configured root of packages: from the store if it is there, else by running their scripts, in
/// the most faithful way that the host allows (`TINYROOT_WAY` names another). From the store comes also one
/// that another way made, such as on another machine, with truer owners, or with any where they do not
/// matter.
///
/// # Errors
/// [`ConfigureError`]; [`ConfigureError::Script`] names package and script. `visit` is called with it first.
pub fn configure(
    unpacked: &Unpacked,
    assembled: &Assembled,
    lock: &Lock,
    wanted: Wanted<'_>,
    store: &Store,
    progress: &Progress,
    visit: Option<&OnScriptFailure<'_>>,
) -> Result<Configured, ConfigureError> {
    let epoch_s = newest_time_s(unpacked).min(lock.time_s);
    let stored = |key: &str| {
        let (layer, _) = store.load_bundle(LAYER, key)?;
        Some(Layer::from_tree(layer).apply(&assembled.tree))
    };
    let answers = answers::lines(wanted.answers, unpacked, store)?;
    let way = best_way();
    let kinds = match &way {
        Ok(way) if sandbox::chosen_way().is_some() => vec![way.has_owners()],
        Ok(way) if wanted.owners && way.has_owners() => vec![true],
        // Also for a host that can run no script at all.
        _ => vec![true, false],
    };
    let whole = || kinds.iter().find_map(|owners| stored(&key(unpacked, &answers, epoch_s, *owners, &[])));
    // What another machine configured is asked for once it is known that this one has nothing.
    let brought = || {
        let _task =
            store.has_elsewhere().then(|| progress.task("fetching the configured root", 0, Unit::Items));
        let is_brought = |owners: &bool| store.bring(LAYER, &key(unpacked, &answers, epoch_s, *owners, &[]));
        kinds.iter().any(is_brought).then(whole).flatten()
    };
    let (tree, cached) = match whole().or_else(brought) {
        Some(tree) => (tree, true),
        None => {
            let way = way?;
            let lacking = missing_features(way)?;
            let key = key(unpacked, &answers, epoch_s, way.has_owners(), &lacking);
            let wait = || progress.wait_for_another("configures the same packages");
            let _turn = store.turn(LAYER, &key, wait);
            match whole().or_else(|| stored(&key)) {
                Some(tree) => (tree, true),
                None => {
                    let mut bundle = store.begin_bundle(LAYER, &key)?;
                    let answers = &answers;
                    let run =
                        Run { unpacked, assembled, answers, store, progress, epoch_s, way, lacking, visit };
                    let tree = run.tree(&mut bundle).map_err(|error| run.foreign(error))?;
                    bundle.finish(&layer::between(&assembled.tree, &tree).to_tree())?;
                    (tree, false)
                }
            }
        }
    };
    let mut owners = assembled.owners.clone();
    for diversion in clean::diversions(&tree, store)? {
        owners.divert(&diversion.from, &diversion.to, diversion.by.as_deref());
    }
    Ok(Configured { tree, owners, epoch_s, cached })
}

/// Returns the newest time that a file of the packages has.
fn newest_time_s(unpacked: &Unpacked) -> i64 {
    let entries = unpacked.packages.iter().flat_map(|package| package.tree.iter());
    entries.map(|(_, entry)| entry.mtime_s).max().unwrap_or(0)
}

/// Names a layer by all that it depends on. Ways differ in owners only, but they do differ. Scripts that have
/// no `/proc` may have made less (systemd-tmpfiles makes nothing), so what they made is not for hosts where
/// they have it; the other direction does no harm.
fn key(
    unpacked: &Unpacked,
    answers: &[String],
    epoch_s: i64,
    has_owners: bool,
    lacking: &[Unavailable],
) -> String {
    let owners = if has_owners { "owners known" } else { "owners unknown" };
    let mut text = format!("{FORMAT}\n{owners}\nepoch {epoch_s}\n");
    for Unavailable { what, .. } in lacking {
        text += &format!("without {what}\n");
    }
    for answer in answers {
        text += &format!("answer {answer}\n");
    }
    for package in &unpacked.packages {
        text += &format!("{}\n", package.locked.checksum.hex());
    }
    Digest::of(text.as_bytes()).to_string()
}

/// Where scripts see the packages.
const PACKS: &str = "/tmp/packs";

/// One run of maintainer scripts.
struct Run<'a> {
    unpacked: &'a Unpacked,
    assembled: &'a Assembled,
    answers: &'a [String],
    store: &'a Store,
    progress: &'a Progress,
    epoch_s: i64,
    way: Way,
    visit: Option<&'a OnScriptFailure<'a>>,
    /// Features that the host does not give to scripts.
    lacking: Vec<Unavailable>,
}

impl Run<'_> {
    fn tree(&self, bundle: &mut BundleWriter<'_>) -> Result<Tree, ConfigureError> {
        let scratch = self.store.scratch("configure-")?;
        let root = scratch.path().join("root");
        let result = self.tree_in(scratch.path(), &root, bundle);
        clean::make_removable(&root);
        // After a failure some of it may belong to subordinate ids. The next run removes what is left.
        let _ = deep::remove_tree(&root);
        result
    }

    fn tree_in(
        &self,
        scratch: &Path,
        root: &Path,
        bundle: &mut BundleWriter<'_>,
    ) -> Result<Tree, ConfigureError> {
        let essential = assemble::essential(&self.unpacked.packages);
        let base = self.base(&essential)?;
        render::render(&base, self.store, root, RenderOptions::default())?;
        // By the file system's own clock, which may not be ours.
        let started = scratch.join("started");
        files::write(&started, "")?;
        let started_s = mtime_s(&started).at("look at", &started)?;

        let paths = |indexes: &[usize]| -> Vec<String> {
            indexes.iter().map(|index| self.inside(&self.unpacked.packages[*index])).collect()
        };
        let steps: Vec<script::Step> = assemble::steps(&self.unpacked.packages)
            .iter()
            .map(|step| script::Step {
                unpack: paths(&step.unpack),
                unpacked: step.unpack.iter().map(|index| self.name(*index)).collect(),
                configure: step.configure.iter().map(|index| self.name(*index)).collect(),
            })
            .collect();
        let text = script::configure(&paths(&essential), &steps, &base, self.answers);
        // dpkg reads them by their paths. A script may not run if it was changed. All are checked even if
        // one is changed, so that all of them are made again at once.
        let checked: Vec<_> = self.unpacked.packages.iter().map(|package| package.pack.check()).collect();
        for (package, checked) in self.unpacked.packages.iter().zip(checked) {
            checked.at("read the unpacked package", package.pack.path())?;
        }
        let script = scratch.join("configure");
        files::write(&script, text)?;

        let mut sandbox = self.sandbox(root, "/tmp/configure");
        if self.visit.is_some() {
            sandbox.command = script::held("/tmp/configure");
        }
        if self.way == Way::Chroot {
            self.copy_packs(root, &script)?;
        } else {
            for (directory, place) in self.pack_directories() {
                sandbox.binds.push(Bind::read_only(directory, place));
            }
            sandbox.binds.push(Bind::read_only(&script, "/tmp/configure"));
        }
        self.follow(&sandbox)?;
        if self.way == Way::Chroot {
            clean::empty_places(root).at("empty /dev, /run and /tmp of", root)?;
        }

        let owners = match self.way {
            Way::Subordinate => self.take_back_owners(root, scratch)?,
            Way::Root | Way::Single | Way::Chroot => Vec::new(),
        };
        let task = self.progress.task("reading the configured root", 0, Unit::Items);
        let as_seen = self.way.has_owners() && self.way != Way::Subordinate;
        let ids = |uid, gid| if as_seen { (uid, gid) } else { (0, 0) };
        let mut tree = render::scan(root, bundle, &self.unpacked.contents(), &ids)?;
        drop(task);
        match self.way {
            Way::Root | Way::Chroot if self.way.has_owners() => {}
            Way::Subordinate => {
                let maps = Ids::RootLike(self.way).id_maps().map_err(ConfigureError::SubordinateIds)?;
                clean::map_lists(&mut tree, &maps.0, &maps.1);
                clean::set_owners(&mut tree, &owners);
            }
            _ => clean::guess_owners(&mut tree, &self.assembled.tree),
        }
        if self.way == Way::Chroot {
            clean::restore_places(&mut tree, &base);
        }
        self.restamp_key_store(root, &mut tree, bundle).at("rewrite Java's key store in", root)?;
        let empty = bundle.add(io::empty()).at("write to", self.store.tmp())?;
        clean::clean(&mut tree, &self.assembled.tree, empty);
        clean::set_times(&mut tree, &self.assembled.tree, started_s, self.epoch_s);
        Ok(tree)
    }

    /// Gives Java's key store the time of all that scripts made, where there is one.
    fn restamp_key_store(
        &self,
        root: &Path,
        tree: &mut Tree,
        bundle: &mut BundleWriter<'_>,
    ) -> io::Result<()> {
        let Some(Kind::File { digest, size_bytes, .. }) =
            tree.get_mut(java_keystore::PATH.as_bytes()).map(|entry| &mut entry.kind)
        else {
            return Ok(());
        };
        // The tree has it as a file below directories: no link leads elsewhere.
        let mut bytes = files::read(root.join(java_keystore::PATH))?;
        if java_keystore::restamp(&mut bytes, self.epoch_s) {
            (*digest, *size_bytes) = bundle.add(&bytes[..])?;
        }
        Ok(())
    }

    /// The root before dpkg first runs: the files of the Essential packages, and an empty database.
    fn base(&self, essential: &[usize]) -> Result<Tree, ConfigureError> {
        let packages = essential.iter().map(|index| self.unpacked.packages[*index].clone()).collect();
        let mut tree = assemble::assemble(&Unpacked { packages })?.tree;
        for (path, name) in [("usr/bin/dpkg", "dpkg"), ("usr/bin/sh", "a shell"), ("usr/bin/mv", "coreutils")]
        {
            if tree.resolve(path.as_bytes(), |_| {}).is_none() {
                return Err(ConfigureError::Lacks(name));
            }
        }
        script::add_database(&mut tree, self.store, self.architecture(), self.epoch_s);
        Ok(tree)
    }

    /// Says of a shell that could not be started that it is of another architecture, where it is.
    fn foreign(&self, error: ConfigureError) -> ConfigureError {
        let own = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        match error {
            ConfigureError::Sandbox(source) if self.architecture() != own => {
                ConfigureError::Foreign { architecture: self.architecture().into(), source }
            }
            error => error,
        }
    }

    /// The architecture that dpkg is of.
    fn architecture(&self) -> &str {
        self.unpacked.get("dpkg").map_or("amd64", |dpkg| &dpkg.locked.architecture)
    }

    /// The path of a .deb inside the sandbox.
    fn inside(&self, package: &UnpackedPackage) -> String {
        let path = package.pack.path();
        let directories = self.pack_directories();
        let found = directories.iter().find(|(directory, _)| path.parent() == Some(directory));
        let place = found.filter(|_| self.way != Way::Chroot).map_or(PACKS, |(_, place)| &**place);
        format!("{place}/{}", path.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Returns the directories that the packages lie in, and where a sandbox sees them: commonly one, and
    /// another for what lies in a cache that cannot be written.
    fn pack_directories(&self) -> Vec<(PathBuf, String)> {
        let parents = self.unpacked.packages.iter().filter_map(|package| package.pack.path().parent());
        let directories: BTreeSet<&Path> = parents.collect();
        let place = |index| if index == 0 { PACKS.to_owned() } else { format!("{PACKS}-{index}") };
        directories.into_iter().enumerate().map(|(index, path)| (path.to_path_buf(), place(index))).collect()
    }

    /// The name of a package for dpkg.
    fn name(&self, index: usize) -> String {
        self.unpacked.packages[index].locked.name.clone()
    }

    /// Copies the files that are run to the places where a sandbox with mounts has binds. Links into the
    /// store would let scripts write there.
    fn copy_packs(&self, root: &Path, script: &Path) -> Result<(), PathError> {
        let packs = root.join("tmp/packs");
        files::create_dir_all(&packs)?;
        for package in &self.unpacked.packages {
            let name = package.pack.path().file_name().unwrap_or_default();
            files::copy(package.pack.path(), packs.join(name))?;
        }
        files::copy(script, root.join("tmp/configure")).map(drop)
    }

    /// A sandbox in which a script of the root's own shell runs as root.
    fn sandbox(&self, root: &Path, script: &str) -> Sandbox {
        let root = Root::Directory { path: root.into(), writable: true };
        let mut sandbox = Sandbox::new(root, Ids::RootLike(self.way), ["/bin/sh", script]);
        sandbox.devices = Devices::Terminals;
        sandbox.proc = !self.lacking.iter().any(|lacking| lacking.what == "/proc");
        sandbox.hostname = "localhost".into();
        sandbox.tmpfs = vec![
            Tmpfs::new("/tmp", 0o1777, 2 << 30),
            Tmpfs::new("/run", 0o755, 256 << 20),
            Tmpfs::new("/dev/shm", 0o1777, 256 << 20),
        ];
        let epoch = self.epoch_s.to_string();
        let variables = [
            ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            // TeX dumps its formats with the day, and uses the epoch only with two variables.
            ("FORCE_SOURCE_DATE", "1"),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("PYTHONHASHSEED", "0"),
            ("SOURCE_DATE_EPOCH", &epoch),
            ("TZ", "UTC"),
        ];
        for (name, value) in variables {
            sandbox.set_env(name, value);
        }
        sandbox
    }

    /// Runs the script to its end and reports its progress.
    fn follow(&self, sandbox: &Sandbox) -> Result<(), ConfigureError> {
        let total = 2 * self.unpacked.packages.len() as u64;
        let task = self.progress.task("configuring packages", total, Unit::Items);
        let running = sandbox.start()?;
        let watched = self.lacking.iter().map(|lacking| lacking.what).collect();
        let mut follower = dpkg_status::Follower::new(&task, self.progress, watched);
        let output = running.take_output().expect("nobody else has it");
        let held =
            follower.read(output).map_err(|source| ConfigureError::Output { program: "dpkg", source })?;
        let exit = held.unwrap_or_else(|| running.wait());
        for Unavailable { what, reason, remedy } in &self.lacking {
            let missed = follower.missed(what);
            if !missed.is_empty() || !exit.success() {
                let text = format!(
                    "maintainer scripts have no {what} here, and what they make with it may be missing: {reason}; {remedy}{}",
                    dpkg_status::quoted(&missed)
                );
                self.progress.warn(&text);
            }
        }
        let result = follower.conclude(exit);
        drop(task);
        if let (Some(visit), Some(_), Err(error)) = (self.visit, held, &result) {
            let mut shell = Program::new(script::SHELL);
            shell.env.clone_from(&sandbox.env);
            visit(&running, shell, error);
        }
        result
    }

    /// Gives every file of the root to the caller, who could otherwise neither read nor remove those of
    /// subordinate ids, and returns whose they were.
    fn take_back_owners(&self, root: &Path, scratch: &Path) -> Result<Vec<clean::Owned>, ConfigureError> {
        let script = scratch.join("owners");
        files::write(&script, script::TAKE_BACK_OWNERS)?;
        let mut sandbox = self.sandbox(root, "/tmp/owners");
        // Its top would be found too; its owner does not exist inside.
        sandbox.proc = false;
        sandbox.binds.push(Bind::read_only(&script, "/tmp/owners"));
        let running: Running = sandbox.start()?;
        let mut output = Vec::new();
        let mut pipe = running.take_output().expect("nobody else has it");
        io::Read::read_to_end(&mut pipe, &mut output)
            .map_err(|source| ConfigureError::Output { program: "find", source })?;
        match running.wait() {
            exit if exit.success() => Ok(clean::parse_owned(&output)),
            exit => {
                let output = String::from_utf8_lossy(&output).lines().map(str::to_owned).collect();
                Err(ConfigureError::Dpkg { exit, output })
            }
        }
    }
}

fn mtime_s(path: &Path) -> io::Result<i64> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(path)?.mtime())
}
