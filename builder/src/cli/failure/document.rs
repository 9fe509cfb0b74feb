//! A failure as JSON, for scripts.
//!
//! ```text
//! {"error": {"kind", "message", "causes", "hint", "exit_status", "package", "file", "line", "column"}}
//! ```
//!
//! `kind` is `failed`, `usage`, `limit_exceeded` or `lock_drifted`. `hint` is null where there is none; the
//! last four are there where they are known. `packages` stands beside `package` where several are at fault.

use std::{error::Error, path::Path};

use serde_json::{Map, Value, json};

use super::{Failure, Kind};
use crate::{
    artifact::ArtifactError,
    configure::ConfigureError,
    error::{PathError, causes},
    evidence::UsedListError,
    fetch::FetchError,
    line::{Fault, LineError},
    lock::LockError,
    recipe::RecipeError,
    resolve::ResolveError,
    store::StoreError,
    unpack::UnpackError,
};

/// Returns the value of `error`.
pub(super) fn of(failure: &Failure) -> Value {
    let (kind, message, said) = match &failure.kind {
        Kind::Error(error) => {
            ("failed", error.to_string(), causes(&**error).skip(1).map(ToString::to_string).collect())
        }
        Kind::Usage(error) => return usage(error, failure.hint.as_deref()),
        Kind::Exceeded(text) => ("limit_exceeded", text.clone(), Vec::new()),
        Kind::Drifted(text) => ("lock_drifted", text.clone(), Vec::new()),
        Kind::Status(code) => ("failed", format!("the app ended with status {code}"), Vec::new()),
    };
    let status = failure.kind.status();
    let mut document = object(kind, message, said, failure.hint.as_deref(), status);
    if let Kind::Error(error) = &failure.kind {
        for (name, value) in causes(&**error).flat_map(subject) {
            document.entry(name).or_insert(value);
        }
    }
    document.into()
}

/// Returns the whole document for a command line that the grammar refuses.
pub fn of_usage(error: &clap::Error) -> Value {
    json!({ "error": usage(error, None) })
}

fn usage(error: &clap::Error, hint: Option<&str>) -> Value {
    let text = error.to_string();
    let mut parts = text.trim_end().splitn(2, "\n\n");
    let message = parts.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let hint = hint.or_else(|| parts.next().map(|text| text.trim_start_matches("hint: ")));
    object("usage", message, Vec::new(), hint, 2).into()
}

fn object(
    kind: &str,
    message: String,
    causes: Vec<String>,
    hint: Option<&str>,
    status: u8,
) -> Map<String, Value> {
    let fields = [
        ("kind", json!(kind)),
        ("message", json!(message)),
        ("causes", json!(causes)),
        ("hint", json!(hint)),
        ("exit_status", json!(status)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns what an error is about, as far as its type says so.
fn subject(error: &(dyn Error + 'static)) -> Vec<(&'static str, Value)> {
    let file = |path: &Path| ("file", json!(path));
    if let Some(error) = error.downcast_ref::<LineError>() {
        return match error.fault() {
            Fault::Recipe(error) => subject(error),
            Fault::Lock(error) => subject(error),
            Fault::Drifted(path) => vec![file(path)],
            Fault::Evidence(error) => subject(error),
            Fault::Resolve(error) => subject(error),
            Fault::Fetch(error) => subject(error),
            Fault::Unpack(error) => subject(error),
            Fault::Configure(error) => subject(error),
            Fault::Write(error) => vec![file(&error.path)],
            _ => Vec::new(),
        };
    }
    if let Some(error) = error.downcast_ref::<RecipeError>() {
        return match error {
            RecipeError::Rule { path, line, column, .. } => {
                vec![file(path), ("line", json!(line)), ("column", json!(column))]
            }
            RecipeError::Io(PathError { path, .. })
            | RecipeError::NotText { path }
            | RecipeError::Long { path, .. } => vec![file(path)],
        };
    }
    if let Some(error) = error.downcast_ref::<LockError>() {
        return match error {
            LockError::Invalid { path, line, .. } => vec![file(path), ("line", json!(line))],
            LockError::Missing { path } | LockError::Io(PathError { path, .. }) => vec![file(path)],
        };
    }
    if let Some(error) = error.downcast_ref::<UsedListError>() {
        return match error {
            UsedListError::Line { file: path, line, .. } => vec![file(path), ("line", json!(line))],
            UsedListError::Io(PathError { path, .. }) | UsedListError::TooLong(path) => vec![file(path)],
        };
    }
    if let Some(
        ArtifactError::Io(PathError { path, .. })
        | ArtifactError::Refused { path, .. }
        | ArtifactError::Exists(path),
    ) = error.downcast_ref()
    {
        return vec![file(path)];
    }
    if let Some(StoreError::Io(PathError { path, .. }) | StoreError::Open { path, .. }) = error.downcast_ref()
    {
        return vec![file(path)];
    }
    packages(error)
}

fn packages(error: &(dyn Error + 'static)) -> Vec<(&'static str, Value)> {
    let package = |name: &str| vec![("package", json!(name))];
    if let Some(UnpackError { name, .. }) = error.downcast_ref() {
        return package(name);
    }
    if let Some(ConfigureError::Script { package: name, .. }) = error.downcast_ref() {
        return package(name);
    }
    if let Some(ResolveError::Unknown { name, .. }) = error.downcast_ref() {
        return package(name);
    }
    let Some(FetchError { faults, .. }) = error.downcast_ref() else { return Vec::new() };
    let names: Vec<&str> = faults.iter().map(|(package, _)| &*package.name).collect();
    match &names[..] {
        [] => Vec::new(),
        [only] => package(only),
        [first, ..] => [package(first), vec![("packages", json!(names))]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_failure_tells_what_it_is_about_and_how_the_command_ends() {
        let source = io::Error::other("it is damaged");
        let error = ArtifactError::from(PathError::new("read", "tea.spk", source));
        let expected = json!({
            "kind": "failed", "message": "cannot read tea.spk", "causes": ["it is damaged"], "hint": "buy another",
            "exit_status": 1, "file": "tea.spk",
        });
        assert_eq!(of(&Failure::from(error).hint("buy another")), expected);
        let rows = [
            (Failure::new("no"), "failed", 1),
            (Failure::exceeded("no"), "limit_exceeded", 3),
            (Failure::drifted("no"), "lock_drifted", 3),
        ];
        for (failure, kind, status) in rows {
            let expected =
                json!({"kind": kind, "message": "no", "causes": [], "hint": null, "exit_status": status});
            assert_eq!(of(&failure), expected);
        }
    }
}
