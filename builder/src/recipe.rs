//! recipe.toml → [`Recipe`]: what an app is made of, how it starts, and how it is exercised.
//!
//! Comes in: a recipe folder. Goes out: a checked [`Recipe`], with the texts of the files that it
//! names. An unknown key, a wrong type, a value out of range or a missing file is refused with
//! file, line and column, and the nearest key. Nothing here reaches a network or starts a program.

mod answers;
mod archives;
mod check;
mod draft;
mod edit;
mod error;
mod keys;
mod languages;
mod npm;
mod reduce;
mod service;
mod step;
mod stop;
mod web;

pub use answers::Answer;
pub use archives::ExtraArchive;
pub use draft::{Wanted, draft};
pub use edit::{GlobList, add_globs, exclude, with_reduction, without_reduction};
pub use error::RecipeError;
pub(crate) use error::nearest;
pub use languages::is_icu_language;
pub use npm::{Npm, NpmPackage, PREFIX as NPM_PREFIX};
pub use stop::SIGTERM;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{formats::digest::Digest, resolve::Pin, tree::TreePath};

/// A recipe, read and checked.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The recipe folder as it was named.
    pub directory: PathBuf,
    /// recipe.toml as it was read.
    pub text: String,
    /// What the artifact is called and whose packages stay whole.
    pub app: App,
    /// Where packages come from.
    pub debian: Debian,
    /// Packages of npm registries, laid over the configured root before the files.
    pub npm: Vec<Npm>,
    /// Files laid over the configured root, in order.
    pub files: Vec<LaidFile>,
    /// What runs once per grain, when `/var` is new.
    pub setup: Option<Setup>,
    /// Services, in starting order.
    pub services: Vec<Service>,
    /// Environment of setup and services; theirs goes before it.
    pub env: BTreeMap<String, String>,
    /// The web port, where the app has one.
    pub web: Option<Web>,
    /// The conversation that traces and proves the app.
    pub exercise: Vec<Step>,
    /// Pruning rules of the recipe.
    pub prune: Prune,
    /// What is made smaller inside of files.
    pub reduce: Reduce,
    /// Deviations from the plain sandbox.
    pub sandbox: SandboxKeys,
    /// The size limits.
    pub budget: Budget,
}

/// `[app]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Artifact and directory name: lower-case letters, digits, `-`, `+`, `.`.
    pub name: String,
    /// The title that people see. Default: the name.
    pub title: String,
    /// Where the marketing version comes from.
    pub version: Version,
    /// Increasing number of the release, for upgrades of grains. Default 1.
    pub release: u32,
    /// What one grain is called ("wiki" in "New wiki"). Default: "document".
    pub noun: String,
    /// Packages that are the app: installed, and kept whole when the rest is pruned. Debian's, or `npm:NAME`.
    pub packages: Vec<String>,
    /// The app id whose key signs. Default: the key made for this name on this machine.
    pub id: Option<String>,
    /// Globs below `/var` of files that each grain has copies of, to write to: `state = ["/var/lib/x/**"]`. What a package gives
    /// to another user than root or lets a group write, conffiles, and what the trace saw written are copied without being
    /// named. One without `*` takes a directory with all below it; one that is the path of a link out of `/var` puts a copy of what
    /// the link leads to in its place. Default: none.
    pub state: Vec<String>,
    /// How much of these packages stays: `"whole"` or `"folders"`. Default: whole.
    pub prune: AppPrune,
}

/// `app.prune`: in which pieces the app's packages are kept. Documentation and languages not asked for go in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppPrune {
    /// `"whole"`: all of them. What an exercise does not show is still the app.
    #[default]
    Whole,
    /// `"folders"`: those folders of which a trace saw anything used, for apps of hundreds of megabytes. A folder is a
    /// directory two levels below the app's own, with all that is in it: of `/usr/share/wiki`, such as
    /// `/usr/share/wiki/extensions/Gallery`. Files that lie higher are a folder with the files beside them. What
    /// lies elsewhere (`/etc`, `/usr/bin`, `/var`) stays whole.
    Folders,
}

/// `app.version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// `"deb:PACKAGE"`: the locked version of a package.
    Deb(String),
    /// `"npm:NAME"`: the locked version of a package of `[[npm]]`.
    Npm(String),
    /// A literal.
    Literal(String),
}

/// `[debian]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debian {
    /// The suite, by codename ("bookworm"), or the exact path of a directory below the mirror ("./").
    pub suite: String,
    /// Pockets beside the suite. Default: `["updates", "security"]`.
    pub pockets: Vec<String>,
    /// Components. Default: `["main"]`.
    pub components: Vec<String>,
    /// Debian architecture. Default: `amd64`.
    pub architecture: String,
    /// Packages besides the app's, in the order that apt would be given them.
    pub packages: Vec<String>,
    /// Packages that must not be installed.
    pub exclude: Vec<String>,
    /// Whether Recommends are followed (`recommends = true`). Default: false.
    pub recommends: bool,
    /// The packages whose Recommends are followed in any case (`recommends = ["nginx"]`).
    pub recommends_of: Vec<String>,
    /// Which versions go first: `pins = [{ package = "nginx*", suite = "bookworm-backports", priority = 600 }]`,
    /// as apt_preferences(5) has them.
    pub pins: Vec<Pin>,
    /// Base URLs of mirrors, tried in turn (`mirror`: one or a list). Default: see `tinyroot --help`.
    pub mirrors: Vec<String>,
    /// Answers to questions of debconf, put when packages are configured (`[debian.debconf]`,
    /// `"tea/colour" = "green"`). Never passwords: those are made per grain in `[setup]`.
    pub debconf: BTreeMap<String, Answer>,
    /// Archives beside Debian's (`[[debian.archive]]`).
    pub archives: Vec<ExtraArchive>,
    /// The state of Debian's archive to lock, instead of the present one: `20261101T000000Z`.
    pub snapshot: Option<String>,
    /// Where past states of Debian's archive can be had: a base URL in which `{archive}` stands for
    /// `debian` or `debian-security` and `{time}` for a time. Default: see `tinyroot --help`.
    pub snapshot_service: Option<String>,
}

/// `[[file]]`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidFile {
    /// Where it goes in the root.
    pub path: TreePath,
    /// What it is.
    pub content: LaidContent,
}

/// What a `[[file]]` lays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaidContent {
    /// A regular file, from `source` or `content`; `mode` defaults to 0644.
    File {
        /// Permission bits.
        mode: u32,
        /// The contents.
        bytes: Vec<u8>,
    },
    /// A symbolic link, from `link`.
    Link(String),
    /// An empty directory, from `directory = true`.
    Directory,
}

/// `[setup]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Program and arguments; no shell.
    pub command: Vec<String>,
    /// Environment of its own.
    pub env: BTreeMap<String, String>,
    /// How long it may take. Default: 120 s.
    pub timeout_s: u32,
}

/// `[[service]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Name in logs and evidence.
    pub name: String,
    /// Program and arguments; no shell.
    pub command: Vec<String>,
    /// Environment of its own.
    pub env: BTreeMap<String, String>,
    /// When the next service may start. Default: at once.
    pub ready: Ready,
    /// How long readiness may take. Default: 60 s.
    pub timeout_s: u32,
    /// The signal that asks its process group to end, by number (`stop_signal = "SIGINT"`). Default: SIGTERM. A shell's
    /// `&` makes programs ignore SIGINT and SIGQUIT unless they handle them, as PostgreSQL does.
    pub stop_signal: u8,
    /// How long its process group may take to end before it is killed (`stop_timeout_s = 60`). Default: 10 s, and 20 s
    /// for all services that have the default.
    pub stop_timeout_s: Option<u32>,
}

/// `service.ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// At once.
    Started,
    /// `{ socket = PATH }`: a Unix socket accepts connections.
    Socket(String),
    /// `{ http = PATH }`: the web port answers a GET with any status below 500.
    Http(String),
    /// `{ port = N }`: a TCP port on the grain's loopback accepts connections.
    Port(u16),
    /// `{ file = PATH }`: a file exists.
    File(String),
}

/// `[web]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// The port on the grain's 127.0.0.1.
    pub port: u16,
    /// Other hosts that pages may lead to: `links_to = ["www.example.org", "*.example.net", "localhost:9000"]`, or `["*"]` for pages
    /// with links of their users. Default: none; then a link, a form or a redirect to another authority than that of the
    /// app fails a step of the exercise. What a page *loads* from a listed host is a warning.
    pub links_to: Vec<String>,
    /// Whether steps of the exercise load what a browser would load with their pages: scripts, styles, images, fonts, frames.
    /// Default: true.
    pub load: bool,
    /// The host that the app is given with each request instead of the one requested (`host = "localhost"`), for apps that accept
    /// only hosts that they know. `run`, `serve` and the exercise then change Host, Origin and Referer; in the app's responses, redirects and
    /// cookies lead back to the host requested. Default: the app sees the host requested.
    pub host: Option<String>,
}

/// `[[exercise]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request and what its answer must be.
    Request(Request),
    /// `restart = true`: the grain is stopped and started again on the same `/var`.
    Restart,
    /// `sleep = SECONDS`.
    Sleep {
        /// How long.
        millis: u64,
    },
    /// `run = [COMMAND…]`: a program of the root is run in the grain and must exit with 0.
    Run {
        /// Program and arguments; no shell.
        command: Vec<String>,
        /// Text that its output must hold.
        contains: Vec<String>,
        /// Values for later steps, taken from its output: name → regular expression whose group 1 counts.
        capture: BTreeMap<String, String>,
    },
}

/// A request of the exercise. `{name}` in path, headers, form and body is a captured value; `{base}`, `{host}` and `{port}` are those
/// of the URL in the user's browser.
///
/// A redirect is followed to its end, which must not be an error, and a page is loaded as browsers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `DELETE`, `HEAD`, or another that HTTP knows, such as WebDAV's `PROPFIND`.
    pub method: String,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Accepted statuses of the first response; empty accepts any below 500.
    pub status: Vec<u16>,
    /// Texts of which each must be in headers or body, of the first response or of the page that its redirects end at.
    pub contains: Vec<String>,
    /// Whether redirects are followed. Default: true. For one whose end is an error on purpose: `follow = false`.
    pub follow: bool,
    /// Whether what its page needs is loaded (`load = false`). Default: as `web.load`.
    pub load: Option<bool>,
    /// Whether it is only made to compare two roots; then nothing that is said fails or warns. No key of a recipe.
    pub is_explored: bool,
    /// Headers to send.
    pub header: BTreeMap<String, String>,
    /// What is sent.
    pub body: Body,
    /// Values for later steps: name → regular expression whose group 1 is taken from headers and
    /// body, as for `contains`, and HTML-unescaped.
    pub capture: BTreeMap<String, String>,
    /// Regular expressions whose matches are left out when two answers are compared.
    pub fold: Vec<String>,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// `form = { … }`: url-encoded fields in the recipe's order.
    Form(Vec<(String, String)>),
    /// `form = "files/x.form"`: url-encoded text; captured values are url-encoded on the way in.
    FormText(String),
    /// `body = { source = … }` or `{ text = … }`, with its Content-Type.
    Bytes {
        /// `type`, or by the source's ending, else `application/octet-stream`.
        content_type: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// `[prune]`. Globs match absolute paths; `*` stops at `/`, `**` does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Paths kept though nothing asked for them.
    pub keep: Vec<String>,
    /// Paths dropped though something did.
    pub drop: Vec<String>,
    /// Packages kept whole: Debian's, or `npm:NAME`.
    pub keep_package: Vec<String>,
    /// Locales whose files stay in packages that are kept whole ("de", "pt_BR"); `"*"` for all. English stays where it is
    /// one of an app's own languages (`i18n/en.json`), as does what a trace saw used. Default: none.
    pub locales: Vec<String>,
    /// Whether scripts and styles go that have a minified form beside them and that nothing asked for.
    pub minified: bool,
    /// `imports`: how much may stay, in bytes before compression, since code that stays imports it and no run loaded it
    /// (`"2 MB"`); `false` for none. `build` shows what goes beyond the bound, and warns of it where the recipe has not chosen
    /// the bound. Followed are imports of Python, Perl, Ruby, Node and PHP. Default: `"4 MB"`.
    pub imports_bytes: u64,
    /// Whether the recipe has `imports`.
    pub imports_set: bool,
    /// `companions`: what the code of libraries may weigh that is in the app's own language and stays because the app
    /// depends on it, however deep. The nearest go first; `"0 B"` for none. Default: 12 MB.
    pub companion_bytes: u64,
}

/// `[reduce]`: files that are made smaller inside. Default: by `symbols` alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reduce {
    /// `icu`: the data in libicudata, for roots whose apps speak few languages. Default: all.
    pub icu: Option<Icu>,
    /// `java`: the modules of Java itself in the JRE's `lib/modules`. Default: all.
    pub java: Option<Java>,
    /// `symbols`: whether programs and linked libraries lose the dynamic symbols that no file of the root can ask for, and
    /// the sections that only tools read. Say false where an app loads code that comes to it later, such as plug-ins in
    /// `/var`. Default: they lose them, unless the root holds a compiler or linker, or a file that cannot be read as
    /// ELF (a warning then).
    pub symbols: Option<bool>,
    /// `stubs`: libraries, by the names that others need them by (`["libgcrypt.so.20"]`), that are linked and
    /// never called. They keep their symbols alone; calling one ends the process. Default: none.
    pub stubs: Vec<String>,
    /// `bytecode`: whether Python's sources become empty lines where their byte code stays. Tracebacks then show no lines of
    /// code. Default: false.
    pub bytecode: bool,
    /// `not`: what `build` is not to propose: `icu`, `java`, `bytecode`, and libraries as in `stubs`. `build --reduce` adds what it
    /// tried and what did not prove, with the reason. Default: none.
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
    /// `{ empty = true }`: nothing at all. For roots where only libxml2 uses ICU: it asks the C library for charsets first.
    Empty,
    /// `{ languages = ["en", "de"] }`: the data of these languages, what all languages share, and what knows none.
    Kept {
        /// Languages without regions (ISO 639); `root` for the locale that all others fall back to. Without any, what all
        /// languages share goes too: then characters can be classified and normalised, and nothing be formatted or sorted.
        languages: Vec<String>,
        /// Whether the tables of charsets stay. Default: true.
        converters: bool,
    },
}

/// `[sandbox]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxKeys {
    /// Whether `/proc` is mounted in grains. Default: false.
    pub proc: bool,
    /// Whether grains have pseudo terminals of their own (`openpty(3)`): `/dev/pts`, `/dev/ptmx`, `/dev/tty`. Default: false.
    pub terminals: bool,
    /// Size of `/tmp`, `/run` and `/dev/shm` each. Default: 64 MB.
    pub tmp_bytes: u64,
}

/// `[budget]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// What the artifact may weigh.
    pub artifact_bytes: Option<u64>,
}

impl Recipe {
    /// Returns every Debian package asked for, in the order of apt's command line: the app's, then the rest.
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

    /// Returns every file of the recipe folder that is part of the recipe, by its path in the
    /// folder: recipe.toml, recipe.lock and used.list where they exist, and all below `files/`.
    /// Sorted; editors' backups and hidden files are left out.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn folder(&self) -> Result<BTreeMap<String, Vec<u8>>, RecipeError> {
        let mut out = BTreeMap::from([("recipe.toml".to_owned(), self.text.clone().into_bytes())]);
        for name in ["recipe.lock", "used.list"] {
            let path = self.directory.join(name);
            if path.exists() {
                out.insert(name.to_owned(), error::read(&path)?);
            }
        }
        let files = self.directory.join("files");
        if files.is_dir() {
            collect(&files, "files", &mut out)?;
        }
        Ok(out)
    }

    /// Returns a digest over [`Recipe::folder`].
    ///
    /// # Errors
    /// As there.
    pub fn folder_digest(&self) -> Result<Digest, RecipeError> {
        let mut text = String::new();
        for (name, bytes) in self.folder()? {
            text += &format!("{} {name}\n", Digest::of(&bytes));
        }
        Ok(Digest::of(text.as_bytes()))
    }
}

fn collect(at: &Path, name: &str, out: &mut BTreeMap<String, Vec<u8>>) -> Result<(), RecipeError> {
    let listing = fs::read_dir(at).map_err(|source| RecipeError::Read { path: at.to_path_buf(), source })?;
    for entry in listing {
        let entry = entry.map_err(|source| RecipeError::Read { path: at.to_path_buf(), source })?;
        let Some(own) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if own.starts_with('.') || own.ends_with('~') {
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

/// The longest recipe.toml: what it says takes up to a hundred times the memory of its text, and packages bring theirs.
const MAX_BYTES: u64 = 512 << 10;

/// Reads a recipe folder, or the recipe.toml in it.
///
/// # Errors
/// [`RecipeError`] names file, line and column, and the rule that was broken.
pub fn read(path: &Path) -> Result<Recipe, RecipeError> {
    let directory = match path.file_name() {
        Some(name) if name == "recipe.toml" => path.parent().unwrap_or(Path::new("")).to_path_buf(),
        _ => path.to_path_buf(),
    };
    let file = directory.join("recipe.toml");
    let text = String::from_utf8(error::read_bounded(&file, MAX_BYTES)?)
        .map_err(|_| RecipeError::NotText { path: file.clone() })?;
    keys::parse(&directory, &file, text)
}

/// Reads the text of a recipe.toml as if it lay in a recipe folder.
///
/// # Errors
/// As [`read`].
pub fn read_text(directory: &Path, text: String) -> Result<Recipe, RecipeError> {
    keys::parse(directory, &directory.join("recipe.toml"), text)
}

#[cfg(test)]
mod tests;
