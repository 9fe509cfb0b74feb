//! Steps that did not hold at a replay on a new grain: changed where what differs says nothing, else named.

mod messages;

use super::{StepDraft, write::inline};
use crate::exercise::{Miss, Outcome, Response, Transcript, compile};

/// Marks the comment that names a step.
const TODO: &str = "TODO: on a new grain this step does not hold: ";

/// Changes steps by what a replay found; returns what was changed, in words. `first` steps of the exercise stand before
/// them.
///
/// A title that was another one is expected no more, a capture that finds nothing is replaced by what was sent, and another
/// good status is accepted, too. A message that did not come is known by something else that did, or expected no more. A step of which that does not tell all is named by a comment, and so is a text of the
/// person that was not read back. Behind a step that was refused nothing is mended: what follows fails because of it. What
/// an earlier replay named is named no more.
pub fn mend(steps: &mut [StepDraft], first: usize, misses: &[Miss], transcript: &Transcript) -> Vec<String> {
    let mut changes = Vec::new();
    steps.iter_mut().for_each(|step| step.comment.retain(|line| !line.starts_with(TODO)));
    for miss in misses {
        let Some(number) = miss.step.checked_sub(first + 1).filter(|number| *number < steps.len()) else {
            continue;
        };
        if steps[number].stream.is_some() {
            let before = changes.len();
            messages::mend(steps, number, miss, &mut changes);
            if changes.len() == before {
                name(&mut steps[number], miss);
            }
            // Later steps of the stream do not find it open.
            break;
        }
        let said = said(transcript, miss.step);
        let Some(response) = said.first() else { continue };
        let full: Vec<Vec<u8>> = said.iter().map(|response| response.full()).collect();
        let is_said =
            |text: &str| full.iter().any(|said| memchr::memmem::find(said, text.as_bytes()).is_some());
        let step = &mut steps[number];
        let before = changes.len();
        let what = |change: String| format!("step {}, {}: {change}", miss.step, miss.what);
        let is_refused = !step.status.contains(&response.status) && response.status >= 400;
        if !step.status.contains(&response.status) && !is_refused {
            step.status.push(response.status);
            changes.push(what(format!("status {} is accepted, too", response.status)));
        }
        if !is_refused {
            step.contains.retain(|one| {
                let stays = one.is_written || is_said(&one.text);
                if !stays {
                    changes.push(what(format!("{:?} is expected no more", one.text)));
                }
                stays
            });
            let lost: Vec<String> = step
                .capture
                .iter()
                .filter(|(_, pattern)| {
                    let regex = compile(miss.step, pattern);
                    !regex.is_ok_and(|regex| full.iter().any(|said| regex.is_match(said)))
                })
                .map(|(name, _)| name.clone())
                .collect();
            for name in lost {
                release(steps, number, &name);
                changes.push(what(format!("`{name}` is not captured any more")));
            }
        }
        if changes.len() == before {
            name(&mut steps[number], miss);
        }
        if is_refused {
            break;
        }
    }
    changes
}

/// Returns the steps that are named, with their numbers in the exercise.
pub fn named(steps: &[StepDraft], first: usize) -> impl Iterator<Item = String> {
    steps.iter().enumerate().filter_map(move |(number, step)| {
        let why = step.comment.iter().find_map(|line| line.strip_prefix(TODO))?;
        Some(format!("step {}, {} {}: {why}", first + number + 1, step.method, super::braced(&step.path)))
    })
}

/// Names a step that does not hold.
fn name(step: &mut StepDraft, miss: &Miss) {
    let text = format!("{TODO}{}", miss.problems.first().map_or("", String::as_str));
    step.comment.push(text);
}

/// Takes a capture away: later steps send what was recorded, up to the next capture of the same name.
fn release(steps: &mut [StepDraft], number: usize, name: &str) {
    let own = &mut steps[number];
    own.capture.remove(name);
    own.expected_mut().for_each(|expected| drop(expected.capture.remove(name)));
    let Some(value) = own.values.remove(name) else { return };
    // Messages behind the one that captured it.
    inline(own, name, &value);
    for step in &mut steps[number + 1..] {
        inline(step, name, &value);
        if step.capture.contains_key(name) || step.expected_mut().any(|one| one.capture.contains_key(name)) {
            return;
        }
    }
}

/// Returns the response of a step, and the end of its redirects.
fn said(transcript: &Transcript, step: usize) -> Vec<&Response> {
    let first = transcript.steps.iter().find(|record| record.step == step);
    let end = transcript
        .beside
        .iter()
        .rfind(|record| record.step == step && record.what.contains(" (redirected from "));
    let responses = first.into_iter().chain(end).filter_map(|record| match &record.outcome {
        Outcome::Responded(response) => Some(response),
        _ => None,
    });
    responses.collect()
}
