use super::*;
use crate::{
    assemble::assemble,
    digest::Digest,
    evidence::UsedLine,
    fetch::{Fetched, FetchedDeb},
    lock::LockedPackage,
    progress::Progress,
    recipe,
    testing::{Deb, deb},
    unpack::unpack,
};

const RECIPE: &str = r#"
[app]
name = "tea"
packages = ["tea"]
state = ["/var/lib/tea/asked/**"]
[debian]
suite = "bookworm"
[[file]]
path = "/var/lib/tea/laid"
content = "by the recipe"
"#;

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

fn unpacked(made: &Deb, directory: &std::path::Path, store: &Store) -> Unpacked {
    let bytes = made.build();
    let package = LockedPackage {
        name: made.get("Package").into(),
        version: made.get("Version").into(),
        architecture: made.get("Architecture").into(),
        suite: "bookworm".into(),
        path: made.file_name(),
        size_bytes: bytes.len() as u64,
        checksum: Digest::of(&bytes).into(),
        because: "asked for".into(),
    };
    let path = directory.join(made.file_name());
    std::fs::write(&path, &bytes).expect("writes");
    let fetched = Fetched {
        debs: vec![FetchedDeb { package, path, digest: Digest::of(&bytes) }],
        ..Fetched::default()
    };
    unpack(&fetched, store, &Progress::silent()).expect("unpacks")
}

/// Returns each file below `/var` of a package with its fate. `change` does to the stage what scripts would.
fn fates(made: Deb, written: &str, change: impl FnOnce(&mut Tree, &Store)) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("store")).expect("opens");
    std::fs::write(directory.path().join("recipe.toml"), RECIPE).expect("writes");
    let recipe = recipe::read(directory.path()).expect("a good recipe");
    let unpacked = unpacked(&made, directory.path(), &store);
    let assembled = assemble(&unpacked).expect("assembles").tree;
    let mut stage = assembled.clone();
    change(&mut stage, &store);
    crate::overlay::apply(&mut stage, &recipe, &store, 0).expect("lays");
    let mut used = UsedList::new();
    if !written.is_empty() {
        let (program, package, service, step) = Default::default();
        used.insert(path(written), UsedLine { kinds: Kinds::WRITTEN, program, package, service, step });
    }
    let state = State::new(&recipe, &stage, &assembled, &unpacked, &used, &store);
    let files = stage.subtree(b"var/lib/tea").filter(|(_, entry)| entry.kind.content().is_some());
    files
        .map(|(at, _)| (at.to_string(), state.fate(at)))
        .filter(|(at, _)| at != "var/lib/tea/laid")
        .map(|(at, fate)| format!("{} {fate:?}", at.trim_start_matches("var/lib/tea/")))
        .collect()
}

fn no_change(_: &mut Tree, _: &Store) {}

#[test]
fn what_a_package_gives_away_is_state_and_all_else_code() {
    let made = deb("tea")
        .file("var/lib/tea/code.php", 0o644, "c")
        .file("var/lib/tea/run.sh", 0o755, "r")
        .file("var/lib/tea/count", 0o664, "0")
        .owned_by(33, 33)
        .file("var/lib/tea/group", 0o644, "g")
        .owned_by(0, 33)
        .file("var/lib/tea/shared", 0o664, "s")
        .directory("var/lib/tea/data", 0o700)
        .owned_by(33, 0)
        .file("var/lib/tea/data/pages/start.txt", 0o644, "p")
        .directory("var/lib/tea/open", 0o2775)
        .file("var/lib/tea/open/x", 0o644, "x")
        .conffile("var/lib/tea/tea.conf", "a = 1\n")
        .file("var/lib/tea/asked/y", 0o644, "y")
        .file("var/lib/tea/traced", 0o644, "t");
    assert_eq!(
        fates(made, "var/lib/tea/traced", no_change),
        [
            "asked/y State",
            "code.php Link",
            "count State",
            "data/pages/start.txt State",
            "group Link",
            "open/x State",
            "run.sh Link",
            "shared State",
            "tea.conf State",
            "traced State",
        ]
    );
}

#[test]
fn what_scripts_give_away_is_state_whatever_owners_the_stage_shows() {
    let made = deb("tea")
        .file("var/lib/tea/chowned/a", 0o644, "a")
        .file("var/lib/tea/chmodded/b", 0o644, "b")
        .file("var/lib/tea/overridden/c", 0o644, "c")
        .file("var/lib/tea/code", 0o644, "d")
        .script("postinst", "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n  chown -R tea:tea /var/lib/tea/chowned\nfi\n");
    let change = |stage: &mut Tree, store: &Store| {
        stage.get_mut(b"var/lib/tea/chmodded").expect("is there").mode = 0o2775;
        // Owners as one way to be root-like has them, and others not.
        stage.get_mut(b"var/lib/tea/code").expect("is there").uid = 33;
        let text = "root root 0755 /var/lib/tea\nroot tea 0755 /var/lib/tea/code\ntea tea 0750 /var/lib/tea/overridden\n";
        let entry = Entry::file(store.put(text), text.len() as u64, 0o644, 0);
        stage.insert(path("var/lib/dpkg/statoverride"), entry);
        stage.insert(path("var/lib/tea/made"), Entry::file(store.put("m"), 1, 0o644, 0));
    };
    assert_eq!(
        fates(made, "", change),
        ["chmodded/b State", "chowned/a State", "code Link", "made Made", "overridden/c State"]
    );
}
