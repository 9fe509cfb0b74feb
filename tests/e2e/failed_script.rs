//! A maintainer script that fails: told with all that one needs, and there to be looked at.

use std::{
    io::{Read, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tinyroot::testing::{deb, skip};

use super::{
    World,
    base::base,
    support::{Ended, assert_says, names, text},
};

/// A package whose postinst does some of its work, then fails.
fn spilt() -> Option<World> {
    let base = match base() {
        Ok(base) => base,
        Err(why) => {
            skip(&why);
            return None;
        }
    };
    let postinst = "#!/bin/sh\nset -e\necho half > /etc/tea\necho hot > /tmp/cup\nchown 0:8 /etc/tea\nmkdir -m 0 /etc/shut\n\
                    echo spilt >&2\nfalse\n";
    let world = World::of(vec![base, deb("tea").script("postinst", postinst)]);
    world.lock();
    Some(world)
}

/// Begins to stage the root, with a shell that reads from a pipe.
fn begin(world: &World, way: &str) -> Child {
    let (url, root) = (world.server.url(), world.home.path("root"));
    let args =
        world.args(&["stage", text(&world.recipe), "--output", text(&root), "--shell-on-failure"], &url);
    let mut command = world.home.command();
    command.args(args).env("TINYROOT_WAY", way);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
}

/// Stages the root with a shell that reads these words.
fn look(world: &World, way: &str, words: &str) -> Ended {
    let mut child = begin(world, way);
    child.stdin.take().expect("is piped").write_all(words.as_bytes()).expect("takes words");
    let output = child.wait_with_output().expect("ends");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), stdout: said(&output.stdout), stderr: said(&output.stderr) }
}

/// The ways to be root-like that can be tried here.
fn ways() -> Vec<&'static str> {
    let subordinate = tinyroot::sandbox::Ids::RootLike(tinyroot::sandbox::Way::Subordinate);
    let mut ways = vec!["single"];
    match subordinate.id_maps() {
        Ok(_) => ways.push("subordinate"),
        Err(error) => skip(&format!("a root of subordinate ids: {error}")),
    }
    if rustix::process::geteuid().is_root() {
        ways.push("root");
    }
    ways
}

#[test]
fn is_named_with_its_words_and_how_to_look_inside() {
    let Some(world) = spilt() else { return };
    let said = world.fails(&["stage", text(&world.recipe), "--output", text(&world.home.path("root"))]);
    let reason =
        "cannot configure tea: installed tea package post-installation script subprocess returned error";
    let hint = "hint: look inside with `tinyroot stage RECIPE --output DIR --shell-on-failure`";
    let hint = hint.replace("RECIPE", text(&world.recipe));
    assert_says(&said, &[reason, "\n  spilt\n", &hint]);
    assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new());
}

#[test]
fn opens_a_shell_in_the_root_as_it_left_it() {
    let Some(world) = spilt() else { return };
    for way in ways() {
        let words = "pwd; cat /etc/tea /tmp/cup; echo $DEBIAN_FRONTEND $HOME; echo more > /etc/more\ncd /tmp; exit 7\necho no\n";
        let ended = look(&world, way, words);
        assert_eq!(ended.stdout, "/\nhalf\nhot\nnoninteractive /root\n", "{way}: {}", ended.stderr);
        assert_eq!(ended.code, Some(1), "{way}");
        let introduced = "cannot configure tea: installed tea package post-installation script subprocess returned \
                          error exit status 1\na shell in its root, as the failure left it; `exit` ends it";
        assert_says(&ended.stderr, &[introduced, "error: cannot configure tea: ", "\n  spilt\n"]);
        assert!(!ended.stderr.contains("hint:"), "{way}: {}", ended.stderr);
        assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new(), "{way}");
        assert!(!world.home.path("root").exists(), "{way}");
    }
}

/// Reads until what was read ends with some words.
fn read_until(output: &mut impl Read, words: &str) -> String {
    let mut said = Vec::new();
    while !said.ends_with(words.as_bytes()) {
        let mut byte = [0];
        let count = output.read(&mut byte).expect("reads");
        assert_eq!(count, 1, "{words:?} never comes:\n{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_request_to_stop_ends_the_shell_and_removes_its_root() {
    let Some(world) = spilt() else { return };
    for way in ways() {
        let mut child = begin(&world, way);
        child.stdin.as_mut().expect("is piped").write_all(b"echo in\n").expect("takes words");
        read_until(child.stdout.as_mut().expect("is piped"), "in\n");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
        assert_eq!(child.wait().expect("ends").code(), Some(143), "{way}");
        assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new(), "{way}");
    }
}

#[test]
fn ctrl_c_on_a_terminal_is_for_what_runs_in_the_shell() {
    if !Path::new("/usr/bin/script").exists() {
        return skip("no terminal can be had here; Debian's package bsdutils has `script`, which makes one");
    }
    let Some(world) = spilt() else { return };
    let (url, root) = (world.server.url(), world.home.path("root"));
    let words =
        world.args(&["stage", text(&world.recipe), "--output", text(&root), "--shell-on-failure"], &url);
    let command = world.home.command();
    let line = format!("{} {}", command.get_program().to_str().expect("is text"), words.join(" "));
    let mut script = Command::new("/usr/bin/script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("TERM", "dumb");
    script.env("HOME", world.home.path("")).env("TINYROOT_CACHE", world.home.path("cache"));
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut keyboard = child.stdin.take().expect("is piped");
    let mut screen = child.stdout.take().expect("is piped");
    read_until(&mut screen, "thrown away\r\n");
    read_until(&mut screen, "# ");
    let mut types = |keys: &[u8]| keyboard.write_all(keys).expect("takes keys");
    types(b"sh -c 'trap \"echo caught; exit\" INT; cat /etc/tea; while :; do sleep 0.1; done'\r");
    read_until(&mut screen, "half\r\n");
    types(b"\x03");
    read_until(&mut screen, "caught\r\n# ");
    assert_eq!(names(&world.home.path("cache/tmp")).len(), 1);
    types(b"exit\r");
    let mut rest = String::new();
    screen.read_to_string(&mut rest).expect("reads");
    assert_says(&rest, &["error: cannot configure tea: "]);
    assert_eq!(child.wait().expect("ends").code(), Some(1));
    assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new());
}
