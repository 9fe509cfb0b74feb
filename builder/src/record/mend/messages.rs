//! Messages of a stream that did not come on a new grain as they did in the recording.

use super::release;
use crate::{
    exercise::{Miss, MissedMessage, compile},
    record::{ExpectDraft, KnownBy, MessageDraft, StepDraft},
};

/// Stands above a step that sends and has nothing left to wait for.
const UNHEARD: &str = "TODO: nothing that the app says to this is expected";

/// Changes the messages of a step by what came: the one that was missed, and those behind it up to the next one that is
/// sent, of which each is now known by something that came, or is expected no more. Nothing is changed of a stream that
/// the app has ended.
pub fn mend(steps: &mut [StepDraft], number: usize, miss: &Miss, changes: &mut Vec<String>) {
    let Some(MissedMessage { number: first, is_absent, others }) = &miss.message else { return };
    let Some(first) = first.checked_sub(1) else { return };
    let what = |at: usize, change: String| {
        format!("step {}, {}: message {}: {change}", miss.step, miss.what, at + 1)
    };
    if !is_absent {
        // If it came, it has not what is captured of it.
        for name in captured(&steps[number], first) {
            release(steps, number, &name);
            changes.push(what(first, format!("`{name}` is not captured any more")));
        }
        return;
    }
    let mut others: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
    let mut gone = Vec::new();
    for at in first.. {
        let Some(expected) = expected_mut(&mut steps[number], at) else { break };
        // The first one was looked for already.
        let known = expected.known_by.iter().skip(usize::from(at == first));
        let found = known.clone().find_map(|known_by| {
            let place = others.iter().position(|message| is_known(known_by, message))?;
            Some((known_by.clone(), place))
        });
        match found {
            Some((known_by, place)) => {
                others.remove(place);
                if expected.known_by.first() != Some(&known_by) {
                    changes.push(what(at, format!("{} is expected instead", known_by.text())));
                    let before = expected.known_by.iter().take_while(|one| **one != known_by).count();
                    expected.known_by.drain(..before);
                }
            }
            None => {
                let text = expected.known_by.first().map(KnownBy::text).unwrap_or_default();
                changes.push(what(at, format!("{text} is expected no more")));
                gone.push(at);
            }
        }
    }
    for at in gone.into_iter().rev() {
        captured(&steps[number], at).iter().for_each(|name| release(steps, number, name));
        if let Some(stream) = &mut steps[number].stream {
            stream.messages.remove(at);
        }
    }
    let step = &mut steps[number];
    if step.expected_mut().next().is_none() && !step.comment.iter().any(|line| line == UNHEARD) {
        step.comment.push(UNHEARD.to_owned());
    }
}

fn is_known(known_by: &KnownBy, message: &[u8]) -> bool {
    match known_by {
        KnownBy::Whole(text) | KnownBy::Part(text) => {
            memchr::memmem::find(message, text.as_bytes()).is_some()
        }
        KnownBy::Match(regex) => compile(0, regex).is_ok_and(|regex| regex.is_match(message)),
    }
}

/// Returns the names of what is captured of a message.
fn captured(step: &StepDraft, at: usize) -> Vec<String> {
    match step.stream.as_ref().and_then(|stream| stream.messages.get(at)) {
        Some(MessageDraft::Expect(expected)) => expected.capture.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn expected_mut(step: &mut StepDraft, at: usize) -> Option<&mut ExpectDraft> {
    match step.stream.as_mut()?.messages.get_mut(at)? {
        MessageDraft::Expect(expected) => Some(expected),
        MessageDraft::Text(_) | MessageDraft::Binary(_) => None,
    }
}
