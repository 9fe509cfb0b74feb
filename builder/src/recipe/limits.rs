//! `[limits]`.

use serde::Deserialize;
use toml::Spanned;

use super::{Limits, RecipeError, check::Checker};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsKeys {
    memory: Option<Spanned<String>>,
    cpu: Option<Spanned<f64>>,
}

pub(super) fn limits(check: &Checker<'_>, keys: LimitsKeys) -> Result<Limits, RecipeError> {
    let span = keys.memory.as_ref().map(Spanned::span);
    let memory_bytes = check.size(keys.memory, "limits.memory")?;
    if let (Some(span), Some(bytes)) = (span, memory_bytes)
        && bytes < Limits::LEAST_MEMORY_BYTES
    {
        return Err(check.rule(span, "limits.memory is below 8 MB, which nothing starts with"));
    }
    let cpu_millis = keys.cpu.map(|cpu| {
        let millis = *cpu.get_ref() * 1000.0;
        let is_whole = (millis - millis.round()).abs() < 1e-6;
        // The cast holds: the range is checked before it.
        match is_whole && (10.0..=1_000_000.0).contains(&millis) {
            true => Ok(millis.round() as u32),
            false => Err(check.rule(cpu.span(), "limits.cpu is 0.01 to 1000 processors, in steps of 0.001")),
        }
    });
    Ok(Limits { memory_bytes, cpu_millis: cpu_millis.transpose()? })
}
