//! Ctrl-C and kills: a clean end, or a mess that the next run removes.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tinyroot::testing::Fault;

use super::{
    World, pool_file,
    support::{names, text},
    traced_app::{RECIPE, TracedApp},
};

/// Starts a build that waits for a .deb for ever.
fn stalled(world: &World) -> Child {
    world.lock();
    world.server.fault(&pool_file(&world.made.directory, "tea"), Fault::Stall(1000));
    let url = world.server.url();
    let args = world.args(&["build", text(&world.recipe)], &url);
    let child = world.home.command().args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = child.expect("starts");
    let asked = || world.server.requests().iter().any(|request| request.path.contains("tea_"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !asked() {
        assert!(Instant::now() < deadline, "the build asks for nothing");
        sleep(Duration::from_millis(10));
    }
    child
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

#[test]
fn what_is_stopped_leaves_nothing_behind() {
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let world = World::new();
        let child = stalled(&world);
        assert_eq!(names(&world.home.path("cache/tmp")).len(), 1);
        signal(&child, sent);
        let output = child.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(code));
        assert!(String::from_utf8_lossy(&output.stderr).ends_with("stopped\n"));
        assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new());
        assert_eq!(names(&world.recipe), ["recipe.lock", "recipe.toml"]);
        world.server.heal();
        world.fetches();
    }
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() {
    let world = World::new();
    let mut child = stalled(&world);
    signal(&child, Signal::KILL);
    child.wait().expect("ends");
    assert_eq!(names(&world.home.path("cache/tmp")).len(), 1);
    world.server.heal();
    world.fetches();
    assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new());
}

/// Starts a grain of an app that takes a while to stop, and waits until it is ready.
fn slow_grain(traced: &TracedApp, grain: &str) -> Child {
    let mut command = traced.command(&["run", text(&traced.recipe.join("tea.spk")), "--grain", grain]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("is piped")).read_line(&mut line).expect("reads");
    assert!(line.starts_with("http://"), "{line}");
    child
}

#[test]
fn further_requests_to_stop_do_not_turn_the_clean_end_of_a_grain_into_a_kill() {
    let slow = RECIPE
        .replace("{ exit 0 }", "{ select(undef, undef, undef, 0.5); print STDERR \"clean\\n\"; exit 0 }");
    let Some(traced) = TracedApp::of(&slow, |tea| vec![tea]) else { return };
    traced.done(&["build", text(&traced.recipe), "--no-proof"]);
    for (number, pauses_ms) in [[0, 0], [5, 5], [50, 50], [200, 100], [20, 300]].into_iter().enumerate() {
        for (name, further) in [("int", Signal::INT), ("term", Signal::TERM)] {
            let child = slow_grain(&traced, &format!("{name}-{number}"));
            signal(&child, Signal::INT);
            for pause_ms in pauses_ms {
                sleep(Duration::from_millis(pause_ms));
                signal(&child, further);
            }
            let said = traced.ended(child.wait_with_output().expect("ends"), 0);
            assert!(said.contains("| clean\n"), "{said}");
        }
    }
}

#[test]
fn a_start_that_is_stopped_is_not_reported_as_the_apps_fault() {
    // From its second start on, the app gets nowhere.
    let begun = "if (-e \"/var/begun\") { print STDERR \"waiting\\n\"; sleep 60 }\n\
                 open(F, \">\", \"/var/begun\"); close F;\nsocket(S";
    let Some(traced) = TracedApp::of(&RECIPE.replacen("socket(S", begun, 1), |tea| vec![tea]) else { return };
    traced.done(&["build", text(&traced.recipe), "--no-proof"]);
    let first = slow_grain(&traced, "slow");
    signal(&first, Signal::INT);
    traced.ended(first.wait_with_output().expect("ends"), 0);
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command = traced.command(&["run", text(&traced.recipe.join("tea.spk")), "--grain", "slow"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let mut said = String::new();
        while !said.ends_with("waiting\n") {
            assert_ne!(stderr.read_line(&mut said).expect("reads"), 0, "{said}");
        }
        signal(&child, sent);
        stderr.read_to_string(&mut said).expect("reads");
        assert_eq!(child.wait().expect("ends").code(), Some(code), "{said}");
        assert!(said.ends_with("stopped\n"), "{said}");
    }
}
