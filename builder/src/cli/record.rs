//! What `tinyroot trace --record` does when the person stops: steps written, replayed, mended.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IsTerminal as _},
    path::Path,
};

use super::{
    Context, Failure,
    output::{ask, say},
};
use crate::{
    atomic,
    attempt::{self, Cause, Folder, Mend},
    error::{At as _, PathError},
    exercise::{Authority, ExerciseError},
    files,
    line::{Overlaid, Session},
    proxy::Tape,
    recipe::{self, Recipe, with_exercise},
    record::{self, Draft, Exchange, StepDraft, Wishes},
    shown,
};

/// How often the steps are replayed at most; each time but two, something was mended.
const REPLAYS: usize = 20;

/// Writes what was recorded as steps of a recipe, and replays them on new grains until they hold twice.
///
/// # Errors
/// A recipe folder that cannot be read or written; a grain that does not start. Steps that do not hold are a warning.
pub fn write(
    tape: &Tape,
    with_passwords: bool,
    overlaid: &Overlaid,
    session: &Session,
    context: &Context,
) -> Result<(), Failure> {
    let folder = &overlaid.sources.recipe.directory;
    let (takes, lost) = tape.takes();
    let (exchanges, unanswered) = record::read(&takes);
    drop(takes);
    let secrets = match with_passwords {
        true => record::secret_fields(&exchanges).into_iter().collect(),
        false => chosen(&exchanges, folder)?,
    };
    let wishes = Wishes { secrets, taken: taken(folder)? };
    let Draft { mut steps, notes } = record::draft(&exchanges, &wishes);
    if lost + unanswered > 0 {
        context.progress.warn(&format!("{} requests are not recorded", lost + unanswered));
    }
    notes.iter().for_each(|note| context.progress.warn(&shown::name(note)));
    if steps.is_empty() {
        context.progress.warn("nothing was recorded: no page was opened");
        return Ok(());
    }
    let tell = |text: &str| {
        if !context.global.quiet {
            say(text);
        }
    };
    // As it is now: its author may have edited it in the meantime.
    let mut before = recipe::read(folder)?.text;
    let (mut good, mut replays) = (0, 0);
    loop {
        let (recipe, first) = save(folder, &before, &steps)?;
        if replays == 0 {
            let count = steps.len();
            tell(&format!(
                "{}: {count} steps of {} requests",
                folder.join("recipe.toml").display(),
                exchanges.len()
            ));
        }
        if good == 2 || replays == REPLAYS {
            break;
        }
        replays += 1;
        let authorities = Authority::all(&recipe);
        let authority = &authorities[good % authorities.len()];
        let full = (overlaid.tree(), overlaid.epoch_s());
        let answered = attempt::replay(&recipe, full, authority, &session.store, &session.progress)?;
        let error = match answered {
            Ok(_) => {
                good += 1;
                record::mend(&mut steps, first, &[], &Default::default());
                continue;
            }
            Err(error) => error,
        };
        good = 0;
        if let Some(text) = with_links(&recipe, overlaid, &before, &error, &tell) {
            before = text;
            continue;
        }
        let ExerciseError::Missed { misses, transcript } = &error else {
            let failure = Failure::new(format!("the recorded steps do not hold on a new grain: {error}"));
            return Err(failure.hint(format!("edit {}/recipe.toml, then trace it", folder.display())));
        };
        let changes = record::mend(&mut steps, first, misses, transcript);
        changes.iter().for_each(|change| tell(&format!("mended: {change}")));
        if changes.is_empty() {
            save(folder, &before, &steps)?;
            record::named(&steps, first).for_each(|step| context.progress.warn(&shown::name(&step)));
            let more = misses.iter().filter(|miss| miss.step <= first);
            more.for_each(|miss| context.progress.warn(&shown::name(&miss.to_string())));
            context
                .progress
                .warn("the recorded steps do not hold on a new grain: recipe.toml names them as TODO");
            return Ok(());
        }
    }
    tell("they hold on two new grains");
    read_again(&before, &steps, overlaid, session, context)
}

/// Adds steps that restart the grain and read what was written, where these hold.
fn read_again(
    before: &str,
    steps: &[StepDraft],
    overlaid: &Overlaid,
    session: &Session,
    context: &Context,
) -> Result<(), Failure> {
    let folder = &overlaid.sources.recipe.directory;
    let Some(again) = record::again(steps) else { return Ok(()) };
    let (recipe, _) = write_steps(folder, before, &(record::text(steps) + &again))?;
    let full = (overlaid.tree(), overlaid.epoch_s());
    let authority = Authority::of_run(&recipe);
    match attempt::replay(&recipe, full, &authority, &session.store, &session.progress)? {
        Ok(_) if context.global.quiet => {}
        Ok(_) => say("what was written is read again after a restart"),
        Err(error) => {
            save(folder, before, steps)?;
            context.progress.warn(&format!(
                "after a restart, what was written is not read again, so no step does so: {}",
                shown::name(&error.to_string())
            ));
        }
    }
    Ok(())
}

/// Writes the files of steps, then the recipe; returns it as it is read, and how many steps stand before the recorded
/// ones.
fn save(folder: &Path, before: &str, steps: &[StepDraft]) -> Result<(Recipe, usize), Failure> {
    let draft = Draft { steps: steps.to_vec(), notes: Vec::new() };
    for (name, bytes) in draft.files() {
        files::create_dir_all(folder.join("files"))?;
        replace(&folder.join(name), bytes)?;
    }
    write_steps(folder, before, &record::text(steps))
}

/// Writes the recipe with steps; returns it as it is read, and how many steps stand before these.
fn write_steps(folder: &Path, before: &str, steps: &str) -> Result<(Recipe, usize), Failure> {
    let path = folder.join("recipe.toml");
    let Some((text, first)) = with_exercise(before, steps) else {
        return Err(Failure::new(format!("{} has no place for [[exercise]]", path.display())));
    };
    replace(&path, text.as_bytes())?;
    Ok((recipe::read(folder)?, first))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    atomic::replace(path, bytes).at("write", path)
}

/// Returns the text of a recipe that allows the links out of its pages; nothing where none of them failed a step.
fn with_links(
    recipe: &Recipe,
    overlaid: &Overlaid,
    text: &str,
    error: &ExerciseError,
    tell: &dyn Fn(&str),
) -> Option<String> {
    let causes =
        attempt::causes(recipe, overlaid.tree(), &[], &BTreeMap::new(), &error.to_string(), &|_| Vec::new());
    causes.into_iter().find_map(|Cause { mend, .. }| {
        let mend = mend.filter(|mend| matches!(mend, Mend::Links(_)))?;
        let folder = Folder { recipe: text.to_owned(), setup: None };
        let changed = attempt::apply(&folder, &mend)?.recipe;
        tell(&format!("mended: {mend}"));
        Some(changed)
    })
}

/// Returns the files of a recipe folder that steps could be given the names of.
fn taken(folder: &Path) -> Result<BTreeSet<String>, PathError> {
    let directory = folder.join("files");
    if !directory.is_dir() {
        return Ok(BTreeSet::new());
    }
    let entries = files::list(&directory)?;
    Ok(entries.iter().map(|entry| format!("files/{}", entry.file_name().to_string_lossy())).collect())
}

/// Asks a person which passwords may be written; without a terminal none.
fn chosen(exchanges: &[Exchange], folder: &Path) -> Result<BTreeSet<String>, Failure> {
    let fields = record::secret_fields(exchanges);
    if !io::stdin().is_terminal() {
        return Ok(BTreeSet::new());
    }
    let mut out = BTreeSet::new();
    for field in fields {
        let path = folder.join("recipe.toml");
        ask(&format!("write the password of field {} into {}? [y/N] ", shown::name(&field), path.display()));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).at("read", "standard input")?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            out.insert(field);
        }
    }
    Ok(out)
}
