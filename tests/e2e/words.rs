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
        .map_while(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for needed in
        ["lock", "trace", "build", "check", "run", "stage", "verify", "inspect", "why", "diff", "key"]
    {
        assert!(names.contains(&needed), "{needed} is not in\n{help}");
    }
    for name in names {
        assert_says(&home.done(&[name, "--help"]).stdout, &["Usage: tinyroot"]);
    }
    assert_eq!(home.run(&["nonsense"]).code, Some(2));
    assert_says(&home.done(&["man"]).stdout, &[".TH tinyroot"]);
    assert_says(&home.done(&["completions", "bash"]).stdout, &["complete -F"]);
}

#[test]
fn the_readme_names_every_command() {
    let help = Home::new().done(&["--help"]).stdout;
    let readme = include_str!("../../README.md");
    let commands = help.split("Commands:").nth(1).expect("lists commands").lines().skip(1);
    for name in commands.map_while(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(readme.contains(&format!("tinyroot {name}")), "README.md does not name `tinyroot {name}`");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let home = Home::new();
    let mut command = home.command();
    for name in ["CACHE", "MIRROR", "KEYRING", "SNAPSHOT_SERVICE", "NPM_REGISTRY", "WAY"] {
        command.env(format!("TINYROOT_{name}"), "");
    }
    let ended = end(command.args(["verify", "missing.spk"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_says(&ended.stderr, &["error: cannot open missing.spk"]);
    assert!(home.path(".cache/tinyroot").is_dir(), "the cache is where it is by default");
}
