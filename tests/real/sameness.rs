//! The same bytes and the same evidence, whatever the host: clock, time zone, locale, umask, path, user, way
//! of being root-like, cores.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use rustix::process::geteuid;
use tinyroot::{
    digest::Digest,
    testing::{is_long, skip},
};

use super::{
    alone, copy_recipe, main_recipes, share_debs,
    support::{Home, end, text},
    write_key,
};

/// The shifted clock: Debian's package `faketime` has it.
pub const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A user that every Debian has and that has no subordinate ids.
pub const NOBODY: u32 = 65534;

/// A host that is other than the one before.
struct Variant {
    name: &'static str,
    /// Set for the program.
    environment: &'static [(&'static str, &'static str)],
    /// Wraps the program in another that changes what a child inherits.
    shell: &'static str,
    as_nobody: bool,
}

const PLAIN: Variant = Variant { name: "plain", environment: &[], shell: r#"exec "$@""#, as_nobody: false };

fn variants() -> Vec<Variant> {
    let mut variants = vec![
        PLAIN,
        Variant {
            name: "other zone, locale, umask and one core",
            environment: &[("TZ", "Pacific/Kiritimati"), ("LC_ALL", "tr_TR.UTF-8")],
            shell: r#"umask 077; exec taskset --cpu-list 0 "$@""#,
            ..PLAIN
        },
        Variant { name: "single id", environment: &[("TINYROOT_WAY", "single")], ..PLAIN },
    ];
    match Path::new(FAKETIME).exists() {
        true => variants.push(Variant {
            name: "a clock years later",
            environment: &[("LD_PRELOAD", FAKETIME), ("FAKETIME", "+1500d")],
            ..PLAIN
        }),
        false => skip("another clock; Debian's package faketime has one"),
    }
    if geteuid().is_root() {
        variants.push(Variant { name: "ordinary user", as_nobody: true, ..PLAIN });
    }
    match Path::new("/usr/bin/newuidmap").exists() && has_subordinate_ids() {
        true => variants.push(Variant {
            name: "subordinate ids",
            environment: &[("TINYROOT_WAY", "subordinate")],
            ..PLAIN
        }),
        false => {
            skip("subordinate ids; Debian's package uidmap and a line for this user in /etc/subuid give them")
        }
    }
    variants
}

fn has_subordinate_ids() -> bool {
    let id = Command::new("id").arg("-un").output().expect("id runs").stdout;
    let name = format!("{}:", String::from_utf8_lossy(&id).trim());
    fs::read_to_string("/etc/subuid").unwrap_or_default().lines().any(|line| line.starts_with(&name))
}

#[test]
fn every_host_builds_the_same_bytes_and_traces_the_same_list() {
    let _turn = alone();
    let first_home = Home::new();
    share_debs(&first_home);
    let debs = first_home.path("cache/debs");
    for name in main_recipes().iter().take(if is_long() { usize::MAX } else { 1 }) {
        let mut first = None;
        for variant in variants() {
            let home = Home::new();
            link_debs(&debs, &home);
            let folder = copy_recipe(name, &home.path(&format!("checkout {}", variant.name)));
            let digest = build_on(&variant, &home, &folder);
            match may_trace(&variant) {
                true => trace_on(&variant, &home, &folder),
                false => eprintln!("{name} is not traced by {}: /dev/fuse is closed to it", variant.name),
            }
            // What the first one had to download, the others have.
            link_debs(&home.path("cache/debs"), &first_home);
            match &first {
                None => first = Some(digest),
                Some(first) => {
                    assert_eq!(*first, digest, "{name} is another on a host with {}", variant.name)
                }
            }
        }
    }
}

fn link_debs(from: &Path, home: &Home) {
    let to = home.path("cache/debs");
    fs::create_dir_all(&to).expect("makes");
    for entry in fs::read_dir(from).expect("lists").flatten() {
        let target = to.join(entry.file_name());
        if !target.exists() {
            fs::copy(entry.path(), target).expect("copies");
        }
    }
}

/// Builds a recipe, and returns what was built.
fn build_on(variant: &Variant, home: &Home, folder: &Path) -> Digest {
    let package = home.path("out.spk");
    let keys = write_key(home);
    run_on(variant, home, &["build", text(folder), "--output", text(&package), "--key-file", text(&keys)]);
    Digest::of(&fs::read(&package).expect("was written"))
}

/// Whether the user of a variant may open `/dev/fuse`.
fn may_trace(variant: &Variant) -> bool {
    match variant.as_nobody {
        true => fs::metadata("/dev/fuse").is_ok_and(|device| device.permissions().mode() & 0o006 == 0o006),
        false => fs::File::options().read(true).write(true).open("/dev/fuse").is_ok(),
    }
}

/// Traces a recipe, and holds the list against the one that it has, which another host traced.
fn trace_on(variant: &Variant, home: &Home, folder: &Path) {
    let list = folder.join("used.list");
    let before = fs::read_to_string(&list).expect("the recipe has one");
    fs::remove_file(&list).expect("removes");
    run_on(variant, home, &["trace", text(folder)]);
    let after = fs::read_to_string(&list).expect("was written");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let differing: Vec<String> = lines(&before).symmetric_difference(&lines(&after)).cloned().collect();
    assert!(
        before == after,
        "{}: a trace on a host with {} differs in {differing:#?}",
        list.display(),
        variant.name
    );
}

fn run_on(variant: &Variant, home: &Home, arguments: &[&str]) {
    let tinyroot = home.command();
    let mut command = Command::new("/bin/sh");
    command.envs(tinyroot.get_envs().filter_map(|(key, value)| Some((key, value?))));
    for (key, _) in tinyroot.get_envs().filter(|(_, value)| value.is_none()) {
        command.env_remove(key);
    }
    command.args(["-c", variant.shell, "sh", env!("CARGO_BIN_EXE_tinyroot")]);
    command.args(arguments);
    command.envs(variant.environment.iter().copied());
    if variant.as_nobody {
        give_away(&home.path(""), NOBODY);
        command.uid(NOBODY).gid(NOBODY);
    }
    let ended = end(&mut command);
    assert_eq!(ended.code, Some(0), "{arguments:?}, {}:\n{}{}", variant.name, ended.stdout, ended.stderr);
}

pub fn give_away(path: &Path, id: u32) {
    std::os::unix::fs::chown(path, Some(id), Some(id)).expect("root may");
    if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("root may");
        fs::read_dir(path).expect("lists").flatten().for_each(|entry| give_away(&entry.path(), id));
    }
}
