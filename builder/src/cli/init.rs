//! `tinyroot init`: the beginnings of a recipe.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Context, Failure, output::say};
use crate::{
    archive::{Archive, Selection},
    atomic,
    attempt::{self, Cause, End, Folder, Mend},
    draft::{self, Draft, Shipped, Wanted},
    error::{At as _, PathError},
    files,
    line::{self, Overlaid, Session, choose, look_into, universe},
    recipe::{self, Recipe},
    resolve::{Request, Resolution, Universe},
    shown,
};

/// Start a recipe from Debian packages, and try it
///
/// Resolves the packages, reads what the app's own ones ship (units, init scripts, files of web servers, what
/// dbconfig-common is told, questions of debconf), and writes a recipe folder to be edited: recipe.toml with the file
/// and line that each guess was made from, and files/. The first package is the app.
///
/// Then it starts the app on its full root and asks for its first page. What keeps it from responding is told, and mended
/// in the recipe where that can be: another port, a directory of /var or /run, a path that it writes to, a package that
/// is only recommended, an option that keeps a program in the foreground.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot init radicale                               write recipes/radicale, and try it\n  \
    tinyroot init dokuwiki nginx php8.2-fpm --output d   write d\n  \
    tinyroot init --again recipes/radicale               try it again after an edit")]
pub struct Args {
    /// Debian packages, the app first, then those that it needs; with --again the recipe folder
    #[arg(required = true, value_name = "PACKAGE")]
    packages: Vec<String>,
    /// The suite, by codename
    #[arg(long, value_name = "SUITE", default_value = "bookworm")]
    suite: String,
    /// The folder to write, which must not exist yet [default: recipes/PACKAGE]
    #[arg(long, short, value_name = "DIR", conflicts_with = "again")]
    output: Option<PathBuf>,
    /// Go on with a recipe folder that is there: try it, and mend what can be
    #[arg(long)]
    again: bool,
    /// Write the recipe alone
    #[arg(long, conflicts_with = "again")]
    no_try: bool,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let session = context.session()?;
    if args.again {
        let [folder] = &args.packages[..] else {
            return Err(Failure::new("--again takes one recipe folder"));
        };
        return try_it(Path::new(folder), &session, context);
    }
    let default = || PathBuf::from("recipes").join(&args.packages[0]);
    let output = args.output.clone().unwrap_or_else(default);
    if fs::symlink_metadata(&output).is_ok() {
        let failure = Failure::new(format!("{} already exists", output.display()));
        return Err(failure.hint(format!(
            "name another folder with --output DIR, or try that one with `tinyroot init --again {}`",
            output.display()
        )));
    }
    let archive = session.open(&Selection::new(&args.suite, "amd64"))?;
    let universe = universe(&archive, &[])?;
    let (draft, files) = begin(args, &session, &archive, &universe)?;
    write(&output, &files)?;
    if !context.global.quiet {
        say(&summary(&draft, &output.display().to_string()));
    }
    match args.no_try {
        true => Ok(()),
        false => try_it(&output, &session, context),
    }
}

/// How often a recipe is mended and tried again.
const ROUNDS: usize = 8;

/// Starts the app of a recipe, and mends the recipe until it responds or nothing more is known.
fn try_it(folder: &Path, session: &Session, context: &Context) -> Result<(), Failure> {
    let tell = |text: &str| {
        if !context.global.quiet {
            say(text);
        }
    };
    for round in 1..=ROUNDS {
        let recipe = recipe::read(folder)?;
        let archive = session.open_of(&recipe.debian)?;
        let universe = universe(&archive, &recipe.debian.pins)?;
        let request = line::request(&recipe);
        let resolution = choose(&universe, &request)?;
        line::lock(&recipe, &archive, &request, &resolution).write(&recipe.lock_path())?;
        let before = texts(folder, &recipe)?;
        let overlaid = match line::overlay(recipe, session) {
            Ok(overlaid) => overlaid,
            Err(error) => {
                let cause = attempt::uncalled(&error.to_string());
                let mend = cause.as_ref().and_then(|cause| had(cause.mend.as_ref()?, &universe, &resolution));
                let mended = mend.as_ref().and_then(|mend| attempt::apply(&before, mend));
                let (Some(cause), Some(mend), Some(mended)) = (cause, mend, mended) else {
                    return Err(error.into());
                };
                tell(&format!("{}\n  mended: {mend}", shown::name(&cause.fact)));
                write_back(folder, &mended)?;
                continue;
            }
        };
        let recipe = &overlaid.sources.recipe;
        let tried =
            attempt::attempt(recipe, overlaid.tree(), overlaid.epoch_s(), &session.store, &session.progress)?;
        let (failure, answered) = match &tried.end {
            End::Answered { title } => {
                let shown = folder.display();
                let page =
                    title.as_ref().map_or(String::new(), |title| format!(": \"{}\"", shown::name(title)));
                tell(&format!(
                    "it responds after {:.1} s{page}\n{}",
                    tried.took.as_secs_f64(),
                    next(&shown.to_string())
                ));
                if let Some(text) = title.as_ref().and_then(|title| attempt::with_title(&recipe.text, title))
                {
                    replace(&folder.join("recipe.toml"), &text)?;
                }
                if title.as_ref().is_some_and(|title| attempt::tells_of_a_fault(title)) {
                    context.progress.warn("that page tells of a fault: look at it before you go on");
                }
                return Ok(());
            }
            End::NotReady(error) => (error.to_string(), String::new()),
            End::Missed(error) => (error.to_string(), error.to_string()),
        };
        let causes =
            attempt::causes(recipe, overlaid.tree(), &tried.said, &tried.ports, &answered, &|word| {
                places_of(word, &overlaid, session)
            });
        let mut texts = before.clone();
        for Cause { fact, mend } in causes.iter().take(MOST_CAUSES) {
            let is_last = matches!(mend, Some(Mend::Without(_)));
            let mend = mend.as_ref().filter(|_| !is_last || texts == before);
            let mend = mend.and_then(|mend| had(mend, &universe, &resolution));
            let mended = mend.as_ref().and_then(|mend| Some((mend, attempt::apply(&texts, mend)?)));
            match mended {
                Some((mend, changed)) => {
                    tell(&format!("{}\n  mended: {mend}", shown::name(fact)));
                    texts = changed;
                }
                None => tell(&shown::name(fact)),
            }
        }
        if texts == before || round == ROUNDS {
            let failure =
                Failure::new(format!("the app of {} does not respond yet: {failure}", folder.display()));
            let hint = format!("edit {0}/recipe.toml, then `tinyroot init --again {0}`", folder.display());
            return Err(failure.hint(hint));
        }
        write_back(folder, &texts)?;
    }
    Ok(())
}

/// The longest file of a configuration that is looked into, and how many places of a word are named.
const CONFIGURATION_BYTES: u64 = 1 << 20;
const MOST_PLACES: usize = 3;

/// Returns where a word stands in files of /etc, with lines.
fn places_of(word: &str, overlaid: &Overlaid, session: &Session) -> Vec<String> {
    let mut out = Vec::new();
    for (path, entry) in overlaid.tree().subtree(b"etc") {
        let content = entry.kind.content().filter(|(_, size_bytes)| *size_bytes <= CONFIGURATION_BYTES);
        let Some(bytes) = content.and_then(|(digest, _)| session.store.read(&digest).ok()) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().enumerate().filter(|(_, line)| line.contains(word));
        out.extend(lines.map(|(at, _)| format!("/{path}:{}", at + 1)));
        if out.len() >= MOST_PLACES {
            break;
        }
    }
    out.truncate(MOST_PLACES);
    out
}

/// How many causes of one failure are looked at.
const MOST_CAUSES: usize = 12;

/// Returns a mend that the archive has what it needs for: of packages the first that is there and not installed yet.
fn had(mend: &Mend, universe: &Universe<'_>, resolution: &Resolution) -> Option<Mend> {
    let Mend::Package(names) = mend else { return Some(mend.clone()) };
    let is_new = |name: &&String| universe.find(name).is_some() && resolution.get(name).is_none();
    names.iter().find(is_new).map(|name| Mend::Package(vec![name.clone()]))
}

/// Returns the texts of a recipe folder that mends change.
fn texts(folder: &Path, recipe: &Recipe) -> Result<Folder, Failure> {
    let script = folder.join("files/setup.sh");
    let setup = match (&recipe.setup, script.is_file()) {
        (Some(_), true) => Some(("files/setup.sh".to_owned(), files::read_to_string(&script)?)),
        _ => None,
    };
    Ok(Folder { recipe: recipe.text.clone(), setup })
}

fn write_back(folder: &Path, texts: &Folder) -> Result<(), Failure> {
    if let Some((name, text)) = &texts.setup {
        files::create_dir_all(folder.join("files"))?;
        replace(&folder.join(name), text)?;
    }
    replace(&folder.join("recipe.toml"), &texts.recipe)
}

fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(atomic::replace(path, text.as_bytes()).at("write", path)?)
}

fn next(shown: &str) -> String {
    format!(
        "next:\n  \
         edit {shown}/recipe.toml     noun, exercise, what it must not lose\n  \
         tinyroot trace {shown}       run it and see what it uses\n  \
         tinyroot build {shown}       prune, prove, pack and sign"
    )
}

/// Resolves the packages, reads what the app's own ones ship, and makes a draft over all that it needs.
fn begin(
    args: &Args,
    session: &Session,
    archive: &Archive,
    universe: &Universe<'_>,
) -> Result<(Draft, Vec<(String, String)>), Failure> {
    let request = |beside: &[(String, String)]| Request {
        packages: args.packages.iter().cloned().chain(beside.iter().map(|(name, _)| name.clone())).collect(),
        essential: true,
        prefer: vec![Request::MERGED_USR.into()],
        ..Request::default()
    };
    let first = request(&[]);
    let resolution = choose(universe, &first)?;
    // A package without the field is its own source (deb-control(5)).
    let source = |name: &str| {
        let source = universe.find(name).map_or("", |id| universe.package(id).source);
        source.split(' ').find(|word| !word.is_empty()).unwrap_or(name).to_owned()
    };
    let of_app = source(&args.packages[0]);
    let own = |name: &str| source(name) == of_app;
    let unpacked = look_into(archive, &first, &resolution, own, session)?;
    let shipped = Shipped::of(&unpacked.packages, &session.store);
    let names = installed(&resolution);
    let wanted =
        Wanted { packages: &args.packages, suite: &args.suite, installed: &names, shipped: &shipped };
    let beside = draft::beside(&wanted, &|name| universe.find(name).is_some());
    let resolution = choose(universe, &request(&beside))?;
    let names = installed(&resolution);
    let wanted = Wanted { installed: &names, ..wanted };
    let draft = Draft { beside, ..draft::draft(&wanted) };
    let files = draft::files(&draft, &wanted);
    Ok((draft, files))
}

fn installed(resolution: &Resolution) -> Vec<&str> {
    let mut names: Vec<&str> = resolution.packages.iter().map(|package| package.name.as_str()).collect();
    names.sort_unstable();
    names
}

fn summary(draft: &Draft, shown: &str) -> String {
    let mut text = format!("wrote {shown}");
    for service in &draft.services {
        text += &format!("\n  {}: {}", service.name, service.command.join(" "));
    }
    for todo in &draft.todo {
        text += &format!("\nTODO: {todo}");
    }
    text
}

/// Writes the folder beside its place and moves it there, so that there is never half a recipe.
fn write(output: &std::path::Path, files: &[(String, String)]) -> Result<(), PathError> {
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(std::path::Path::new("."));
    files::create_dir_all(parent)?;
    let made =
        tempfile::Builder::new().prefix(".init-").tempdir_in(parent).at("create a directory in", parent)?;
    let folder = made.path().join("recipe");
    files::create_dir_all(folder.join("files"))?;
    for (path, text) in files {
        files::write(folder.join(path), text)?;
    }
    files::rename(folder, output)
}
