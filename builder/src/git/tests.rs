use std::{fs, os::unix::fs::symlink};

use super::*;
use crate::testing::Repository;

#[test]
fn the_commits_of_a_folder_and_its_files_at_each() {
    let Some(repository) = Repository::new() else { return };
    repository.commit("one", &[("recipes/tea/recipe.toml", "1"), ("other", "x")]);
    repository.commit("elsewhere", &[("other", "y")]);
    repository.commit("two", &[("recipes/tea/recipe.toml", "2"), ("recipes/tea/files/run", "#!")]);
    let folder = Folder::open(&repository.path().join("recipes/tea")).expect("is in a repository");
    assert_eq!(folder.path(), "recipes/tea");
    let commits = folder.commits(10).expect("lists");
    let subjects: Vec<_> = commits.iter().map(|commit| &commit.subject[..]).collect();
    assert_eq!(subjects, ["two", "one"]);
    assert_eq!(folder.commits(1).expect("lists").len(), 1);
    let texts = |revision: &str| {
        let files = folder.files(&folder.commit(revision).expect("is there")).expect("reads");
        let text = |(path, file): (String, CommittedFile)| {
            format!("{path}={}", String::from_utf8(file.bytes).expect("is text"))
        };
        files.into_iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(texts("HEAD"), ["files/run=#!", "recipe.toml=2"]);
    assert_eq!(texts("HEAD~2"), ["recipe.toml=1"]);
    assert_eq!(texts(&commits[1].id), ["recipe.toml=1"]);
    assert!(!folder.is_shallow().expect("says"));

    // One that is gone is still in the commits.
    fs::remove_dir_all(repository.path().join("recipes")).expect("removes");
    let gone = Folder::open(&repository.path().join("recipes/tea")).expect("is in a repository");
    assert_eq!(gone.path(), "recipes/tea");
    assert_eq!(gone.commits(10).expect("lists"), commits);
}

#[test]
fn what_cannot_be_read_is_named() {
    let Some(repository) = Repository::new() else { return };
    repository.commit("one", &[("tea/recipe.toml", "1")]);
    let folder = Folder::open(&repository.path().join("tea")).expect("is in a repository");
    for revision in ["nothing", "--all", "", "HEAD~9", "HEAD\nHEAD", "HEAD:tea"] {
        let error = folder.commit(revision).expect_err("is no commit");
        assert!(matches!(error, GitError::NoCommit { .. }), "{revision}: {error}");
    }
    let none = Folder::open(&repository.path().join("none")).expect("is in a repository");
    let error = none.files(&none.commit("HEAD").expect("is there")).expect_err("no such folder");
    assert!(matches!(error, GitError::NoFolder { .. }), "{error}");
    symlink("/etc/passwd", repository.path().join("tea/link")).expect("links");
    repository.commit("link", &[]);
    let error = folder.files(&folder.commit("HEAD").expect("is there")).expect_err("has a link");
    assert!(error.to_string().contains("`link` in commit"), "{error}");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let error = Folder::open(elsewhere.path()).expect_err("no repository");
    assert!(matches!(error, GitError::NoRepository { .. }), "{error}");
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let id = "a".repeat(40);
    for (mode, path, fault) in [
        ("100644", "../x", "is no path below the folder"),
        ("100644", "/etc/x", "is no path below the folder"),
        ("100644", "a//b", "is no path below the folder"),
        ("100644", "", "is no path below the folder"),
        ("120000", "a", "is a symbolic link"),
        ("160000", "a", "is a submodule"),
    ] {
        let read = Listed::read(format!("{mode} blob {id} 3\t{path}").as_bytes()).map(|_| ());
        assert_eq!(read, Err((shown::name(path), fault)));
    }
    assert!(Listed::read(format!("100755 blob {id}  3\ta/b").as_bytes()).is_ok());
    assert!(Listed::read(b"100755 blob x 3\ta").is_err());
}

#[test]
fn odd_commits_hide_no_others() {
    let Some(repository) = Repository::new() else { return };
    repository.commit("one", &[("tea/recipe.toml", "1")]);
    let (tree, parent) =
        (repository.made(&["rev-parse", "HEAD^{tree}"], b""), repository.made(&["rev-parse", "HEAD"], b""));
    let entry = repository.made(&["mktree"], b"");
    for (time, message) in [("99999999999999999999999", "much later\n"), ("-5", "")] {
        let tree = if message.is_empty() { &tree } else { &entry };
        let commit = format!(
            "tree {tree}\nparent {}\nauthor tinyroot <tinyroot@localhost> {time} +0000\n\
             committer tinyroot <tinyroot@localhost> {time} +0000\n\n{message}",
            repository.made(&["rev-parse", "HEAD"], b"")
        );
        let id = repository
            .made(&["hash-object", "-t", "commit", "-w", "--literally", "--stdin"], commit.as_bytes());
        repository.git(&["update-ref", "HEAD", &id]);
    }
    let folder = Folder::open(&repository.path().join("tea")).expect("is in a repository");
    let commits = folder.commits(10).expect("lists");
    let seen: Vec<_> = commits.iter().map(|commit| (&commit.subject[..], commit.time_s)).collect();
    assert_eq!(seen, [("", Some(-5)), ("much later", None), ("one", Some(1_700_000_000))]);
    assert_eq!(commits[2].id, parent);
}

#[test]
fn a_folder_that_unfolds_to_more_than_any_recipe_is_refused() {
    let Some(repository) = Repository::new() else { return };
    repository.commit("one", &[("tea/recipe.toml", "1")]);
    let blob = repository.made(&["rev-parse", "HEAD:tea/recipe.toml"], b"");
    let level = |kind: &str, id: &str| -> String {
        (0..10).map(|n| format!("{kind} {id}\tbranch-of-a-tree-{n}\n")).collect()
    };
    let mut tree = repository.made(&["mktree"], level("100644 blob", &blob).as_bytes());
    for _ in 0..8 {
        tree = repository.made(&["mktree"], level("040000 tree", &tree).as_bytes());
    }
    let id = repository.made(&["commit-tree", &tree, "-m", "a billion files"], b"");
    let folder = Folder::open(&repository.path()).expect("is in a repository");
    let error = folder.files(&id).expect_err("is refused");
    assert!(error.to_string().contains("prints more than"), "{error}");
}

#[test]
fn a_note_that_is_no_text_is_an_error_and_runs_nothing() {
    let Some(repository) = Repository::new() else { return };
    repository.commit("one", &[("tea/recipe.toml", "1")]);
    let commit = repository.made(&["rev-parse", "HEAD"], b"");
    let mark = repository.path().join("ran");
    let program = repository.path().join("program");
    fs::write(&program, format!("#!/bin/sh\n: > {}\n", mark.display())).expect("writes");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("closes");
    for (key, value) in [("log.showSignature", "true"), ("gpg.program", program.to_str().expect("is text"))] {
        repository.git(&["config", key, value]);
    }
    let text = repository.made(&["cat-file", "-p", "HEAD"], b"");
    let (head, message) = text.split_once("\n\n").expect("has both");
    let signed = format!(
        "{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n{message}\n"
    );
    let signed =
        repository.made(&["hash-object", "-t", "commit", "-w", "--literally", "--stdin"], signed.as_bytes());
    let bytes = |hex: &str| -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).expect("hex"), 16).expect("hex"))
            .collect()
    };
    let entry = [format!("100644 {commit}\0").as_bytes(), &bytes(&signed)].concat();
    let tree = repository.made(&["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], &entry);
    let notes = repository.made(&["commit-tree", &tree, "-m", "notes"], b"");
    repository.git(&["update-ref", "refs/notes/tinyroot", &notes]);
    let folder = Folder::open(&repository.path().join("tea")).expect("is in a repository");
    let error = folder.note("tinyroot", &commit).expect_err("is a commit");
    assert!(error.to_string().contains("the note is no text"), "{error}");
    assert!(!mark.exists(), "nothing of the repository's was run");
    assert_eq!(folder.note("other", &commit).expect("reads"), None);
    assert_eq!(folder.commits(9).expect("lists").len(), 1);
    assert!(!mark.exists(), "nothing of the repository's was run");
}
