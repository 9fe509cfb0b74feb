//! A `/var` that is a volume of a container engine: what engines and file systems make there is nobody's
//! data.

use std::{fs, os::unix::fs::chown, path::PathBuf};

use tinyroot::{
    grain::{Grain, GrainSpec},
    sandbox::grain_host_id,
};

use super::{Fixture, SERVICES, get};

impl Fixture {
    /// Makes a volume with these directories and files, of which the latter hold their own names.
    fn volume(&self, directories: &[&str], files: &[&str]) -> PathBuf {
        let (uid, gid) = grain_host_id();
        let volume = self.var("volume");
        let give = |path: &PathBuf| chown(path, Some(uid), Some(gid)).expect("gives it away");
        fs::create_dir(&volume).expect("makes");
        give(&volume);
        for name in directories {
            fs::create_dir(volume.join(name)).expect("makes");
            // The place of a mount is root's.
            if *name != "tmp" {
                give(&volume.join(name));
            }
        }
        for name in files {
            fs::write(volume.join(name), name).expect("writes");
            give(&volume.join(name));
        }
        volume
    }
}

/// What podman leaves in a new volume at the `/var` of a read-only container, and ext4 in a new file system.
const FRESH: ([&str; 4], [&str; 1]) = (["lost+found", "tmp", "lib", "lib/dpkg"], ["lib/dpkg/status"]);

#[test]
fn a_fresh_volume_is_no_cause_for_an_alarming_line() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICES);
    let volume = fixture.volume(&FRESH.0, &FRESH.1);
    let grain = Grain::start(fixture.base(&recipe), GrainSpec::of(&recipe, &volume)).expect("starts");
    let tail = grain.spec().log.tail();
    assert!(!tail.iter().any(|line| line.contains("/var")), "{tail:?}");
    assert_eq!(fs::read_to_string(volume.join("lib/dpkg/status")).expect("is kept"), "lib/dpkg/status");
    assert_eq!(get(&grain, "/var"), "n=2 count lib lock lost+found run tmp");
}

#[test]
fn an_unfinished_setup_on_a_fresh_volume_is_made_again() {
    let Some(fixture) = Fixture::new() else { return };
    let setup = |script: &str| format!("[setup]\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]\n{SERVICES}");
    let broken = fixture.recipe(&setup("echo half > /var/lib/half; kill -9 $$"));
    let volume = fixture.volume(&FRESH.0, &FRESH.1);
    let error = Grain::start(fixture.base(&broken), GrainSpec::of(&broken, &volume)).err();
    assert!(error.is_some() && volume.join("lib/half").exists());
    let whole = fixture.recipe(&setup("echo whole > /var/whole"));
    let grain = Grain::start(fixture.base(&whole), GrainSpec::of(&whole, &volume)).expect("starts");
    assert!(grain.spec().log.tail()[0].contains("/var was left half made"));
    assert!(!volume.join("lib/half").exists() && volume.join("lib/dpkg/status").exists());
    assert_eq!(get(&grain, "/var"), "n=2 count lib lock lost+found run tmp whole");
}

#[test]
fn what_may_be_someones_data_is_kept_and_named() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICES);
    let volume = fixture.volume(&["lib", "lib/mine"], &["lib/mine/book"]);
    let grain = Grain::start(fixture.base(&recipe), GrainSpec::of(&recipe, &volume)).expect("starts");
    let tail = grain.spec().log.tail();
    assert!(tail[0].contains("/var holds data but no mark of ours: kept, and set up"), "{tail:?}");
    assert_eq!(fs::read_to_string(volume.join("lib/mine/book")).expect("is kept"), "lib/mine/book");
}
