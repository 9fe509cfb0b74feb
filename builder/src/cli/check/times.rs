//! `tinyroot check --times N`: whether the proof is the same each time.

use std::time::Instant;

use serde_json::json;

use super::{Args, Subject, recorded};
use crate::{
    cli::{Context, Failure, finish_json, print},
    line::{differs, warn_of},
    report::ProofRecord,
};

/// Repeats the proof, and reports each and at the end how many passed.
///
/// # Errors
/// A proof that failed.
pub(super) fn run(
    args: &Args,
    times: u32,
    record: &mut ProofRecord,
    context: &Context,
) -> Result<(), Failure> {
    let subject = recorded(Subject::of(args, context), args, record)?;
    let mut proofs = Vec::new();
    let mut passed = 0;
    for number in 1..=times {
        let began = Instant::now();
        let outcome = subject.prove(record);
        let seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let fault = match outcome {
            Err(error) => Some(Failure::from(error).to_string()),
            Ok(proof) => {
                if number == 1 {
                    warn_of(&proof, &context.progress);
                }
                let told: Vec<String> =
                    proof.differences.iter().map(|difference| format!("differs: {difference}")).collect();
                let failure =
                    || format!("{}\n{}", told.join("\n"), Failure::from(differs(&proof, &args.subject)));
                (!proof.differences.is_empty()).then(failure)
            }
        };
        passed += u32::from(fault.is_none());
        if !context.global.json {
            let how = if fault.is_none() { "passed" } else { "failed" };
            print(&format!("proof {number} of {times}: {how} ({seconds} s)\n"))?;
            fault.iter().try_for_each(|fault| print(&format!("{fault}\n")))?;
        }
        proofs.push(json!({ "passed": fault.is_none(), "seconds": seconds, "fault": fault }));
    }
    if context.global.json {
        let document = json!({ "times": times, "passed": passed, "proofs": proofs });
        finish_json(&document);
    } else {
        print(&format!("{passed} of {times} proofs passed\n"))?;
    }
    if passed == times {
        return Ok(());
    }
    let text = format!("{} of {times} proofs failed", times - passed);
    let hint = match passed {
        0 => "trace again, or keep what is named above",
        _ => "what differs now and then changes by itself: `fold` of its step leaves it out",
    };
    Err(Failure::new(text).hint(hint))
}
