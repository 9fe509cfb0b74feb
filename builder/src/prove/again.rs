//! Differences that hold: what happens once may happen by chance, so it is asked again.
//!
//! Comes in: what both roots responded, and ways to run each once more. Goes out: the differences that each
//! run shows. A run that fails is repeated once, too: an app that is slow to start on a busy machine is not
//! one that lacks a file.

use super::{Difference, ProveError, compare};
use crate::{
    exercise::{Authority, ExerciseError, Transcript},
    grain::GrainError,
    progress::Progress,
    recipe::Step,
};

/// How often both roots are run again for differences that change.
const ROUNDS: usize = 2;

/// The responses of both roots so far.
#[derive(Debug, Default)]
pub(super) struct Sides {
    /// Runs of the full root.
    pub wholes: Vec<Transcript>,
    /// Runs of the pruned root.
    pub runs: Vec<Transcript>,
}

/// A difference, and where each run of the pruned root shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    difference: Difference,
    at: Vec<Authority>,
    everywhere: bool,
}

/// Returns the differences that hold, asking again as long as that changes them; `again` adds a run of each
/// root.
///
/// # Errors
/// Those of `again`.
pub(super) fn hold(
    steps: &[Step],
    sides: &mut Sides,
    mut again: impl FnMut(&Authority, &mut Sides) -> Result<(), ProveError>,
) -> Result<Vec<Difference>, ProveError> {
    let mut found = differences(steps, sides);
    for _ in 0..ROUNDS {
        if found.is_empty() {
            break;
        }
        for authority in places(&found, sides) {
            again(&authority, sides)?;
        }
        let before = std::mem::replace(&mut found, differences(steps, sides));
        if found == before {
            break;
        }
    }
    let told = found.into_iter().map(|Found { mut difference, at, everywhere }| {
        if let (false, [authority]) = (everywhere, &at[..]) {
            difference.clause += &format!(" (at {authority})");
        }
        if !everywhere {
            difference.at = at;
        }
        difference
    });
    Ok(told.collect())
}

/// Returns under which authorities to ask again: those that alone show a difference, else the first.
fn places(found: &[Found], sides: &Sides) -> Vec<Authority> {
    let all = sides.runs.iter().filter_map(|run| run.authority.clone());
    let own =
        |authority: &Authority| found.iter().any(|found| !found.everywhere && found.at.contains(authority));
    let mut out: Vec<Authority> = Vec::new();
    for authority in all {
        if !out.contains(&authority) && (own(&authority) || found.iter().all(|found| found.everywhere)) {
            out.push(authority);
        }
        if found.iter().all(|found| found.everywhere) && !out.is_empty() {
            break;
        }
    }
    out
}

/// Returns the differences that each run under one authority at least shows; what was left behind counts if
/// every run shows it.
fn differences(steps: &[Step], sides: &Sides) -> Vec<Found> {
    let of_run = |run: &Transcript| {
        // The full root under the same authority first: the others show values that change by themselves.
        let (same, others): (Vec<&Transcript>, Vec<&Transcript>) =
            sides.wholes.iter().partition(|whole| whole.authority == run.authority);
        compare(steps, &[same, others].concat(), run)
    };
    let lists: Vec<Vec<Difference>> = sides.runs.iter().map(of_run).collect();
    let is_in = |list: &[Difference], sought: &Difference| {
        list.iter().any(|other| (other.step, &other.what) == (sought.step, &sought.what))
    };
    let mut out: Vec<Found> = Vec::new();
    for difference in lists.iter().flatten() {
        if out.iter().any(|found| is_in(std::slice::from_ref(&found.difference), difference)) {
            continue;
        }
        let mut places: Vec<(Option<&Authority>, bool)> = Vec::new();
        for (run, list) in sides.runs.iter().zip(&lists) {
            let authority = run.authority.as_ref();
            let shows = is_in(list, difference);
            match places.iter_mut().find(|(place, _)| *place == authority) {
                Some((_, holds)) => *holds &= shows,
                None => places.push((authority, shows)),
            }
        }
        let everywhere = places.iter().all(|(_, holds)| *holds);
        let at = places.iter().filter(|(_, holds)| *holds).filter_map(|(place, _)| place.cloned()).collect();
        if everywhere || (difference.step != 0 && places.iter().any(|(_, holds)| *holds)) {
            out.push(Found { difference: difference.clone(), at, everywhere });
        }
    }
    out.sort_by_key(|found| (found.difference.step == 0, found.difference.step));
    out
}

/// Runs an exercise, and once more if it fails: a failure by chance is a warning.
///
/// # Errors
/// Those of the second run; of the first, where another run cannot help.
pub(super) fn twice<T>(
    progress: &Progress,
    mut run: impl FnMut() -> Result<T, ProveError>,
) -> Result<T, ProveError> {
    match run() {
        Err(error) if may_be_chance(&error) => {
            progress.detail(&format!("{error}; the exercise is repeated"));
            let second = run()?;
            progress.warn(&format!("failed once, and not when it was repeated: {error}"));
            Ok(second)
        }
        done => done,
    }
}

fn may_be_chance(error: &ProveError) -> bool {
    match error {
        ProveError::Grain { source, .. } => matches!(source, GrainError::Ended { .. }),
        ProveError::Exercise { source, .. } => !matches!(**source, ExerciseError::Pattern { .. }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::exercise::{Outcome, Record, Response};

    fn said(text: &str, host: &str) -> Transcript {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        let response = Response { status: 200, headers, body: text.as_bytes().to_vec() };
        let record = Record { step: 1, what: "GET /".to_owned(), outcome: Outcome::Responded(response) };
        let authority = Some(Authority { host: host.to_owned(), port: 1 });
        Transcript { steps: vec![record], authority, ..Transcript::default() }
    }

    /// Returns the differences, and under which hosts was asked again.
    fn held(
        wholes: &[(&str, &str)],
        runs: &[(&str, &str)],
        more: &BTreeMap<&str, (&str, &str)>,
    ) -> (Vec<String>, Vec<String>) {
        let side = |texts: &[(&str, &str)]| texts.iter().map(|(host, text)| said(text, host)).collect();
        let mut sides = Sides { wholes: side(wholes), runs: side(runs) };
        let mut asked = Vec::new();
        let found = hold(&[], &mut sides, |authority, sides| {
            asked.push(authority.host.clone());
            let (whole, pruned) = more[&authority.host[..]];
            sides.wholes.push(said(whole, &authority.host));
            sides.runs.push(said(pruned, &authority.host));
            Ok(())
        });
        let lines = found.expect("no run fails").into_iter().map(|found| found.clause);
        (lines.collect(), asked)
    }

    #[test]
    fn a_difference_counts_if_it_is_there_again() {
        let more = BTreeMap::from([("a", ("one\ntwo", "one\ntwo")), ("b", ("one\ntwo", "one"))]);
        let whole = [("a", "one\ntwo"), ("b", "one\ntwo")];
        let none: (Vec<String>, Vec<String>) = (vec![], vec![]);
        assert_eq!(held(&whole, &whole, &more), none);
        let (found, asked) = held(&whole, &[("a", "one"), ("b", "one\ntwo")], &more);
        assert_eq!((found.len(), &asked[..]), (0, &["a".to_owned()][..]), "{found:?}");
        let (found, asked) = held(&whole, &[("a", "one\ntwo"), ("b", "one")], &more);
        assert_eq!(found, ["its text differs (1 lines gone, 0 new) (at b:1)"]);
        assert_eq!(asked, ["b"]);
        let more = BTreeMap::from([("a", ("one\ntwo", "one"))]);
        let (found, asked) = held(&whole, &[("a", "one"), ("b", "one")], &more);
        assert_eq!(found, ["its text differs (1 lines gone, 0 new)"]);
        assert_eq!(asked, ["a"], "what is everywhere is asked for again at one place");
    }

    #[test]
    fn what_varies_is_learned_when_it_is_asked_again() {
        // Two runs of the full root with the same word, by chance.
        let more = BTreeMap::from([("a", ("id abc", "id xyz"))]);
        let (found, _) =
            held(&[("a", "id qqq"), ("b", "id qqq")], &[("a", "id foo"), ("b", "id bar")], &more);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_failure_counts_if_it_is_there_again() {
        let failure = || ProveError::Exercise {
            root: "pruned",
            authority: Authority { host: "127.0.0.1".into(), port: 8765 },
            source: Box::new(ExerciseError::Missed { misses: Vec::new(), transcript: Box::default() }),
            misses: Vec::new(),
            tail: Vec::new(),
        };
        let progress = Progress::silent();
        let mut results = vec![Ok(7), Err(failure())];
        let done = twice(&progress, || results.pop().unwrap_or_else(|| Err(failure())));
        assert_eq!(done.ok(), Some(7));
        let mut count = 0;
        let done: Result<(), _> = twice(&progress, || {
            count += 1;
            Err(failure())
        });
        assert!(done.is_err() && count == 2);
    }
}
