//! `--signed-by`: whose packages are accepted, and what else no one signed.

use std::{fs, io::Write as _, path::Path};

use tinyroot::{
    formats::{key_file::Key, manifest::Manifest},
    store::Store,
    testing::pack,
    tree::{Entry, Tree, TreePath},
};

use super::support::{Ended, Home, assert_says, end, text};

pub const RECIPE: &str = "[app]\nname = \"tea\"\nversion = \"1\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n\
                      [[service]]\nname = \"tea\"\ncommand = [\"/bin/tea\"]\n";

/// Writes a package, and returns its path and its key.
pub fn package(home: &Home) -> (String, Key) {
    package_of(home, RECIPE)
}

/// Writes a package of a recipe, and returns its path and its key.
pub fn package_of(home: &Home, recipe: &str) -> (String, Key) {
    let store = Store::open(&home.path("maker")).expect("opens");
    let mut tree = Tree::new();
    for (at, contents) in [
        ("tinyroot/init", "init"),
        ("tinyroot/papers/recipe/recipe.toml", recipe),
        ("bin/tea", "#!/bin/sh\n"),
    ] {
        let entry = Entry::file(store.put(contents), contents.len() as u64, 0o755, 1_600_000_000);
        tree.insert(TreePath::new(at.as_bytes()).expect("a good path"), entry);
    }
    tree.add_parents(0);
    let (key, path) = (Key::from_seed([7; 32]), home.path("tea.spk"));
    pack(&tree, &store, &Manifest::for_init("Tea", "1", 1, "pot"), &key, &path);
    (text(&path).to_owned(), key)
}

pub fn other() -> String {
    Key::from_seed([8; 32]).app_id().to_string()
}

#[test]
fn a_package_of_another_key_is_refused_by_every_command_that_uses_it() {
    let home = Home::new();
    let (spk, key) = package(&home);
    let (own, other) = (key.app_id().to_string(), other());
    let said = home.done(&["verify", &spk]).stdout;
    assert_says(&said, &[&format!("signed by   {own}\nbytes       the signature covers all of the file\n")]);
    for format in ["spk", "oci", "oci-dir", "squashfs", "erofs", "tar"] {
        let path = home.path(&format!("package-{format}"));
        home.done(&["convert", &spk, text(&path), "--format", format, "--signed-by", &own]);
        home.done(&["verify", text(&path), "--signed-by", &other, "--signed-by", &own]);
        let refused = home.run(&["verify", text(&path), "--signed-by", &other]);
        assert_eq!((refused.code, &*refused.stdout), (Some(1), ""), "{format}");
        let parts = [
            &*format!("error: {} is refused: it is signed by {own}\n", path.display()),
            &*format!("hint: only packages of {other} are accepted (--signed-by)"),
        ];
        assert_says(&refused.stderr, &parts);
    }
    let [directory, file] = ["there", "there.tar"].map(|name| text(&home.path(name)).to_owned());
    let commands: [&[&str]; 6] = [
        &["run", &spk],
        &["serve", &spk],
        &["check", &spk],
        &["unpack", &spk, &directory],
        &["convert", &spk, &file],
        &["kube", &spk],
    ];
    for command in commands {
        let refused = home.run(&[command, &["--signed-by", &other]].concat());
        assert_eq!(refused.code, Some(1), "{command:?}");
        assert_says(&refused.stderr, &[&format!("is refused: it is signed by {own}")]);
    }
    assert!(!Path::new(&directory).exists() && !Path::new(&file).exists());
    let wrong = home.run(&["verify", &spk, "--signed-by", "me"]);
    assert_eq!(wrong.code, Some(2));
    assert_says(&wrong.stderr, &["the value of '--signed-by <APPID>' is not an app id"]);
}

#[test]
fn what_no_signature_covers_is_refused_by_its_place() {
    let home = Home::new();
    let (spk, key) = package(&home);
    let (own, tar) = (key.app_id().to_string(), text(&home.path("tea.tar")).to_owned());
    home.done(&["convert", &spk, &tar]);
    let length = fs::metadata(&tar).expect("is there").len();
    fs::File::options().append(true).open(&tar).expect("opens").write_all(&[0; 512]).expect("writes");
    // The contents hold, and tinyroot uses nothing else.
    let said = home.done(&["verify", &tar]).stdout;
    assert_says(
        &said,
        &["bytes       what is signed holds; the rest of the file is compared with --signed-by only\n"],
    );
    let expected = format!("{tar} is refused: from byte {length} on it is not the file that tinyroot ");
    let refused = home.run(&["verify", &tar, "--signed-by", &own]);
    assert_eq!(refused.code, Some(1));
    assert_says(
        &refused.stderr,
        &[&expected, "hint: the contents hold: `tinyroot convert` writes them again"],
    );
    let stdin = fs::File::open(&tar).expect("opens");
    let refused = end(home.command().args(["verify", "-", "--signed-by", &own]).stdin(stdin));
    assert_says(&refused.stderr, &[&format!("- is refused: from byte {length} on")]);
    let again = text(&home.path("again.tar")).to_owned();
    home.done(&["convert", &tar, &again, "--signed-by", &own]);
    let said = home.done(&["verify", &again, "--signed-by", &own]).stdout;
    assert_says(&said, &["bytes       the very file that tinyroot writes of what is signed\n"]);
    for (args, exact) in
        [(&["verify", &again][..], "null"), (&["verify", &again, "--signed-by", &own], "true")]
    {
        let document = home.done(&[args, &["--json"]].concat()).stdout;
        assert_says(&document.replace(": ", ":"), &[&format!("\"is_exact\":{exact}")]);
    }
}

/// A member of a tar: its name, kind, link target and length.
type Member = (&'static str, tar::EntryType, &'static str, u64);

/// Appends a member to a tar, whatever it is named.
fn add(out: &mut Vec<u8>, name: &str, kind: tar::EntryType, link: &str, size_bytes: u64) {
    let mut header = tar::Header::new_ustar();
    let fields = header.as_old_mut();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o777);
    header.set_size(size_bytes);
    header.set_cksum();
    out.extend(header.as_bytes());
}

/// Verifies with little memory.
fn verify_in_little(home: &Home, path: &Path, own: &str) -> Ended {
    let inner = home.command();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -v 1500000 && exec \"$@\"", "sh"]).arg(inner.get_program());
    command.args(["verify", text(path), "--signed-by", own]);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    end(&mut command)
}

#[test]
fn what_leaves_the_root_or_has_no_end_is_refused_in_little_memory() {
    use tar::EntryType::{Link, Regular, Symlink};
    let home = Home::new();
    let (spk, key) = package(&home);
    let own = key.app_id().to_string();
    let tar = home.path("tea.tar");
    home.done(&["convert", &spk, text(&tar)]);
    let whole = fs::read(&tar).expect("reads");
    let held = verify_in_little(&home, &tar, &own);
    assert_eq!(held.code, Some(0), "{}", held.stderr);
    // Before the zeros at the end.
    let end = whole.iter().rposition(|byte| *byte != 0).expect("is not empty").next_multiple_of(512);
    let big = 5 << 30;
    let rows: [(&str, &[Member]); 6] = [
        ("above", &[("../evil", Regular, "", 0)]),
        ("within above", &[("bin/../../evil", Regular, "", 0)]),
        ("below a link out", &[("out", Symlink, "../..", 0), ("out/evil", Regular, "", 0)]),
        ("a hard link out", &[("evil", Link, "../../etc/passwd", 0)]),
        ("below a file", &[("bin/tea/evil", Regular, "", 0)]),
        ("endless", &[("zeros", Regular, "", big)]),
    ];
    for (name, members) in rows {
        let mut bytes = whole[..end].to_vec();
        for (name, kind, link, size_bytes) in members {
            add(&mut bytes, name, *kind, link, *size_bytes);
        }
        let bad = home.path("bad.tar");
        fs::write(&bad, &bytes).expect("writes");
        let file = fs::File::options().write(true).open(&bad).expect("opens");
        // Zeros that take no space.
        let holes = if name == "endless" { big } else { 1024 };
        file.set_len(bytes.len() as u64 + holes).expect("makes it longer");
        let refused = verify_in_little(&home, &bad, &own);
        assert_eq!((refused.code, &*refused.stdout), (Some(1), ""), "{name}: {}", refused.stderr);
        assert_says(&refused.stderr, &["bad.tar is refused"]);
        fs::remove_file(&bad).expect("removes");
    }
    // More entries than any package has.
    let mut many = whole[..end].to_vec();
    for _ in 0..600_000 {
        add(&mut many, "bin/many", Regular, "", 0);
    }
    let bad = home.path("bad.tar");
    fs::write(&bad, many).expect("writes");
    let refused = verify_in_little(&home, &bad, &own);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert_says(&refused.stderr, &["bad.tar is refused"]);
}
