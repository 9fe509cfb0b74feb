//! Bad mirrors, proxies and missing suites, as a user sees them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tinyroot::testing::{Fault, MadeArchive, Server, deb};

use super::{
    World, pool_file,
    support::{assert_says, end, names, text},
    write_recipe,
};

#[test]
fn a_mirror_that_fails_now_and_then_is_no_obstacle() {
    for fault in [
        Fault::Status(503),
        Fault::Busy(429, "1".into()),
        Fault::CutOff(700),
        Fault::WrongBytes,
        Fault::HangUp,
    ] {
        let world = World::new();
        world.server.fault_every(3, fault);
        world.lock();
        world.fetches();
        // Of other bytes or of none the cache has nothing.
        assert_eq!(names(&world.home.path("cache/debs")).len(), 2);
    }
}

#[test]
fn a_wait_is_shown_and_ends_at_once_when_stopped() {
    let world = World::new();
    world.lock();
    world.server.fault(&pool_file(&world.made.directory, "tea"), Fault::Busy(503, "50".into()));
    let url = world.server.url();
    let args = world.args(&["build", text(&world.recipe)], &url);
    let child = world.home.command().args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("starts");
    let stderr = BufReader::new(child.stderr.take().expect("is a pipe"));
    let wait = format!(
        "waiting for {url}: the server responds with status 503 and requests a pause of 50 s; again in 50 s"
    );
    let mut lines = stderr.lines().map(|line| line.expect("reads"));
    assert!(lines.any(|line| line == wait), "no wait is shown");
    let stopped = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert!(stopped.elapsed() < Duration::from_secs(40), "it waited to the end");
}

#[test]
fn the_proxy_is_named_with_its_variable_where_it_is_at_fault() {
    let world = World::new();
    let closed = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("an address");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy"] {
        let url = "http://mirror.invalid/debian";
        let args = world.args(&["lock", text(&world.recipe), "--retry-time", "0"], url);
        let proxy = format!("http://me:secret@{closed}");
        let mut command = world.home.command();
        for other in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"] {
            command.env_remove(other);
        }
        let ended = end(command.args(args).env(name, proxy));
        assert_eq!(ended.code, Some(1));
        assert_says(
            &ended.stderr,
            &[
                &format!("cannot connect to the proxy http://{closed} ({name})"),
                "hint: mend or unset what names the proxy",
            ],
        );
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}

#[test]
fn further_mirrors_are_named_by_option_and_by_variable() {
    let world = World::new();
    world.lock();
    let path = pool_file(&world.made.directory, "tea");
    let further = world.home.path("further");
    fs::create_dir_all(further.join(&path).parent().expect("has one")).expect("makes");
    fs::rename(world.made.directory.join(&path), further.join(&path)).expect("moves");
    let second = Server::start(&further);
    let (one, two) = (world.server.url(), second.url());
    let stage = |output: &str, more: &[&str], variable: &str| {
        fs::remove_dir_all(world.home.path("cache")).expect("removes");
        let output = world.home.path(output);
        let mut args = vec!["stage", text(&world.recipe), "--output", text(&output)];
        args.extend(["--keyring", text(&world.made.keyring)]);
        args.extend(more);
        end(world.home.command().args(args).env("TINYROOT_MIRROR", variable)).stderr
    };
    let goes_on = "cannot configure a root without dpkg";
    assert_says(&stage("a.tar", &["--mirror", &one, "--mirror", &two], ""), &[goes_on]);
    assert_says(&stage("b.tar", &[], &format!("{one} {two}")), &[goes_on]);
    let said = stage("c.tar", &["--mirror", &one], "");
    assert_says(&said, &["cannot fetch tea 2: it is not there", "or a further mirror with --mirror URL"]);
}

#[test]
fn a_missing_security_suite_is_told_by_all_commands_alike() {
    let world = World::new();
    let leaf = |number: usize| deb(&format!("leaf{number}")).version("1");
    let security = (0..12).map(leaf).fold(MadeArchive::new("bookworm-security"), MadeArchive::add);
    security.write(&world.made.directory);
    let leaves: Vec<String> = (0..12).map(|n| format!("\"leaf{n}\"")).collect();
    write_recipe(&world.home, &format!("[\"tea\", {}]", leaves.join(", ")), "");
    world.lock();
    fs::remove_dir_all(world.made.directory.join("dists/bookworm-security")).expect("removes");
    fs::remove_dir_all(world.made.directory.join("pool/updates")).expect("removes");
    fs::remove_dir_all(world.home.path("cache")).expect("removes");
    let root = world.home.path("root.tar");
    for args in [
        vec!["resolve", "tea"],
        vec!["lock", text(&world.recipe)],
        vec!["stage", text(&world.recipe), "--output", text(&root)],
        vec!["build", text(&world.recipe)],
    ] {
        let said = world.fails(&args);
        assert_says(
            &said,
            &[
                "cannot fetch dists/bookworm-security/InRelease: it is not there",
                "hint: name a mirror that has security updates",
            ],
        );
        assert!(said.lines().count() < 6 && !said.contains("lock --update"), "{said}");
    }
}
