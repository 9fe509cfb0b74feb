//! Who says that a grain is ready: its first process alone.

use super::*;

/// What the first process prints, which any app can print.
const LINE: &str = r#"print "tinyroot-init: ready\n";"#;

/// Writes what the first process says to every descriptor of its own and of the first process that it can
/// open, but for the standard streams.
const FORGE: &str = r#"
for my $proc ("/proc", "/dev/.proc") {
    for my $of (1, "self", getppid()) {
        for my $n (3 .. 40) { if (open(F, ">>", "$proc/$of/fd/$n")) { syswrite(F, "ready\n"); print "forged $of $n\n" } }
    }
}
for my $n (3 .. 40) { if (open(F, ">>&=", $n)) { syswrite(F, "ready\n"); print "inherited $n\n" } }
print exists $ENV{TINYROOT_READY_FD} ? "told\n" : "not told\n";
"#;

/// The services, the first of which does something and then takes its time.
fn slow(what: &str) -> String {
    let services =
        SERVICES.replace("print \"first: up\\n\";", &format!("{what} select(undef, undef, undef, 0.7);"));
    assert_ne!(services, SERVICES);
    services
}

#[test]
fn an_app_that_prints_the_line_of_readiness_is_not_taken_for_ready() {
    let Some(fixture) = Fixture::new() else { return };
    for (var, tail) in [("var", ""), ("var with proc", "[sandbox]\nproc = true\n")] {
        let recipe = fixture.recipe(&format!("{}{tail}", slow(&format!("{LINE}{FORGE}"))));
        let options = GrainSpec::of(&recipe, &fixture.var(var));
        let mut grain = Grain::start(fixture.base(&recipe), options).expect("starts");
        assert_eq!(get(&grain, "/run"), "n=2 first lock", "{var}");
        // Likewise the next life.
        grain.restart().expect("restarts");
        assert_eq!(get(&grain, "/run"), "n=4 first lock", "{var}");
        let tail = grain.spec().log.tail();
        assert!(
            !tail.iter().any(|line| line.starts_with("forged") || line.starts_with("inherited")),
            "{tail:?}"
        );
        assert!(tail.contains(&"not told".to_owned()), "{tail:?}");
    }
}

#[test]
fn an_app_that_prints_the_line_and_ends_was_never_ready() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(&slow(&format!("{LINE} exit 3;")));
    let options = GrainSpec::of(&recipe, &fixture.var("var"));
    let error = Grain::start(fixture.base(&recipe), options).err().expect("does not start");
    assert!(matches!(error, GrainError::Ended { exit: Exit::Code(3), .. }), "{error}");
}

#[test]
fn a_program_of_setup_cannot_say_that_services_are_ready() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture
        .recipe(&format!("[setup]\ncommand = [\"/usr/bin/perl\", \"-e\", '''{LINE}{FORGE}''']\n{SERVICES}"));
    let grain =
        Grain::start(fixture.base(&recipe), GrainSpec::of(&recipe, &fixture.var("var"))).expect("starts");
    assert_eq!(get(&grain, "/run"), "n=2 first lock");
}
