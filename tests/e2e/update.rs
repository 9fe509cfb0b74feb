//! `tinyroot update`: a lock moves with a proof, or not at all.

use std::{
    fs,
    io::Write as _,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tinyroot::testing::{ARCHIVE_TIME_S, Deb, Fault, MadeArchive, deb};

use super::{
    noise,
    support::{Ended, assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

/// A library of the app: its jug is asked for. The root's dpkg has nothing to do, so it is Essential.
fn milk(version: &str, jug: impl Into<Vec<u8>>) -> Deb {
    deb("milk").version(version).field("Essential", "yes").file("usr/share/milk/jug", 0o644, jug)
}

/// An app whose package is built, with milk 1.0, and where it lies.
fn built() -> Option<(TracedApp, String)> {
    let recipe = RECIPE.replace("[\"tea\"]", "[\"tea\", \"milk\"]")
        + "[[exercise]]\nget = \"/usr/share/milk/jug\"\ncontains = \"milk\"\n";
    let traced = TracedApp::of(&recipe, |tea| vec![tea, milk("1.0", "milk\n")])?;
    let package = text(&traced.recipe.join("tea.spk")).to_owned();
    traced.done(&["build", text(&traced.recipe)]);
    Some((traced, package))
}

/// Puts a package into the security updates, so many days later.
fn publish(traced: &TracedApp, days: i64, package: Deb) {
    MadeArchive::new("bookworm-security")
        .date_s(ARCHIVE_TIME_S + days * 86_400)
        .add(package)
        .write(&traced.home.path("archive"));
}

fn changelog() -> Vec<u8> {
    let text = "milk (1.1) bookworm-security; urgency=high\n\n  * Spills no more (CVE-2026-1234).\n\n -- A <a@example.org>  Mon, 02 Nov 2026 10:00:00 +0000\n\n\
                milk (1.0) bookworm; urgency=medium\n\n  * Fixes CVE-2020-1111.\n\n -- A <a@example.org>  Sun, 01 Nov 2026 10:00:00 +0000\n";
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).expect("packs");
    packed.finish().expect("packs")
}

fn update(traced: &TracedApp, more: &[&str]) -> Ended {
    end(&mut traced.command(&[&["update", text(&traced.recipe)], more].concat()))
}

fn lock(traced: &TracedApp) -> String {
    fs::read_to_string(traced.recipe.join("recipe.lock")).expect("reads")
}

#[test]
fn a_security_fix_moves_the_lock_and_the_text_says_all_of_it() {
    let Some((traced, package)) = built() else { return };
    let before = lock(&traced);
    let folder = || fs::read_dir(&traced.recipe).expect("lists").count();
    let files = folder();
    // Nothing to do.
    let ended = update(&traced, &[]);
    let said = format!("{}/recipe.lock is up to date: 2 packages\n", traced.recipe.display());
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "", &*said));
    assert_says(&update(&traced, &["--json"]).stdout, &[r#""up_to_date": true"#, r#""written": false"#]);

    let jug = [b"milk\n", &noise(200_000)[..]].concat();
    publish(&traced, 1, milk("1.1", jug).file("usr/share/doc/milk/changelog.gz", 0o644, changelog()));
    let title = "# tea: Update 1 package, 1 security fix\n";
    let dry = update(&traced, &["--dry-run"]);
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    assert_eq!(
        dry.stdout,
        format!(
            "{title}\n| package | from | to | |\n|---|---|---|---|\n| `milk` | `1.0` | `1.1` | **security** |\n"
        )
    );
    let locked = update(&traced, &["--locked"]);
    assert_eq!((locked.code, &locked.stdout), (Some(3), &dry.stdout), "{}", locked.stderr);
    assert_eq!((lock(&traced), folder()), (before.clone(), files));

    // The package that the build left is compared with.
    let old = traced.home.path("old.spk");
    fs::copy(&package, &old).expect("copies");
    let ended = update(&traced, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let row = "| `milk` | `1.0` | `1.1` | **security**, urgency high, CVE-2026-1234 |\n";
    assert_says(
        &ended.stdout,
        &[title, row, "\n## Size\n", "milk", "\n## Proof\n\n2 steps respond as on the full root"],
    );
    assert!(
        !ended.stdout.contains("Not compared") && !ended.stdout.contains("CVE-2020-1111"),
        "{}",
        ended.stdout
    );
    assert_ne!(lock(&traced), before);
    assert_eq!((update(&traced, &[]).code, folder()), (Some(0), files));

    // Another one is larger than allowed: it is there, and the status says so.
    fs::write(traced.recipe.join("recipe.lock"), &before).expect("writes");
    let ended = update(&traced, &["--before", text(&old), "--fail-over", "100k", "--json"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
    assert_eq!((&document["written"], &document["built"]["path"]), (&true.into(), &package.clone().into()));
    assert_eq!(document["changes"][0]["vulnerabilities"], serde_json::json!(["CVE-2026-1234"]));
    assert_eq!(document["error"]["kind"], "limit_exceeded");
    assert_ne!(lock(&traced), before);
}

#[test]
fn what_does_not_prove_leaves_the_lock_as_it_was_and_names_the_suspects() {
    let Some((traced, package)) = built() else { return };
    let (before, built) = (lock(&traced), fs::read(&package).expect("reads"));
    publish(&traced, 1, milk("1.1", "cream\n"));
    let ended = update(&traced, &["--json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert_says(
        &ended.stderr,
        &[
            "the exercise fails on the ",
            "recipe.lock is as it was; of what moved, this may be why: milk; `tinyroot lock ",
        ],
    );
    let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
    assert_eq!((&document["written"], &document["suspects"][0]), (&false.into(), &"milk".into()));
    assert_eq!((lock(&traced), fs::read(&package).expect("reads")), (before.clone(), built));
    // There is nothing to hold the size against, and that is said before the work.
    fs::remove_file(&package).expect("removes");
    let ended = update(&traced, &["--fail-over", "1%"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert_says(
        &ended.stderr,
        &["so --fail-over cannot be judged", "hint: name one with --before, or make it first"],
    );
    assert_eq!(lock(&traced), before);
}

#[test]
fn a_stop_puts_the_lock_back() {
    let Some((traced, _)) = built() else { return };
    let before = lock(&traced);
    publish(&traced, 1, milk("1.1", "milk 2\n"));
    let archive = MadeArchive::new("bookworm-security");
    traced.server.fault(&archive.path("main", &milk("1.1", "")), Fault::Stall(1));
    let mut child = traced.command(&["update", text(&traced.recipe)]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !traced.server.requests().iter().any(|request| request.path.contains("milk_1.1")) {
        assert!(Instant::now() < deadline, "nothing is fetched");
        sleep(Duration::from_millis(10));
    }
    assert_ne!(lock(&traced), before);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let said = traced.ended(child.wait_with_output().expect("ends"), 143);
    assert_says(&said, &["stopped"]);
    assert_eq!(lock(&traced), before);
}
