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
