//! The beginnings of a recipe, read out of the packages of an app.
//!
//! Comes in: the app's packages, unpacked, and the names of all that would be installed with them. Goes out: a
//! [`Draft`]: services with the command lines that units have, a web server with the app's snippet, a database of its
//! own, setup, and for each guess the file and line that it was made from; and what could not be found, as a list.
//! First [`beside`] tells which packages the app wants beside its own Depends, then [`draft`] makes the recipe over all
//! of them. Nothing here reaches a network, starts a program or writes a file.
//!
//! ```text
//! shipped.rs     what the packages ship, as text, with places to name
//! daemons.rs     units and init scripts → programs that serve
//! site.rs        snippets of web servers, CGI programs, WSGI files → what is served where
//! database.rs    dbconfig-common and Depends → which database, and the file that tells the app of it
//! stack.rs       what of all that an app needs → packages beside it, services, files, setup
//! texts.rs       the configurations of servers, as small as they can be
//! write.rs       the draft → recipe.toml and files/
//! ```

mod daemons;
mod database;
mod servers;
mod shipped;
mod site;
mod stack;
mod texts;
mod told;
mod write;

pub use shipped::{Place, Shipped};
pub use stack::beside;

use std::collections::BTreeMap;

/// The input of a draft.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The packages that were named, the app first.
    pub packages: &'a [String],
    /// The suite.
    pub suite: &'a str,
    /// The names of all that would be installed, sorted.
    pub installed: &'a [&'a str],
    /// What the app's own packages ship.
    pub shipped: &'a Shipped,
}

impl Wanted<'_> {
    /// Returns the app's name, which is that of its first package.
    pub fn app(&self) -> &str {
        self.packages.first().map_or("app", String::as_str)
    }

    /// Returns what stands between two parts in the name of an installed package, where it begins with a digit
    /// (`8.2` for `php` and `-fpm`).
    fn version(&self, before: &str, after: &str) -> Option<&str> {
        let between = |name: &&'_ str| {
            name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).map(str::len)
        };
        self.installed
            .iter()
            .filter_map(|name| between(name).map(|length| &name[before.len()..before.len() + length]))
            .find(|version| {
                version.starts_with(|letter: char| letter.is_ascii_digit())
                    && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            })
    }
}

/// A recipe to be, with the reasons of all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The app's packages.
    pub own: Vec<String>,
    /// Packages beside them, each with a reason.
    pub beside: Vec<(String, String)>,
    /// Lines of the recipe's environment.
    pub env: BTreeMap<String, String>,
    /// Files that are laid over the root.
    pub files: Vec<Laid>,
    /// The steps of setup.sh.
    pub setup: Vec<Step>,
    /// Services, in starting order.
    pub services: Vec<Service>,
    /// The web port, and why that one.
    pub port: (u16, String),
    /// The path of the first page.
    pub first_page: String,
    /// Keys of `[web]` and `[sandbox]` beside the port, as lines of TOML, each with a reason.
    pub web: Vec<(String, String)>,
    /// Whether the app wants `/proc`, and why.
    pub proc: Option<String>,
    /// Questions of debconf: name, type, default.
    pub questions: Vec<(String, String, String)>,
    /// What texts for people tell of the app's pages and users, for comments.
    pub told: Vec<String>,
    /// What could not be found out.
    pub todo: Vec<String>,
}

/// A file or link over the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Laid {
    /// Where, in the root.
    pub path: String,
    /// What.
    pub what: What,
    /// Why.
    pub says: String,
}

/// What is laid over the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A file.
    File {
        /// Its name below files/.
        name: String,
        /// Its text.
        text: String,
        /// Its mode, if that is another than 0644.
        mode: Option<&'static str>,
    },
    /// A link, and its target.
    Link(String),
    /// A directory, which each start makes anew below /run.
    Directory,
    /// What the root has there, moved to a path below /var.
    Moved(String),
}

/// A part of setup.sh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The comment above it.
    pub says: String,
    /// Its lines.
    pub text: String,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The comment above it.
    pub says: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment of its own.
    pub env: BTreeMap<String, String>,
    /// The inside of `ready = { … }`.
    pub ready: Option<String>,
    /// Further lines.
    pub more: Vec<String>,
}

/// Makes the recipe of an app.
pub fn draft(wanted: &Wanted<'_>) -> Draft {
    stack::draft(wanted)
}

/// Returns the files of a recipe folder: their paths in it and their texts.
pub fn files(draft: &Draft, wanted: &Wanted<'_>) -> Vec<(String, String)> {
    write::files(draft, wanted)
}
