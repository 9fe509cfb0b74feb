//! The command line: one file a command below `cli/`, each calling stages in order.
//!
//! Only this room prints and chooses exit codes: 0 done; 1 failed; 2 usage; 3 a limit that was asked for is
//! exceeded, or a lock has drifted; `run` passes on the app's status.

mod browser;
mod build;
mod cache;
mod check;
mod convert;
mod diff;
mod docs;
mod exit;
mod failure;
mod fetch;
mod grains;
mod init;
mod input;
mod inspect;
pub mod key;
mod kube;
mod lock;
mod log;
mod man;
mod missed;
mod output;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod record;
mod registry;
mod remote;
mod resolve;
mod run;
mod screen;
mod secret;
mod serve;
mod session;
mod shell;
mod signers;
mod signing;
mod stage;
mod surroundings;
mod trace;
mod unpack;
mod update;
mod verify;
mod why;

pub use crate::progress::size_text;
pub use cache::seal;
pub use failure::Failure;
pub use output::{print, print_page};

use output::{finish_json, say};
pub use screen::Screen;
use surroundings::Color;

use std::{
    ffi::OsString,
    fs::File,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, OnceLock},
};

use clap::{
    Args, ColorChoice, CommandFactory, FromArgMatches as _, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    artifact::Format,
    atomic,
    progress::Progress,
    remote::RemoteCache,
    sandbox::{Way, choose_way},
    shutdown,
    store::Store,
    sys::signals::Stops,
    threads::{self, Turns},
};

/// Turns Debian packages into tiny, sealed, per-app Debian roots.
#[derive(Debug, Parser)]
#[command(name = "tinyroot", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "A first app:\n  \
    tinyroot build recipes/dokuwiki       make recipes/dokuwiki/dokuwiki.spk\n  \
    tinyroot run dokuwiki.spk             start it and print its URL\n\n\
    Mirrors are taken from the recipe, then --mirror or TINYROOT_MIRROR, else from this host's apt sources.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Base URL of a Debian mirror, or file:///PATH; several, separated by blanks or each with --mirror, are
    /// tried in turn
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TINYROOT_MIRROR",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub mirror: Vec<String>,
    /// Directory of downloads, unpacked packages and layers [default: ~/.cache/tinyroot]
    #[arg(long, global = true, value_name = "DIR", env = "TINYROOT_CACHE", hide_env_values = true)]
    pub cache: Option<PathBuf>,
    /// Armored OpenPGP certificates that verify the archive, instead of Debian's own
    #[arg(long, global = true, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// Base URL of past states of Debian's archive, with {archive} and {time} in it, for versions that have
    /// left the mirrors
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TINYROOT_SNAPSHOT_SERVICE",
        hide_env_values = true
    )]
    pub snapshot_service: Option<String>,
    /// Base URL of the npm registry for recipes with [[npm]] that name none [default: as npm is configured]
    #[arg(long, global = true, value_name = "URL", env = "TINYROOT_NPM_REGISTRY", hide_env_values = true)]
    pub npm_registry: Option<String>,
    /// Directory that `tinyroot fetch` filled: packages are taken from there before any mirror is used
    #[arg(long, global = true, value_name = "DIR", env = "TINYROOT_POOL", hide_env_values = true)]
    pub pool: Option<PathBuf>,
    /// The remote cache
    #[command(flatten)]
    pub remote: remote::Remote,
    /// How long to retry a file whose mirror is busy or fails; 0: not at all
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        env = "TINYROOT_RETRY_TIME",
        hide_env_values = true,
        default_value_t = 60
    )]
    pub retry_time: u64,
    /// Use what is cached; reach no network
    #[arg(long, global = true)]
    pub offline: bool,
    /// Fail rather than change or make a lock
    #[arg(long, global = true)]
    pub locked: bool,
    /// Print errors and results only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print decisions of each stage
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print results as one JSON document; on failure it has `error`
    #[arg(long, global = true)]
    pub json: bool,
    /// When errors and warnings have colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// How progress is shown
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t = surroundings::Progress::Auto)]
    pub progress: surroundings::Progress,
}

/// The commands, in the order of the line.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Resolve(resolve::Args),
    Lock(lock::Args),
    Update(update::Args),
    Fetch(fetch::Args),
    Stage(stage::Args),
    Trace(trace::Args),
    Build(build::Args),
    Check(check::Args),
    Run(run::Args),
    Serve(serve::Args),
    Grains(grains::Args),
    Cache(cache::Args),
    Why(why::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
    Convert(convert::Args),
    Kube(kube::Args),
    Diff(diff::Args),
    Log(log::Args),
    Unpack(unpack::Args),
    Key(key::Args),
    /// Print completions for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    Man(man::Args),
    Docs(docs::Args),
}

/// What to do about a command that has no document.
const NO_JSON: &str = "leave out --json";

/// Returns the parser of a package's format.
fn formats() -> impl TypedValueParser<Value = Format> {
    let names = PossibleValuesParser::new(Format::ALL.map(Format::name));
    names.try_map(|name| Format::named(&name).ok_or("not a format"))
}

/// The context of a command.
pub struct Context {
    /// Options of every command.
    pub global: Global,
    /// Where stages tell their progress.
    pub progress: Progress,
    store: OnceLock<Arc<Store>>,
    remote: OnceLock<Arc<RemoteCache>>,
    /// Turns at stages that take all cores, for recipes that are built side by side.
    heavy: Turns,
    /// Layouts of images that were fetched, until the command ends.
    pulled: Mutex<Vec<atomic::Directory>>,
    /// What came on standard input, until the command ends.
    kept: Mutex<Vec<File>>,
}

impl Context {
    fn new(global: Global) -> Self {
        let progress = Progress::new(Arc::new(Screen::new(global.quiet, global.verbose, global.progress)));
        Context {
            global,
            progress,
            store: OnceLock::new(),
            remote: OnceLock::new(),
            heavy: Turns::of(1),
            pulled: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// Returns the context of one of several pieces of work side by side, whose lines begin with a name.
    fn named(&self, name: &str, heavy: Turns) -> Self {
        Context {
            global: self.global.clone(),
            progress: self.progress.named(name),
            store: self.store.clone(),
            remote: self.remote.clone(),
            heavy,
            pulled: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// Returns the store, opened at first use.
    ///
    /// # Errors
    /// No home directory, or a cache that cannot be written to.
    pub fn store(&self) -> Result<Arc<Store>, Failure> {
        if let Some(store) = self.store.get() {
            return Ok(store.clone());
        }
        let store = cache::open(&self.cache_directory()?, &self.progress)?;
        Ok(self.store.get_or_init(|| Arc::new(store)).clone())
    }

    /// Returns the form of a result: as `--format` gives it, that of `--json`, or else text.
    ///
    /// # Errors
    /// Another form beside `--json`: a wrong command line.
    fn form<F: ValueEnum + PartialEq>(&self, given: Option<F>, [text, json]: [F; 2]) -> Result<F, Failure> {
        let form = given.unwrap_or(if self.global.json { json.clone() } else { text });
        if !self.global.json || form == json {
            return Ok(form);
        }
        let name = form.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        Err(Failure::conflict(&format!("--json cannot be used with --format {name}")))
    }

    /// Refuses `--json` where a result is not a document, or has standard output for itself.
    ///
    /// # Errors
    /// `--json`: a wrong command line.
    fn refuse_json(&self, what: &str, hint: &str) -> Result<(), Failure> {
        match self.global.json {
            true => Err(Failure::wrong_value(&format!("{what} has no JSON"), hint)),
            false => Ok(()),
        }
    }

    fn cache_directory(&self) -> Result<PathBuf, Failure> {
        if let Some(given) = &self.global.cache {
            return Ok(given.clone());
        }
        xdg_directory("XDG_CACHE_HOME", ".cache").ok_or_else(|| {
            Failure::new("HOME is not set to an absolute path").hint("name a directory with --cache DIR")
        })
    }
}

/// Returns tinyroot's directory below one of the XDG base directories; `None` without a home.
pub fn xdg_directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = given.or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        home.map(|home| home.join(below_home))
    });
    base.map(|base| base.join("tinyroot"))
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let Cli { global, command } = match parse() {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    output::set_color(global.color.is_wanted());
    let is_json = global.json;
    let context = Context::new(global);
    let watched = match command {
        // They stop their apps themselves.
        Command::Run(_) | Command::Serve(_) => Ok(()),
        _ => tidy_up_when_stopped(),
    };
    let is_grain = matches!(command, Command::Run(_) | Command::Serve(_));
    let result = watched.and_then(|()| read_way()).and_then(|()| dispatch(&command, &context));
    let result = cache::mended(result, &command, is_grain, &context);
    context.fill_remote_cache();
    failure::conclude(result, is_json)
}

/// Reads `TINYROOT_WAY`, for all sandboxes of this process.
fn read_way() -> Result<(), Failure> {
    let Some(name) = std::env::var_os("TINYROOT_WAY").filter(|name| !name.is_empty()) else { return Ok(()) };
    let name = name.to_string_lossy();
    let way = Way::of_name(&name).ok_or_else(|| {
        Failure::new(format!("TINYROOT_WAY is `{name}`, which is not a way to be root-like"))
            .hint("set it to root, subordinate, single or chroot, or unset it")
    })?;
    choose_way(way);
    Ok(())
}

/// Reads the command line. One that is wrong, or asks for help, has been answered when this returns the
/// status to end with.
fn parse() -> Result<Cli, ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let color = match Color::asked(&arguments) {
        Color::Always => ColorChoice::Always,
        // Help goes to standard output, which need not be a terminal where stderr is.
        asked if asked.is_wanted() => ColorChoice::Auto,
        _ => ColorChoice::Never,
    };
    let is_json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let harmless = secret::refuse_keys(&arguments, std::env::vars_os());
    let matches = harmless.and_then(|()| Cli::command().color(color).try_get_matches_from(arguments));
    let read = matches.and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches)?;
        cli.global.remote.note_ring(&matches);
        Ok(cli)
    });
    read.map_err(|error| {
        let is_help = !error.use_stderr();
        if let Err(failure) = output::written(error.print())
            && is_help
        {
            return failure::conclude(Err(failure), false);
        }
        if is_json && !is_help {
            let _ = print(&format!("{:#}\n", failure::of_usage(&error)));
        }
        exit::of_usage(&error)
    })
}

/// Lets Ctrl-C and requests to end leave nothing half-done behind. To be called before any thread is started.
fn tidy_up_when_stopped() -> Result<(), Failure> {
    let stops = Stops::block()?;
    let watch = std::thread::Builder::new().name("stops".into()).spawn(move || {
        let mut signal = stops.wait();
        while shutdown::run_stop_handler() {
            signal = stops.wait();
        }
        shutdown::tidy_up();
        say("stopped");
        exit::stopped(signal);
    });
    watch
        .map(drop)
        .map_err(|error| Failure::new(format!("cannot start a thread: {error}")).hint(threads::HINT))
}

fn dispatch(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Init(args) => init::run(args, context),
        Command::Resolve(args) => resolve::run(args, context),
        Command::Lock(args) => lock::run(args, context),
        Command::Update(args) => update::run(args, context),
        Command::Fetch(args) => fetch::run(args, context),
        Command::Stage(args) => stage::run(args, context),
        Command::Trace(args) => trace::run(args, context),
        Command::Build(args) => build::run(args, context),
        Command::Check(args) => check::run(args, context),
        Command::Run(args) => run::run(args, context),
        Command::Serve(args) => serve::run(args, context),
        Command::Grains(args) => grains::run(args, context),
        Command::Cache(args) => cache::run(args, context),
        Command::Why(args) => why::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Convert(args) => convert::run(args, context),
        Command::Kube(args) => kube::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Log(args) => log::run(args, context),
        Command::Unpack(args) => unpack::run(args, context),
        Command::Key(args) => key::run(args, context),
        Command::Completions { shell } => {
            context.refuse_json("completions", NO_JSON)?;
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "tinyroot", &mut text);
            print(&String::from_utf8_lossy(&text))
        }
        Command::Man(args) => man::run(args, context),
        Command::Docs(args) => docs::run(args, context),
    }
}
