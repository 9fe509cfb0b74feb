//! Builds without a network: `fetch` fills a directory, `--pool` takes it.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use tinyroot::testing::{Fault, MadeArchive, Server, deb};

use super::{
    World,
    support::{assert_says, names, text},
    write_recipe,
};

/// What is said once all packages are at hand: the made archive has nothing to configure them with.
const GOES_ON: &str = "cannot configure a root without dpkg";

/// Paths, sizes and times of all below a directory.
fn all_below(directory: &Path) -> Vec<(String, u64, i64)> {
    let mut out = Vec::new();
    for name in names(directory) {
        let path = directory.join(&name);
        let found = fs::symlink_metadata(&path).expect("is there");
        out.push((text(&path).to_owned(), found.len(), found.mtime_nsec()));
        if found.is_dir() {
            out.extend(all_below(&path));
        }
    }
    out
}

/// A world with a lock, an archive beside Debian's and a registry, and a pool filled from them.
fn filled() -> (World, String) {
    let world = World::new();
    let beside = world.home.path("beside");
    MadeArchive::new("stable").add(deb("cup").version("3")).write(&beside);
    let leaf = deb("leaf").file("package/index.js", 0o644, "1\n");
    let tarball = world.home.path("archive/npm/@s/leaf/-/leaf-1.0.0.tgz");
    fs::create_dir_all(tarball.parent().expect("has one")).expect("makes");
    fs::write(tarball, leaf.tarball()).expect("writes");
    let more = format!(
        "[[debian.archive]]\nname = \"beside\"\nmirror = \"{}\"\nsuite = \"stable\"\nkeys = \"files/key.asc\"\n\
         [[npm]]\nlock = \"files/package-lock.json\"\nto = \"/opt/tea\"",
        beside.display()
    );
    write_recipe(&world.home, r#"["tea", "cup"]"#, &more);
    let files = world.recipe.join("files");
    fs::create_dir(&files).expect("makes");
    fs::copy(beside.join("keyring.asc"), files.join("key.asc")).expect("copies");
    let lock = serde_json::json!({
        "lockfileVersion": 3,
        "packages": { "node_modules/@s/leaf": { "version": "1.0.0", "integrity": leaf.integrity() } },
    });
    fs::write(files.join("package-lock.json"), lock.to_string()).expect("writes");
    world.lock();
    let pool = text(&world.home.path("pool")).to_owned();
    let registry = format!("{}/npm", world.server.url());
    let said = world.done(&["fetch", text(&world.recipe), "--output", &pool, "--npm-registry", &registry]);
    assert_says(&said, &["4 files, 4 of them new"]);
    fs::remove_dir_all(&beside).expect("removes");
    fs::remove_dir_all(world.home.path("cache")).expect("removes");
    world.server.requests();
    (world, pool)
}

#[test]
fn a_pool_is_all_that_a_build_without_a_network_needs() {
    let (world, pool) = filled();
    let before = all_below(Path::new(&pool));
    let root = world.home.path("root.tar");
    for command in [
        vec!["build", text(&world.recipe)],
        vec!["stage", text(&world.recipe), "--output", text(&root)],
        vec!["trace", text(&world.recipe)],
    ] {
        let said = world.fails(&[&command[..], &["--offline", "--pool", &pool]].concat());
        assert_says(&said, &[GOES_ON]);
        fs::remove_dir_all(world.home.path("cache")).expect("removes");
    }
    assert_eq!(world.server.requests(), []);
    assert!(all_below(Path::new(&pool)) == before, "the pool was written to");
    let said = world.fails(&["build", text(&world.recipe), "--pool", "/nowhere"]);
    assert_says(&said, &["there is no pool /nowhere", "hint: fill one with `tinyroot fetch RECIPE"]);
}

#[test]
fn with_its_indexes_a_pool_says_whether_a_lock_would_change() {
    let world = World::new();
    world.lock();
    let pool = text(&world.home.path("pool")).to_owned();
    let url = world.server.url();
    let check = ["lock", text(&world.recipe), "--check", "--offline", "--pool", &pool];
    let keyring = ["--keyring", text(&world.made.keyring)];
    let fetch = |more: &[&str]| {
        world.done(&[&["fetch", text(&world.recipe), "--output", &pool][..], more].concat());
        let _ = fs::remove_dir_all(world.home.path("cache"));
        world.server.requests();
    };
    fetch(&[]);
    let said = world.home.fails(&[&check[..], &keyring[..]].concat());
    assert_says(&said, &["cannot open bookworm offline: it was never fetched"]);
    fetch(&["--indexes"]);
    let ended = world.home.done(&[&check[..], &keyring[..]].concat());
    assert_says(&ended.stderr, &["is up to date: 2 packages"]);
    assert_eq!(world.server.requests(), []);
    // The cache knows a newer state: that counts.
    let newer = [deb("tea").version("3").field("Depends", "water"), deb("water").version("1")];
    let newer = newer.into_iter().fold(MadeArchive::new("bookworm"), MadeArchive::add);
    newer.date_s(tinyroot::testing::ARCHIVE_TIME_S + 100).write(&world.made.directory);
    let online = world.args(&["lock", text(&world.recipe), "--check"], &url);
    assert_eq!(world.home.run(&online).code, Some(3));
    let ended = world.home.run(&[&check[..], &keyring[..]].concat());
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_web_server_over_a_pool_is_a_mirror() {
    let (world, pool) = filled();
    fs::remove_dir_all(Path::new(&pool).join("archives")).expect("removes");
    write_recipe(&world.home, r#"["tea"]"#, "");
    world.lock();
    fs::remove_dir_all(world.home.path("cache")).expect("removes");
    let server = Server::start(Path::new(&pool));
    let said = world.home.fails(&world.args(&["build", text(&world.recipe)], &server.url()));
    assert_says(&said, &[GOES_ON]);
    assert_eq!(server.requests().len(), 2);
    // With indexes, of all of it.
    world.done(&["fetch", text(&world.recipe), "--output", &pool, "--indexes"]);
    fs::remove_dir_all(world.home.path("cache")).expect("removes");
    world.home.done(&world.args(&["lock", text(&world.recipe), "--check"], &server.url()));
}

#[test]
fn what_is_damaged_in_a_pool_comes_from_elsewhere_or_is_named() {
    let (world, pool) = filled();
    let tea = Path::new(&pool).join(super::pool_file(&world.made.directory, "tea"));
    let mut bytes = fs::read(&tea).expect("reads");
    bytes[5] ^= 1;
    fs::write(&tea, &bytes).expect("writes");
    let build = ["build", text(&world.recipe), "--pool", &pool];
    let said = world.fails(&[&build[..], &["--offline"]].concat());
    assert_says(&said, &["cannot fetch tea 2 offline", "its digest is not the expected one", text(&tea)]);
    let said = world.fails(&build);
    assert_says(&said, &[&format!("warning: {} is damaged; it is passed over", tea.display()), GOES_ON]);
    // `fetch` mends it, from the cache here.
    world.server.fault("*", Fault::Status(404));
    let fetch = ["fetch", text(&world.recipe), "--output", &pool, "--json"];
    let ended = world.home.done(&world.args(&fetch, &world.server.url()));
    assert_says(&ended.stderr, &[&format!("warning: {} is damaged; it is fetched again", tea.display())]);
    let filled: serde_json::Value = serde_json::from_str(&ended.stdout).expect("is JSON");
    assert_eq!((&filled["files"], &filled["fetched"]), (&4.into(), &1.into()));
    assert_eq!(filled["fetched_bytes"], bytes.len());
    // What no recipe needs any more goes.
    world.server.heal();
    write_recipe(&world.home, r#"["water"]"#, "");
    world.lock();
    let said = world.done(&["fetch", text(&world.recipe), "--output", &pool, "--prune"]);
    assert_says(&said, &["1 files, 3 packages removed that none of these recipes needs"]);
    assert_eq!(names(Path::new(&pool)), ["archives", "npm", "pool", "tinyroot-pool"]);
    let gone = world.fails(&["fetch", "/nowhere", "--output", &pool]);
    assert_says(&gone, &["error: "]);
}

#[test]
fn what_has_left_the_mirror_says_what_was_tried_and_what_moves_the_lock() {
    let world = World::new();
    world.lock();
    let path = super::pool_file(&world.made.directory, "tea");
    // A newer one takes its place.
    fs::remove_dir_all(&world.made.directory).expect("removes");
    let debs = [
        deb("tea").version("2.1").field("Depends", "water"),
        deb("water").version("1").file("usr/share/water", 0o644, "wet\n"),
    ];
    debs.into_iter()
        .fold(MadeArchive::new("bookworm"), MadeArchive::add)
        .write_with_pockets(&world.made.directory);
    let service = format!("{}/past/{{archive}}/{{time}}", world.server.url());
    let said = world.fails(&["build", text(&world.recipe), "--snapshot-service", &service]);
    assert_says(
        &said,
        &[
            "cannot fetch tea 2: none of 3 places has it",
            &format!("{}/{path}: it is not there", world.server.url()),
            "/past/debian/20240101T000000Z/",
            "hint: tea is at 2.1 now; 2 was locked",
            &format!("`tinyroot lock {} --update tea`", text(&world.recipe)),
        ],
    );
    assert!(said.lines().count() <= 8, "{said}");
}

#[test]
fn a_mirror_of_another_tool_is_no_pool() {
    let world = World::new();
    world.lock();
    let mirror = world.home.path("mirror");
    let theirs = mirror.join("pool/main/h/hello/hello_1_amd64.deb");
    fs::create_dir_all(theirs.parent().expect("has one")).expect("makes");
    fs::write(&theirs, "d").expect("writes");
    world.server.requests();
    for more in [&["--prune", "--offline"][..], &["--prune", "--indexes"], &[]] {
        let fetch = ["fetch", text(&world.recipe), "--output", text(&mirror)];
        let said = world.fails(&[&fetch[..], more].concat());
        let fault = format!("cannot use {} as a pool: it is not empty", mirror.display());
        assert_says(&said, &[&fault, "hint: name a directory that is new or empty with --output DIR"]);
    }
    assert!(theirs.exists());
    assert_eq!((names(&mirror), world.server.requests()), (vec!["pool".to_owned()], Vec::new()));
}
