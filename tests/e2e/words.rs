//! What the program says of itself.

use super::support::{Home, assert_says, end};

#[test]
fn help_names_every_command_and_each_has_its_own() {
    let home = Home::new();
    let help = home.done(&["--help"]).stdout;
    let commands = help.split("Commands:").nth(1).expect("lists commands");
    let names: Vec<&str> = commands
        .lines()
        .skip(1)
        // Lines that go on with a description are indented further.
        .filter(|line| !line.starts_with("    "))
        .map_while(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for needed in
        ["lock", "trace", "build", "check", "run", "stage", "verify", "inspect", "why", "diff", "key"]
    {
        assert!(names.contains(&needed), "{needed} is not in\n{help}");
    }
    for name in names {
        let help = home.done(&[name, "--help"]).stdout;
        let (own, global) = help.split_once("\nGlobal options:\n").expect("has both");
        assert_says(own, &["Usage: tinyroot"]);
        let option = "\n      --offline\n";
        assert!(!own.contains(option) && global.contains(option), "{name}");
        assert!(!global.contains("--help"), "{name}");
    }
    assert_eq!(home.run(&["nonsense"]).code, Some(2));
    assert_says(&home.done(&["man"]).stdout, &[".TH tinyroot 1", ".BR recipe (5)"]);
    assert_says(&home.done(&["man", "build"]).stdout, &[".TH tinyroot-build 1", "tinyroot build"]);
    assert_says(&home.done(&["man", "recipe"]).stdout, &[".TH recipe 5", "\\fBkeep_package\\fR"]);
    let unknown = home.run(&["man", "nonsense"]);
    assert_eq!(unknown.code, Some(2));
    assert_says(&unknown.stderr, &["error: there is no manual page for `nonsense`: name a command"]);
    assert_says(&home.done(&["completions", "bash"]).stdout, &["complete -F"]);
}

#[test]
fn readme_and_reference_name_every_command() {
    let help = Home::new().done(&["--help"]).stdout;
    let (readme, reference) = (include_str!("../../README.md"), include_str!("../../docs/commands.md"));
    let commands = help.split("Commands:").nth(1).expect("lists commands").lines().skip(1);
    let commands = commands.filter(|line| !line.starts_with("    "));
    for name in commands.map_while(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(
            reference.contains(&format!("tinyroot {name}")),
            "docs/commands.md does not name `tinyroot {name}`"
        );
        assert!(readme.contains(&format!("`{name}`")), "README.md does not name `{name}`");
    }
    assert!(readme.lines().count() < 150, "README.md is too long: the reference is in docs/");
}

#[test]
fn the_architecture_names_every_room() {
    let text = include_str!("../../docs/architecture.md");
    let library = include_str!("../../builder/src/lib.rs");
    let rooms: Vec<&str> = library
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    // Rooms stand in the first column of the tables.
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let named: Vec<&str> = rows.flat_map(|row| row.split(", ")).map(|name| name.trim_matches('`')).collect();
    for room in &rooms {
        assert!(named.contains(room), "docs/architecture.md does not have the room {room}");
    }
    for name in named {
        assert!(rooms.contains(&name), "docs/architecture.md has {name}, which lib.rs does not have");
    }
}

/// Links of Markdown to files of the repository, and to headings in them.
#[test]
fn links_in_the_documentation_lead_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs"))
        .expect("lists")
        .map(|entry| entry.expect("lists").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let tops = ["README.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root.join(name));
    for file in docs.chain(tops) {
        let text = std::fs::read_to_string(&file).expect("reads");
        // Files of the repository that are named in code.
        let code = text.split('`').skip(1).step_by(2).filter(|code| !code.contains([' ', '\n', '*', '{']));
        for path in
            code.filter(|code| ["builder/", "tests/", "docs/"].iter().any(|top| code.starts_with(top)))
        {
            assert!(root.join(path).exists(), "{}: there is no {path}", file.display());
        }
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, heading) =
                link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
            let target = match path {
                "" => file.clone(),
                path => file.parent().expect("has one").join(path),
            };
            assert!(target.exists(), "{}: {link} leads nowhere", file.display());
            let Some(heading) = heading else { continue };
            let text = std::fs::read_to_string(&target).expect("reads");
            let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| {
                let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                title.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
            });
            assert!(
                headings.into_iter().any(|found| found == heading),
                "{}: no heading for {link}",
                file.display()
            );
        }
    }
}

#[test]
fn what_is_no_package_is_refused_before_it_is_read() {
    let home = Home::new();
    let fifo = home.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).expect("makes");
    for path in ["/dev/zero", super::support::text(&fifo)] {
        assert_says(
            &home.fails(&["verify", path]),
            &["it is not a regular file; - stands for standard input"],
        );
    }
    // 1 TB, of which nothing is read but its beginning.
    let sparse = home.path("sparse");
    std::fs::File::create(&sparse).and_then(|file| file.set_len(1 << 40)).expect("makes");
    assert_says(
        &home.fails(&["verify", super::support::text(&sparse)]),
        &["it does not begin as a package does: .spk, OCI layout, squashfs, EROFS or tar"],
    );
}

#[test]
fn values_of_the_environment_that_mean_nothing_are_refused() {
    let home = Home::new();
    let ended = end(home.command().env("TINYROOT_WAY", "Single").args(["grains", "list"]));
    assert_eq!(ended.code, Some(1));
    assert_says(
        &ended.stderr,
        &["error: TINYROOT_WAY is `Single`", "hint: set it to root, subordinate, single or chroot"],
    );
    let odd =
        std::os::unix::ffi::OsStringExt::from_vec(b"\xff234567890123456789012345678901234567890".to_vec());
    let odd: std::ffi::OsString = odd;
    let ended = end(home.command().env("TINYROOT_CACHE_KEY", odd).args(["verify", "missing.spk"]));
    assert_says(&ended.stderr, &["error: TINYROOT_CACHE_KEY is not UTF-8 text"]);
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let home = Home::new();
    let mut command = home.command();
    for name in [
        "CACHE",
        "REMOTE_CACHE",
        "REMOTE_CACHE_KEYS",
        "REMOTE_CACHE_SIGN",
        "MIRROR",
        "KEYRING",
        "SNAPSHOT_SERVICE",
        "NPM_REGISTRY",
        "WAY",
    ] {
        command.env(format!("TINYROOT_{name}"), "");
    }
    let ended = end(command.args(["verify", "missing.spk"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_says(&ended.stderr, &["error: cannot open missing.spk"]);
    assert!(home.path(".cache/tinyroot").is_dir(), "the cache is where it is by default");
}
