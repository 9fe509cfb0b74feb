//! Ctrl-C and kills: a clean end, or a mess that the next run removes.

use std::{
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tinyroot::testing::Fault;

use super::{
    World, pool_file,
    support::{names, text},
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
