//! Archives as they are found, beside a made Debian's: locked through the whole program.

use super::*;
use tinyroot::{
    lock::Lock,
    testing::{ARCHIVE_TIME_S, Compression, Key},
};

/// A public flat archive: its stanzas, for which architecture it is asked, for what, and what should be
/// locked.
struct Public {
    stanzas: &'static str,
    architecture: &'static str,
    package: &'static str,
    version: &'static str,
    path: &'static str,
    /// What Debian's archive has to have for it.
    needs: &'static [(&'static str, &'static str)],
}

const PUBLIC: [Public; 4] = [
    Public {
        stanzas: include_str!("../archives/akr.packages"),
        architecture: "amd64",
        package: "akr",
        version: "1.2.3-1",
        path: "akr_1.2.3_ubuntu22_amd64.deb",
        needs: &[("libc6", "2.36-9"), ("libssl3", "3.0.17-1~deb12u2")],
    },
    Public {
        stanzas: include_str!("../archives/armcord.packages"),
        architecture: "amd64",
        package: "armcord",
        version: "3.3.0",
        path: "ArmCord-3.3.0-linux-amd64.deb",
        needs: &[
            ("libgtk-3-0", "3"),
            ("libnotify4", "1"),
            ("libnss3", "3"),
            ("libxss1", "1"),
            ("libxtst6", "1"),
            ("xdg-utils", "1"),
            ("libatspi2.0-0", "2"),
            ("libuuid1", "2"),
            ("libsecret-1-0", "1"),
        ],
    },
    Public {
        stanzas: include_str!("../archives/box64.packages"),
        architecture: "arm64",
        package: "box64-generic-arm",
        version: "0.4.3+20260723T082711.c08644a-1",
        path: "box64-generic-arm_0.4.3+20260723T082711.c08644a-1_arm64.deb",
        needs: &[],
    },
    Public {
        stanzas: include_str!("../archives/scala-cli.packages"),
        architecture: "amd64",
        package: "scala-cli",
        version: "1.9.1",
        path: "scala-cli_1.9.1.deb",
        needs: &[],
    },
];

/// Writes a made Debian and an archive beside it, and a recipe of both.
fn world(debian: MadeArchive, third: MadeArchive, package: &str, more: &str) -> World {
    let home = Home::new();
    let made = debian.write_with_pockets(&home.path("archive"));
    let third = third.key(Key::new(3)).write(&home.path("archive/third"));
    let server = Server::start(&home.path("archive"));
    let url = server.url();
    let archive = format!(
        "[[debian.archive]]\nname = \"third\"\nmirror = \"{url}/third\"\nkeys = \"files/third.asc\"\n"
    );
    let recipe = write_recipe(&home, &format!("[{package:?}]"), &format!("{more}\n{archive}"));
    std::fs::create_dir_all(recipe.join("files")).expect("makes");
    std::fs::copy(third.keyring, recipe.join("files/third.asc")).expect("copies");
    World { home, made, server, recipe }
}

impl World {
    /// Appends a line to the recipe's archive.
    fn suite(self, line: &str) -> Self {
        let path = self.recipe.join("recipe.toml");
        let text = std::fs::read_to_string(&path).expect("reads");
        let text = text.replace("name = \"third\"", &format!("name = \"third\"\n{line}"));
        std::fs::write(path, text).expect("writes");
        self
    }

    fn locked(&self, name: &str) -> tinyroot::lock::LockedPackage {
        let lock = Lock::read(&self.recipe.join("recipe.lock")).expect("reads");
        lock.get(name).expect("is locked").clone()
    }
}

#[test]
fn public_flat_archives_can_be_locked() {
    for public in PUBLIC {
        let debian = MadeArchive::new("bookworm").architecture(public.architecture);
        let needed =
            |(name, version): &(&str, &str)| deb(name).version(version).architecture(public.architecture);
        let debian = public.needs.iter().map(needed).fold(debian, MadeArchive::add);
        let third = MadeArchive::new("./")
            .without_by_hash()
            .compressions(&[Compression::None, Compression::Gzip])
            .date_s(ARCHIVE_TIME_S + 86_400)
            .stanzas(public.stanzas);
        let world =
            world(debian, third, public.package, &format!("architecture = {:?}", public.architecture));
        let world = world.suite("suite = \"./\"");
        let said = world.done(&["lock", text(&world.recipe)]);
        assert!(!said.contains("left out") && !said.contains("odd"), "{said}");
        let locked = world.locked(public.package);
        assert_eq!((locked.version.as_str(), locked.path.as_str()), (public.version, public.path));
        assert_eq!(locked.suite, "third/./");
        // The text is read back, and asked for under its own name.
        world.done(&["lock", text(&world.recipe), "--check"]);
        world.server.requests();
        world.fails(&["stage", text(&world.recipe), "--output", text(&world.home.path("root.tar"))]);
        let escaped = format!("third/{}", public.path.replace('+', "%2b"));
        assert!(world.server.requests().iter().any(|request| request.escaped == escaped), "{escaped}");
    }
}

#[test]
fn what_is_left_out_is_explained_and_harms_nobody_else() {
    let bad = "Package: tea\nVersion: testing\nArchitecture: all\n\n";
    let third = MadeArchive::new("stable/").stanzas(bad).add(deb("cup"));
    let asked = |package: &str| {
        world(MadeArchive::new("bookworm"), third.clone(), package, "").suite("suite = \"stable/\"")
    };
    let cup = asked("cup");
    let said = cup.done(&["lock", text(&cup.recipe)]);
    support::assert_says(
        &said,
        &["1 stanza of third/stable/ is left out", "tea testing: its Version `testing`"],
    );
    assert_eq!(cup.locked("cup").path, "stable/cup_1.0_amd64.deb");
    let tea = asked("tea");
    let said = tea.fails(&["lock", text(&tea.recipe)]);
    support::assert_says(
        &said,
        &[
            "there is no package `tea` that can be used",
            "tea testing of third/stable/ is left out: its Version `testing` is not a version",
        ],
    );
}

#[test]
fn the_proxy_of_apts_configuration_is_used() {
    let world = World::new();
    let conf = world.home.path("apt.conf");
    std::fs::write(&conf, format!("Acquire::http {{ Proxy \"{}\"; }};\n", world.server.url()))
        .expect("writes");
    let mut command = world.home.command();
    command.env("APT_CONFIG", &conf).env_remove("no_proxy").env_remove("NO_PROXY");
    command.args(world.args(&["lock", text(&world.recipe)], "http://mirror.invalid"));
    let ended = support::end(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let requests = world.server.requests();
    assert!(
        !requests.is_empty() && requests.iter().all(|request| request.host == "mirror.invalid"),
        "{requests:?}"
    );
}
