//! What maintainer scripts find while they configure a root, and what is left of it.

use std::{fs, path::PathBuf};

use tinyroot::testing::{Deb, deb, skip};

use super::{
    World,
    base::base,
    support::{assert_says, text},
    write_recipe,
};

/// Returns a world of these packages on the host's own dpkg.
pub fn world(debs: Vec<Deb>, tail: &str) -> Option<World> {
    let base = match base() {
        Ok(base) => base.file("etc/nsswitch.conf", 0o644, "hosts: files\n"),
        Err(why) => {
            skip(&why);
            return None;
        }
    };
    let mut world = World::of([vec![base], debs].concat());
    world.recipe = write_recipe(&world.home, r#"["tea"]"#, tail);
    world.lock();
    Some(world)
}

/// Stages the root and returns where it lies.
fn stage(world: &World) -> PathBuf {
    let root = world.home.path("root");
    world.done(&["stage", text(&world.recipe), "--output", text(&root)]);
    root
}

/// Writes the address of `localhost` to a file.
const LOOK_UP: &str =
    "perl -MSocket -e 'my $a = gethostbyname(\"localhost\") or die; print inet_ntoa($a)' > /etc/address\n";

#[test]
fn localhost_has_an_address_while_scripts_run_and_leaves_no_file() {
    let postinst = format!("#!/bin/sh\nset -e\n{LOOK_UP}");
    let Some(world) = world(vec![deb("tea").script("postinst", &postinst)], "") else { return };
    let root = stage(&world);
    assert_eq!(fs::read_to_string(root.join("etc/address")).expect("is there"), "127.0.0.1");
    assert!(!root.join("etc/hosts").exists());
}

#[test]
fn what_scripts_add_to_the_hosts_stays() {
    let postinst = "#!/bin/sh\necho '10.0.0.1 kettle' >> /etc/hosts\n";
    let Some(world) = world(vec![deb("tea").script("postinst", postinst)], "") else { return };
    let root = stage(&world);
    assert_eq!(fs::read_to_string(root.join("etc/hosts")).expect("is there"), "10.0.0.1 kettle\n");
}

#[test]
fn netbase_makes_its_own_hosts() {
    let own = "#!/bin/sh\n[ -e /etc/hosts ] || echo '127.0.0.1 localhost of netbase' > /etc/hosts\n";
    let tea =
        deb("tea").field("Depends", "netbase").script("postinst", &format!("#!/bin/sh\nset -e\n{LOOK_UP}"));
    let Some(world) = world(vec![tea, deb("netbase").script("postinst", own)], "") else { return };
    let root = stage(&world);
    assert_eq!(
        fs::read_to_string(root.join("etc/hosts")).expect("is there"),
        "127.0.0.1 localhost of netbase\n"
    );
    assert_eq!(fs::read_to_string(root.join("etc/address")).expect("is there"), "127.0.0.1");
}

/// A package that asks three questions, and one that stands in for debconf: it keeps the lines that it is
/// given.
fn asking() -> Vec<Deb> {
    let templates = "Template: tea/colour\nType: select\nChoices: green, black\nDescription: Colour?\n\n\
                     Template: tea/milk\nType: boolean\nDescription: Milk?\n\n\
                     Template: tea/key\nType: password\nDescription: Key?\n";
    let tea = deb("tea")
        .field("Depends", "debconf")
        .control_file("templates", templates)
        .script("postinst", "#!/bin/sh\nset -e\ncat /var/answers > /etc/tea\n");
    let keep = "#!/bin/sh\ncat > /var/answers\n";
    vec![tea, deb("debconf").file("usr/bin/debconf-set-selections", 0o755, keep)]
}

#[test]
fn answers_reach_debconf_before_the_package_that_asks_is_configured() {
    let tail = "[debian.debconf]\n\"tea/milk\" = false\n\"tea/colour\" = \"black\"\n";
    let Some(world) = world(asking(), tail) else { return };
    let root = stage(&world);
    let told = fs::read_to_string(root.join("etc/tea")).expect("is there");
    assert_eq!(told, "tea tea/colour select black\ntea tea/milk boolean false\n");
    // Another answer is another root.
    let tail = tail.replace("black", "green");
    let recipe = write_recipe(&world.home, r#"["tea"]"#, &tail);
    let again = world.home.path("again");
    world.done(&["stage", text(&recipe), "--output", text(&again)]);
    let told = fs::read_to_string(again.join("etc/tea")).expect("is there");
    assert!(told.starts_with("tea tea/colour select green\n"), "{told}");
}

#[test]
fn answers_that_no_package_takes_are_refused() {
    let Some(world) = world(asking(), "") else { return };
    for (answer, expected) in [
        (
            "\"tea/color\" = \"black\"",
            "`tea/color`: no package of the root has it; did you mean `tea/colour`?",
        ),
        ("\"tea/colour\" = \"red\"", "`tea/colour`: tea wants one of green, black"),
        ("\"tea/milk\" = \"yes\"", "`tea/milk`: tea wants true or false"),
        (
            "\"tea/key\" = \"x\"",
            "`tea/key`: tea asks for a password, which all who have the artifact would know",
        ),
    ] {
        let tail = format!("[debian.debconf]\n{answer}\n");
        let recipe = write_recipe(&world.home, r#"["tea"]"#, &tail);
        let root = world.home.path("none");
        let said = world.fails(&["stage", text(&recipe), "--output", text(&root)]);
        assert_says(&said, &[expected]);
    }
}
