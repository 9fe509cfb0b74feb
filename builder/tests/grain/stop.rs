//! How the first process stops services, and what it gives them.

use std::{
    fs,
    os::unix::fs::chown,
    time::{Duration, Instant},
};

use tinyroot::{
    grain::{Grain, GrainSpec, Log},
    render::{self, RenderOptions},
    sandbox::{Bind, Exit, Root, Sandbox, grain_host_id},
};

use super::Fixture;

/// A program that, like a database, takes a while to end well, and says on which signal it did.
const DATABASE: &str = r#"
$| = 1;
sub bye { my $name = shift; select(undef, undef, undef, 0.3); print "$name: closed\n"; exit 0 }
$SIG{TERM} = sub { bye("database") };
$SIG{INT} = sub { bye("interrupted database") };
if (@ARGV) { setpgrp(0, 0) }
open(F, ">", "/run/up"); close F;
sleep 1 while 1;
"#;

/// Starts a grain of these services, stops it, and returns what it wrote.
fn life(fixture: &Fixture, services: &str) -> String {
    let tail = format!("[[file]]\npath = \"/app/database.pl\"\ncontent = '''{DATABASE}'''\n{services}");
    let recipe = fixture.recipe(&tail);
    let mut options = GrainSpec::of(&recipe, &fixture.var("var"));
    let log = tempfile::NamedTempFile::new_in(fixture.directory.path()).expect("a file").into_temp_path();
    options = options.with_log(Log::to_file(&log).expect("opens"));
    let mut grain = Grain::start(fixture.base(&recipe), options).expect("starts");
    assert_eq!(grain.stop().expect("stops"), Exit::Code(0));
    fs::read_to_string(&log).expect("reads")
}

#[test]
fn a_request_to_stop_that_comes_before_the_first_process_waits_for_any_is_kept() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(&service(": > /run/up; exec /bin/sleep 1000", ""));
    let base = fixture.base(&recipe);
    for life in 0..20 {
        let options = GrainSpec::of(&recipe, &fixture.var("var"));
        let started = Grain::start_with(base.clone(), options, |running| {
            // Between the start of the process and its program, and a little later.
            std::thread::sleep(Duration::from_micros(200 * life));
            running.signal(libc::SIGTERM)
        });
        // Where this test waits for its turn that long, the grain is ready before it is asked.
        if let Ok(grain) = started {
            assert!(ends_by_itself(&grain), "start {life} went on");
        }
    }
}

/// Returns whether a grain ends within ten seconds.
fn ends_by_itself(grain: &Grain) -> bool {
    let late = Instant::now() + Duration::from_secs(10);
    while Instant::now() < late {
        if grain.try_wait().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn service(command: &str, more: &str) -> String {
    format!(
        "[[service]]\nname = \"db\"\ncommand = [\"/bin/sh\", \"-c\", \"{command}\"]\n\
         ready = {{ file = \"/run/up\" }}\n{more}"
    )
}

#[test]
fn what_a_shell_started_for_a_service_ends_by_itself() {
    let Some(fixture) = Fixture::new() else { return };
    // The shell ends at once by SIGTERM; what it waits for does not.
    let log = life(&fixture, &service("/usr/bin/perl /app/database.pl; exit 1", ""));
    assert_eq!(log, "tinyroot-init: ready\ndatabase: closed\n");
}

#[test]
fn what_left_a_services_group_ends_by_itself() {
    let Some(fixture) = Fixture::new() else { return };
    // As `pg_ctl` starts its server.
    let log = life(&fixture, &service("/usr/bin/perl /app/database.pl apart & exec /bin/sleep 1000", ""));
    assert_eq!(log, "tinyroot-init: ready\ndatabase: closed\n");
}

#[test]
fn what_is_stopped_or_sits_at_a_terminal_is_not_waited_for_until_it_is_killed() {
    let Some(fixture) = Fixture::new() else { return };
    let stopped =
        r"/usr/bin/perl -e 'open(F, q(>), q(/run/up)); close F; kill STOP => $$; sleep 1 while 1' & wait";
    assert_eq!(life(&fixture, &service(&stopped.replace('"', "\\\""), "")), "tinyroot-init: ready\n");
    // As a shell that a person types into does.
    let shell = r"/usr/bin/perl -e 'setpgrp(0, 0); $SIG{TERM} = q(IGNORE); open(F, q(>), q(/run/up)); close F; sleep 1 while 1'";
    let log =
        life(&fixture, &service(&format!("{shell} & exec /bin/sleep 1000"), "[sandbox]\nterminals = true\n"));
    assert_eq!(log, "tinyroot-init: ready\n");
}

#[test]
fn a_service_names_its_stop_signal_and_its_grace() {
    let Some(fixture) = Fixture::new() else { return };
    let log = life(
        &fixture,
        &service("exec /usr/bin/perl /app/database.pl", "stop_signal = \"SIGINT\"\nstop_timeout_s = 30\n"),
    );
    assert_eq!(log, "tinyroot-init: ready\ninterrupted database: closed\n");
    let deaf = service("trap '' TERM; : > /run/up; while :; do /bin/sleep 0.1; done", "stop_timeout_s = 1\n");
    let log = life(&fixture, &deaf);
    assert_eq!(log, "tinyroot-init: ready\ntinyroot-init: service db does not end by itself: killed\n");
}

#[test]
fn services_have_no_descriptor_of_whoever_started_the_first_process() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(
        "[[service]]\nname = \"web\"\ncommand = [\"/usr/bin/perl\", \"-e\", \
         'print join(\" \", grep { open(my $f, \"<&=\", $_) } 0..200), \"\\n\"']\n",
    );
    let root = fixture.var("root");
    render::render(&fixture.tree(&recipe), &fixture.store, &root, RenderOptions::default()).expect("renders");
    let script = "exec 3< /etc/passwd 9< /etc/group; exec /tinyroot/init";
    let mut sandbox =
        Sandbox::grain(Root::Directory { path: root, writable: false }, ["/bin/sh", "-c", script]);
    let (uid, gid) = grain_host_id();
    fs::create_dir(fixture.var("var")).expect("makes");
    chown(fixture.var("var"), Some(uid), Some(gid)).expect("gives away");
    sandbox.binds.push(Bind::writable(fixture.var("var"), "/var"));
    let running = sandbox.start().expect("starts");
    let mut output = String::new();
    let mut pipe = running.take_output().expect("nobody took it");
    std::io::Read::read_to_string(&mut pipe, &mut output).expect("reads");
    assert!(output.starts_with("0 1 2\n") || output.contains("\n0 1 2\n"), "{output}");
}
