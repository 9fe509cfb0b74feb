//! recipe.toml → [`Recipe`]: an app's packages and files, its start, and its exercise.
//!
//! Comes in: a recipe folder. Goes out: a checked [`Recipe`], with the texts of the files that it
//! names. An unknown key, a wrong type, a value out of range or a missing file is refused with
//! file, line and column, and the nearest key. Nothing here reaches a network or starts a program.

mod answers;
mod archives;
mod base;
mod check;
mod edit;
mod error;
mod keys;
mod languages;
mod limits;
mod npm;
mod reduce;
mod service;
mod step;
mod stop;
mod stream;
mod web;

pub use answers::Answer;
pub use archives::ExtraArchive;
pub(crate) use edit::push_line;
pub use edit::{
    GlobList, add_globs, exclude, exercise_lines, with_exercise, with_reduction, without_reduction,
};
pub use error::RecipeError;
pub(crate) use error::nearest;
pub use languages::is_icu_language;
pub use npm::{Npm, NpmPackage, PREFIX as NPM_PREFIX};
pub use stop::SIGTERM;
pub use stream::{Expected, Message, Opening, Payload, StreamStep, Wanted};

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base::Allowed;
pub use base::base_folder;

use crate::{digest::Digest, files, formats::pins::Pin, tree::TreePath};

/// A recipe, read and checked.
///
/// `docs/recipe.md` and recipe(5) are generated from the doc comments of these types. A type whose comment
/// begins with `[table]` documents that table. A field documents the key of its name, or the keys that its
/// comment begins with, a paragraph each; one that begins with "No key" is left out. The variants of an enum
/// are listed below its key.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The recipe folder as it was named.
    pub directory: PathBuf,
    /// recipe.toml as it was read.
    pub text: String,
    /// `base`: The folder of another recipe, relative to this one, that this one is laid over:
    /// `base = "../cgit"`. A key of a table counts as this recipe has it, else as its base has it. The base's
    /// `[[file]]` and `[[service]]` come first, and one of the same `path` or `name` here takes the place of the
    /// base's; all other lists (`packages`, `[[exercise]]`) count as a whole. Sources are looked for in this
    /// folder first, so a file of the same name takes the place of the base's. Lock and evidence are each recipe's own.
    /// A package encloses the merged recipe with all its files. What is only laid under others need be no whole
    /// recipe: its folder gets a name that begins with `_`, such as `recipes/_shared`.
    pub bases: Vec<PathBuf>,
    /// The text of a recipe that has all of this one and of its bases; `None` without a base.
    pub whole_text: Option<String>,
    /// The name of the artifact, and its packages.
    pub app: App,
    /// The sources of packages.
    pub debian: Debian,
    /// Packages of npm registries, laid over the configured root before the files.
    pub npm: Vec<Npm>,
    /// Files laid over the configured root, in order.
    pub files: Vec<OverlayFile>,
    /// The command that runs once per grain, when `/var` is new.
    pub setup: Option<Setup>,
    /// Services, in starting order.
    pub services: Vec<Service>,
    /// `[env]`: Environment variables of setup and services. Their own `env` overrides it.
    pub env: BTreeMap<String, String>,
    /// The web port, where the app has one.
    pub web: Option<Web>,
    /// The conversation that traces and proves the app.
    pub exercise: Vec<Step>,
    /// Pruning rules of the recipe.
    pub prune: Prune,
    /// Files that are made smaller inside.
    pub reduce: Reduce,
    /// Deviations from the plain sandbox.
    pub sandbox: SandboxKeys,
    /// The limits of a grain's memory and processors.
    pub limits: Limits,
    /// The size limits.
    pub budget: Budget,
}

/// `[app]`: The app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Artifact and directory name: lower-case letters, digits, `-`, `+`, `.`.
    pub name: String,
    /// The title that people see. Default: the name.
    pub title: String,
    /// The version that people see. Default: the locked version of the first of `packages`.
    pub version: Version,
    /// Increasing number of the release, for upgrades of grains. Default: 1.
    pub release: u32,
    /// The noun for one grain ("wiki" in "New wiki"). Default: "document".
    pub noun: String,
    /// Packages that are the app: installed, and kept whole (less documentation) when the rest is pruned.
    /// Debian's, or `npm:NAME`.
    pub packages: Vec<String>,
    /// The app id whose key signs. Default: the key made for this name on this machine.
    pub id: Option<String>,
    /// Globs below `/var` of files that each grain gets copies of, to write to: `state = ["/var/lib/x/**"]`.
    /// Files that a package gives to another user than root or lets a group write, conffiles, and files that
    /// the trace saw written are copied without being named; all else that packages ship there is a link into
    /// the read-only root. A glob without `*` takes a directory with everything below it. The path of a link
    /// out of `/var` puts a copy of the link's target in its place. `build --fix` adds paths that the app was
    /// not allowed to write. Default: none.
    pub state: Vec<String>,
    /// How much of these packages is kept. Default: `"whole"`.
    pub prune: AppPrune,
}

/// `app.prune`: the pieces in which the app's packages are kept. Documentation and languages that the recipe
/// does not list are dropped in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppPrune {
    /// `"whole"`: all of them. An exercise does not show the whole app.
    #[default]
    Whole,
    /// `"folders"`: those folders of which a trace saw any file used, for apps of hundreds of megabytes. A
    /// folder is a directory two levels below the app's own, with everything in it: of `/usr/share/wiki`,
    /// such as `/usr/share/wiki/extensions/Gallery`. Files that lie higher are a folder with the files beside
    /// them. Files elsewhere (`/etc`, `/usr/bin`, `/var`) are kept whole.
    Folders,
}

/// `app.version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// `"deb:PACKAGE"`: the locked version of a package.
    Deb(String),
    /// `"npm:NAME"`: the locked version of a package of `[[npm]]`.
    Npm(String),
    /// Any other text: itself.
    Literal(String),
}

/// `[debian]`: The suite and the packages besides the app's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debian {
    /// The suite, by codename (`"bookworm"`), or the exact path of a directory below the mirror (`"./"`).
    pub suite: String,
    /// Pockets beside the suite. Default: `["updates", "security"]`.
    pub pockets: Vec<String>,
    /// Components. Default: `["main"]`.
    pub components: Vec<String>,
    /// Debian architecture. Default: `"amd64"`.
    pub architecture: String,
    /// Packages besides the app's, in the order in which apt would get them.
    pub packages: Vec<String>,
    /// Packages that must not be installed.
    pub exclude: Vec<String>,
    /// `recommends`: Whether Recommends are followed: `true`, or a list of the packages whose Recommends are
    /// (`["nginx"]`). Default: `false`.
    pub recommends: bool,
    /// No key of its own: the list of `recommends`.
    pub recommends_of: Vec<String>,
    /// Preferred versions, as in apt_preferences(5):
    /// `pins = [{ package = "nginx*", suite = "bookworm-backports", priority = 600 }]`; `version` instead of
    /// `suite` selects by version.
    pub pins: Vec<Pin>,
    /// `mirror`: Base URLs of mirrors, tried in turn: one or a list. Default: `--mirror`, `TINYROOT_MIRROR`,
    /// or the host's apt sources.
    pub mirrors: Vec<String>,
    /// Values for questions of debconf, set before packages are configured (`[debian.debconf]`,
    /// `"tzdata/Areas" = "Europe"`): text, `true`, `false`, a number, or a list of texts. A question that no
    /// package has, a value of another type, and passwords are refused; make passwords per grain, in
    /// `[setup]`.
    pub debconf: BTreeMap<String, Answer>,
    /// `archive`: Archives beside Debian's (see below).
    pub archives: Vec<ExtraArchive>,
    /// The state of Debian's archive to lock, instead of the present one: `"20261101T000000Z"`.
    pub snapshot: Option<String>,
    /// A service with past states of Debian's archive: a base URL in which `{archive}` stands for `debian` or
    /// `debian-security` and `{time}` for a time. Default: `--snapshot-service` or
    /// `TINYROOT_SNAPSHOT_SERVICE`.
    pub snapshot_service: Option<String>,
}

/// `[[file]]`: A file, link or directory laid over the configured root, in the recipe's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayFile {
    /// Its absolute path in the root.
    pub path: TreePath,
    /// `source`, `content`, `mode`, `link`, `moved`, `directory`: One of:
    pub content: LaidContent,
}

impl OverlayFile {
    /// Returns whether it is a directory that the first process makes at each start.
    pub fn is_made_at_start(&self) -> bool {
        let fresh = self.path.is_at_or_below(b"run") || self.path.is_at_or_below(b"tmp");
        fresh && matches!(self.content, LaidContent::Directory)
    }
}

/// The content of a `[[file]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaidContent {
    /// `source = "files/x"` or `content = "text"`: a regular file, from a file of the recipe folder or from
    /// the text. `mode` has its permission bits (default `"0644"`).
    File {
        /// No key: `mode` as a number.
        mode: u32,
        /// No key: the contents.
        bytes: Vec<u8>,
    },
    /// `link = "target"`: a symbolic link.
    Link(String),
    /// `moved = "/var/lib/x/etc"`: what the root has there, moved below `/var`, with a link in its place. Each
    /// grain then has a copy of its own to write to. What the root does not have becomes an empty directory.
    Moved(TreePath),
    /// `directory = true`: an empty directory.
    Directory,
}

/// `[setup]`: A command that runs once per grain, when its `/var` is new, before the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Program and arguments; no shell.
    pub command: Vec<String>,
    /// Environment of its own.
    pub env: BTreeMap<String, String>,
    /// How long it may take. Default: 120 s.
    pub timeout_s: u32,
}

/// `[[service]]`: A program that runs as long as the grain. Services are started in the recipe's order and
/// stopped in the reverse order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Name in logs and evidence.
    pub name: String,
    /// Program and arguments; no shell.
    pub command: Vec<String>,
    /// Environment of its own.
    pub env: BTreeMap<String, String>,
    /// When the next service may start. Default: at once. One of:
    pub ready: Ready,
    /// How long readiness may take. Default: 60 s.
    pub timeout_s: u32,
    /// The signal that stops its process group (`"SIGINT"`). Default: `"SIGTERM"`. A shell's `&` makes
    /// programs ignore SIGINT and SIGQUIT unless they handle them, as PostgreSQL does.
    pub stop_signal: u8,
    /// How long its process group may take to stop before it is killed. Default: 10 s, and 20 s for all
    /// services that have the default.
    pub stop_timeout_s: Option<u32>,
}

/// `service.ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// No key: at once.
    Started,
    /// `{ socket = PATH }`: a Unix socket accepts connections.
    Socket(String),
    /// `{ http = PATH }`: the web port responds to a GET with any status below 500.
    Http(String),
    /// `{ port = N }`: a TCP port on the grain's loopback accepts connections.
    Port(u16),
    /// `{ file = PATH }`: a file exists.
    File(String),
}

/// `[web]`: The app's web port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// The port on the grain's 127.0.0.1.
    pub port: u16,
    /// Other hosts that pages may lead to: `["www.example.org", "*.example.net", "localhost:9000"]`, or
    /// `["*"]` for pages with links of their users. A link, a form or a redirect to any other authority than
    /// the app's fails a step of the exercise. A page that *loads* something from a listed host gets a
    /// warning. Default: none.
    pub links_to: Vec<String>,
    /// Whether steps of the exercise load what a browser would load with their pages: scripts, styles,
    /// images, fonts, frames. Default: `true`.
    pub load: bool,
    /// The host that the app sees in each request instead of the one requested (`"localhost"`), for apps that
    /// accept only hosts that they know (H2, Django, Jupyter). `run`, `serve` and the exercise then change
    /// Host, Origin and Referer; redirects and cookies of the app's responses are changed back. Default: the
    /// host requested.
    pub host: Option<String>,
}

/// `[[exercise]]`: A step of the conversation that traces and proves the app, in order.
///
/// `{name}` in path, headers, form, body and messages is a captured value; `{base}`, `{host}` and `{port}` are those of
/// the URL in the user's browser. A redirect is followed to its end, which must not be an error, and a page
/// is loaded as browsers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// No key: a request and its expected response.
    Request(Request),
    /// No key: messages between a page and the app.
    Stream(StreamStep),
    /// `restart`: With `true`, the grain is stopped and started again on the same `/var`.
    Restart,
    /// `sleep`: A pause, in seconds (0 to 60).
    Sleep {
        /// The pause in milliseconds.
        millis: u64,
    },
    /// `run`: A program of the root (absolute path) and its arguments, run in the grain, without a shell. It
    /// must exit with 0. `contains` and `capture` look at its output.
    Run {
        /// Program and arguments; no shell.
        command: Vec<String>,
        /// Texts that its output must contain.
        contains: Vec<String>,
        /// Values for later steps, taken from its output: name → regular expression whose group 1 counts.
        capture: BTreeMap<String, String>,
    },
}

/// A request of the exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `get`, `post`, `put`, `delete`, `head`: The path of a request with this method.
    pub method: String,
    /// `request`: Another method and the path, such as WebDAV's `"PROPFIND /files/"`.
    pub path: String,
    /// Accepted statuses of the first response: one or a list. Default: any below 500.
    pub status: Vec<u16>,
    /// Texts of which each must be in headers or body, of the first response or of the page that its
    /// redirects lead to: one or a list.
    pub contains: Vec<String>,
    /// Whether redirects are followed. `false` is for one whose end is an error on purpose. Default: `true`.
    pub follow: bool,
    /// Whether scripts, styles and the like of its page are loaded. Default: as `web.load`.
    pub load: Option<bool>,
    /// No key: whether the request is made only to compare two roots; then no response fails or gets a
    /// warning.
    pub is_explored: bool,
    /// Headers to send.
    pub header: BTreeMap<String, String>,
    /// `form`, `body`: The request's body. Default: none. One of:
    pub body: Body,
    /// Values for later steps: name → regular expression whose group 1 is taken from headers and body, as for
    /// `contains`, and HTML-unescaped.
    pub capture: BTreeMap<String, String>,
    /// Regular expressions whose matches are ignored when two responses are compared: one or a list.
    pub fold: Vec<String>,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// No key: no body.
    Empty,
    /// `form = { name = "value" }`: url-encoded fields in the recipe's order.
    Form(Vec<(String, String)>),
    /// `form = "files/x.form"`: url-encoded text; captured values are url-encoded when they are filled in.
    FormText(String),
    /// `body = { source = "files/x" }` or `{ text = "…" }`, with its Content-Type in `type`. Default of
    /// `type`: by the source's ending, else `application/octet-stream`; `text/plain` for a text. Captured
    /// values are filled in where the bytes are UTF-8, and in any of `multipart/form-data`.
    Bytes {
        /// No key: the Content-Type.
        content_type: String,
        /// No key: the bytes.
        bytes: Vec<u8>,
    },
}

/// `[prune]`: Corrections of the evidence.
///
/// Globs match absolute paths; `*` stops at `/`, `**` does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Globs of paths that are kept without evidence. The exact path of a secret keeps that, too.
    pub keep: Vec<String>,
    /// Globs of paths that are dropped despite evidence.
    pub drop: Vec<String>,
    /// Packages kept whole: Debian's, or `npm:NAME`.
    pub keep_package: Vec<String>,
    /// Locales whose files stay in packages that are kept whole (`"de"`, `"pt_BR"`); `"*"` for all. English
    /// stays where it is one of an app's own languages (`i18n/en.json`), as do languages that a trace saw
    /// used. Default: none.
    pub locales: Vec<String>,
    /// Whether scripts and styles are dropped that have a minified form beside them and no evidence.
    /// Default: `false`.
    pub minified: bool,
    /// `imports`: The limit, before compression, of files that stay only because kept code imports them and
    /// no run loaded them (`"2 MB"`); `false` for none. `build` shows files beyond the limit, and warns of
    /// them unless the recipe sets the limit. Followed are imports of Python, Perl, Ruby, Node and PHP.
    /// Default: `"4 MB"`.
    pub imports_bytes: u64,
    /// No key: whether the recipe has `imports`.
    pub imports_set: bool,
    /// `companions`: The limit of code in libraries in the app's own language that stay because the app
    /// depends on them, at any depth. The nearest go first; `"0 B"` for none. Default: `"12 MB"`.
    pub companion_bytes: u64,
}

/// `[reduce]`: Files that are made smaller inside.
///
/// A reduced file differs from its package's; `inspect`, `why` and the papers name it. `build` proposes lines
/// that apply, with the size that they would save; `build --reduce` tries them and adds those that pass the
/// proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reduce {
    /// `icu`: The data in libicudata, for roots whose apps speak few languages. Default: all. One of:
    pub icu: Option<Icu>,
    /// `java`: The modules of Java itself that stay in the JRE's `lib/modules`, with all that they require:
    /// `{ modules = ["java.sql"] }`, as for `java --limit-modules`. Give Java this option, too. Default: all.
    pub java: Option<Java>,
    /// `symbols`: Whether programs and linked libraries lose the dynamic symbols that no file of the root can
    /// request, and the sections that only tools read. `false` is for apps that load code that is not in the
    /// root, such as plug-ins in `/var`. Default: `true`, unless the root holds a compiler or linker, or a
    /// file that cannot be read as ELF (a warning then).
    pub symbols: Option<bool>,
    /// `stubs`: Libraries, by the names that others need them by (`["libgcrypt.so.20"]`), that are linked and
    /// never called. Only their symbols are kept; a call ends the process. Default: none.
    pub stubs: Vec<String>,
    /// `bytecode`: Whether Python's sources become empty lines where their byte code stays. Tracebacks then
    /// show no code. Default: `false`.
    pub bytecode: bool,
    /// `not`: Proposals that `build` leaves out: `icu`, `java`, `bytecode`, and libraries as in `stubs`.
    /// `build --reduce` adds proposals that failed the proof, with the reason. Default: none.
    pub not: Vec<String>,
}

/// `reduce.java`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    /// Modules that stay, with all that they require (`java.sql`, as for `java --limit-modules`).
    pub modules: Vec<String>,
}

/// `reduce.icu`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Icu {
    /// `{ empty = true }`: no data. For roots where only libxml2 uses ICU: it tries the C library's charsets
    /// first.
    Empty,
    /// `{ languages = ["en", "de"] }`: the data of these languages, data that all languages share, and data
    /// of no language. `converters = false` drops the tables of charsets.
    Kept {
        /// Languages without regions (ISO 639); `root` for the locale that all others fall back to. An empty
        /// list drops the data that all languages share, too: then characters can be classified and
        /// normalised, but nothing can be formatted or sorted.
        languages: Vec<String>,
        /// No key of its own: whether the tables of charsets stay. Default: true.
        converters: bool,
    },
}

/// `[sandbox]`: Deviations from the plain sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxKeys {
    /// Whether `/proc` is mounted in grains, for programs that find their libraries by `$ORIGIN`, such as
    /// Java. It has the grain's own processes, `cpuinfo`, `filesystems`, `loadavg`, `meminfo` and `uptime`;
    /// all else is empty. `/proc/self/mountinfo` names the host's directory of `/var`, with the user's home
    /// and the app id: the kernel has no way to hide it. Default: `false`.
    pub proc: bool,
    /// Whether grains have pseudo terminals of their own (`openpty(3)`), such as for a shell in a page:
    /// `/dev/pts`, `/dev/ptmx`, `/dev/tty`. Default: `false`.
    pub terminals: bool,
    /// `tmp`: Size of `/tmp`, `/run` and `/dev/shm` each. Default: `"64 MB"`.
    pub tmp_bytes: u64,
}

/// `[limits]`: What a grain may take at the most.
///
/// Engines hold it to this: `tinyroot kube` writes it into the manifest. `run`, `serve` and the proof do not
/// limit memory and processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory`: The limit of memory (`"512 MiB"`); what lies in `/tmp` and `/run` counts, too. Default:
    /// 512 MiB.
    pub memory_bytes: Option<u64>,
    /// `cpu`: The limit of time on processors, in whole processors: `0.5`, `2`. Default: no limit.
    pub cpu_millis: Option<u32>,
}

impl Limits {
    /// The least limit of memory: with less, engines cannot start a container (podman asks for 6 MB).
    pub const LEAST_MEMORY_BYTES: u64 = 8_000_000;
}

/// `[budget]`: Size limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// `artifact`: The largest size of the `.spk` (`"4 MB"`). A larger one ends `build` with status 3. Other
    /// formats and `--fast`, which compress less or not at all, are not held against it.
    /// Default: no limit.
    pub artifact_bytes: Option<u64>,
}

impl Recipe {
    /// Returns every requested Debian package, in the order of apt's command line: the app's, then the rest.
    pub fn requested(&self) -> Vec<String> {
        let all = self.app.packages.iter().chain(&self.debian.packages);
        all.filter(|name| !name.starts_with(NPM_PREFIX)).cloned().collect()
    }

    /// Returns the packages of all `[[npm]]`.
    pub fn npm_packages(&self) -> impl Iterator<Item = &NpmPackage> {
        self.npm.iter().flat_map(|set| &set.packages)
    }

    /// Returns the version of a package of `[[npm]]`; of several, that of the topmost.
    pub fn version_of_npm(&self, name: &str) -> Option<&str> {
        let named = self.npm_packages().filter(|package| package.locked.name == name);
        let topmost =
            named.min_by_key(|package| package.path.as_bytes().iter().filter(|b| **b == b'/').count());
        topmost.map(|package| &package.locked.version[..])
    }

    /// Returns the path of recipe.lock.
    pub fn lock_path(&self) -> PathBuf {
        self.directory.join("recipe.lock")
    }

    /// Returns the path of used.list.
    pub fn used_path(&self) -> PathBuf {
        self.directory.join("used.list")
    }

    /// Returns the paths of recipe.toml and of that of each base.
    pub fn text_paths(&self) -> impl Iterator<Item = PathBuf> {
        std::iter::once(&self.directory).chain(&self.bases).map(|folder| folder.join("recipe.toml"))
    }

    /// Returns every file that is part of the recipe, by its path in the folder: recipe.toml, recipe.lock and
    /// used.list where they exist, and all below `files/`; with what comes from bases, as a folder that needs
    /// none. Sorted; editors' backups and hidden files are left out.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn folder(&self) -> Result<BTreeMap<String, Vec<u8>>, RecipeError> {
        let mut out = BTreeMap::new();
        for base in self.bases.iter().rev() {
            collect_files(base, &mut out)?;
        }
        out.append(&mut self.own_folder()?);
        if let Some(text) = &self.whole_text {
            out.insert("recipe.toml".to_owned(), text.clone().into_bytes());
        }
        Ok(out)
    }

    /// As [`Recipe::folder`], of the recipe's own folder alone, as it lies there.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn own_folder(&self) -> Result<BTreeMap<String, Vec<u8>>, RecipeError> {
        let mut out = BTreeMap::from([("recipe.toml".to_owned(), self.text.clone().into_bytes())]);
        for name in ["recipe.lock", "used.list"] {
            let path = self.directory.join(name);
            if path.exists() {
                out.insert(name.to_owned(), error::read(&path)?);
            }
        }
        collect_files(&self.directory, &mut out)?;
        Ok(out)
    }

    /// Returns a digest over [`Recipe::folder`].
    ///
    /// # Errors
    /// As there.
    pub fn folder_digest(&self) -> Result<Digest, RecipeError> {
        Ok(digest_of_folder(&self.folder()?))
    }
}

/// Returns a digest over the files of a recipe folder, given by name.
pub fn digest_of_folder<'a>(files: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>) -> Digest {
    let lines = files.into_iter().map(|(name, bytes)| format!("{} {name}\n", Digest::of(bytes)));
    Digest::of(lines.collect::<String>().as_bytes())
}

/// Returns whether a file of a recipe folder, by its path below it, goes into packages.
pub fn is_enclosed(name: &str) -> bool {
    match name.strip_prefix("files/") {
        Some(below) => below.split('/').all(|name| !is_ignored(name)),
        None => ["recipe.toml", "recipe.lock", "used.list"].contains(&name),
    }
}

/// Returns whether a file is left out: hidden ones, and what editors leave.
fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~')
}

/// Adds all below `files/` of a recipe folder.
fn collect_files(folder: &Path, out: &mut BTreeMap<String, Vec<u8>>) -> Result<(), RecipeError> {
    let files = folder.join("files");
    match files.is_dir() {
        true => collect(&files, "files", out),
        false => Ok(()),
    }
}

fn collect(at: &Path, name: &str, out: &mut BTreeMap<String, Vec<u8>>) -> Result<(), RecipeError> {
    for entry in files::list(at)? {
        let Some(own) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if is_ignored(&own) {
            continue;
        }
        let name = format!("{name}/{own}");
        if entry.path().is_dir() {
            collect(&entry.path(), &name, out)?;
        } else {
            out.insert(name, error::read(&entry.path())?);
        }
    }
    Ok(())
}

/// The longest recipe.toml. Its values take up to a hundred times the memory of its text.
const MAX_BYTES: u64 = 512 << 10;

/// Reads a recipe folder, or the recipe.toml in it.
///
/// # Errors
/// [`RecipeError`] names file, line and column, and the rule that was broken.
pub fn read(path: &Path) -> Result<Recipe, RecipeError> {
    read_allowing(path, Allowed::Anywhere)
}

/// As [`read`], of a recipe whose base lies at or below a directory.
///
/// # Errors
/// As there.
pub fn read_below(path: &Path, top: &Path) -> Result<Recipe, RecipeError> {
    read_allowing(path, Allowed::Below(top))
}

/// As [`read`], of a recipe that a package encloses: it has no base, and nothing outside of its folder is read.
///
/// # Errors
/// As there.
pub fn read_enclosed(path: &Path) -> Result<Recipe, RecipeError> {
    read_allowing(path, Allowed::Nowhere)
}

fn read_allowing(path: &Path, allowed: Allowed<'_>) -> Result<Recipe, RecipeError> {
    let directory = match path.file_name() {
        Some(name) if name == "recipe.toml" => path.parent().unwrap_or(Path::new("")),
        _ => path,
    };
    let file = directory.join("recipe.toml");
    let text = String::from_utf8(error::read_bounded(&file, MAX_BYTES)?)
        .map_err(|_| RecipeError::NotText { path: file })?;
    keys::parse(directory, text, allowed)
}

/// Reads the text of a recipe.toml as if it lay in a recipe folder.
///
/// # Errors
/// As [`read`].
pub fn read_text(directory: &Path, text: String) -> Result<Recipe, RecipeError> {
    keys::parse(directory, text, Allowed::Anywhere)
}

#[cfg(test)]
mod tests;
