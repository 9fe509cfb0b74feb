use std::fs;

use super::*;

fn read_text(text: &str) -> Result<Recipe, RecipeError> {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("recipe.toml"), text).expect("writes");
    fs::create_dir(directory.path().join("files")).expect("makes");
    fs::write(directory.path().join("files/a.conf"), "a\n").expect("writes");
    read(directory.path())
}

const HEAD: &str = "[app]\nname = \"wiki\"\npackages = [\"wiki\"]\n[debian]\nsuite = \"bookworm\"\n";

#[test]
fn reads_a_whole_recipe() {
    let recipe = read_text(&format!(
        r#"{HEAD}packages = ["nginx"]
[[file]]
path = "/app/a.conf"
source = "files/a.conf"
[setup]
command = ["/bin/sh", "/app/setup.sh"]
[[service]]
name = "web"
command = ["/usr/sbin/nginx"]
ready = {{ http = "/" }}
stop_signal = "SIGINT"
stop_timeout_s = 60
[web]
port = 8000
host = "localhost"
[[exercise]]
get = "/login"
status = [200, 302]
contains = "sectok"
capture.sectok = 'value="([^"]*)"'
[[exercise]]
post = "/login"
form = {{ u = "alice", sectok = "{{sectok}}" }}
header."X-A" = "b"
[[exercise]]
restart = true
[prune]
keep = ["/usr/share/wiki/**"]
[reduce]
icu = {{ languages = ["en", "de"] }}
java = {{ modules = ["java.sql"] }}
symbols = true
stubs = ["libgcrypt.so.20"]
[sandbox]
terminals = true
[limits]
memory = "256 MiB"
cpu = 0.5
[budget]
artifact = "19 MB"
"#
    ))
    .expect("is good");
    assert_eq!(recipe.requested(), ["wiki", "nginx"]);
    assert_eq!(recipe.app.version, Version::Deb("wiki".into()));
    assert_eq!(recipe.files[0].content, LaidContent::File { mode: 0o644, bytes: b"a\n".to_vec() });
    assert_eq!(recipe.services[0].ready, Ready::Http("/".into()));
    assert_eq!((recipe.services[0].stop_signal, recipe.services[0].stop_timeout_s), (2, Some(60)));
    let web = recipe.web.expect("has one");
    assert_eq!((web.port, web.host.as_deref()), (8000, Some("localhost")));
    assert_eq!(recipe.exercise.len(), 3);
    assert_eq!(recipe.exercise[2], Step::Restart);
    let Step::Request(post) = &recipe.exercise[1] else { panic!("a request") };
    let fields = [("u", "alice"), ("sectok", "{sectok}")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(post.body, Body::Form(fields.to_vec()));
    let languages = ["en", "de"].map(str::to_owned).to_vec();
    assert_eq!(recipe.reduce.icu, Some(Icu::Kept { languages, converters: true }));
    assert_eq!(recipe.reduce.java, Some(Java { modules: vec!["java.sql".to_owned()] }));
    assert!(recipe.reduce.symbols == Some(true) && !recipe.reduce.bytecode);
    assert_eq!(recipe.reduce.stubs, ["libgcrypt.so.20"]);
    assert!(recipe.sandbox.terminals && !recipe.sandbox.proc);
    assert_eq!(recipe.limits, Limits { memory_bytes: Some(256 << 20), cpu_millis: Some(500) });
    assert_eq!(recipe.budget.artifact_bytes, Some(19_000_000));
}

#[test]
fn shipped_state_is_named_below_var() {
    let text = |globs: &str| {
        format!(
            "[app]\nname = \"tea\"\npackages = [\"tea\"]\nstate = {globs}\n[debian]\nsuite = \"bookworm\"\n"
        )
    };
    let recipe = read_text(&text("[\"/var/lib/tea/**\"]")).expect("is good");
    assert_eq!(recipe.app.state, ["/var/lib/tea/**"]);
    for bad in ["/etc/tea", "var/lib/tea", "/var/lib/[", "/various"] {
        let error = read_text(&text(&format!("[\"{bad}\"]"))).expect_err(bad).to_string();
        assert!(
            error.ends_with("recipe.toml:4:10: app.state: a glob begins with /var/ (see glob(7))"),
            "{error}"
        );
    }
}

#[test]
fn archives_pins_and_recommends_are_read() {
    let recipe = read_text(&format!(
        r#"{HEAD}mirror = ["http://one.example/debian", "/srv/debian"]
recommends = ["nginx"]
pins = [{{ package = "nginx*", suite = "bookworm-backports", priority = 600 }}]
snapshot = "20261101T000000Z"
snapshot_service = "http://past.example/{{archive}}/{{time}}"
[[debian.archive]]
name = "other"
mirror = "http://other.example/debian"
suite = "stable"
keys = "files/a.conf"
"#
    ))
    .expect("is good");
    let debian = recipe.debian;
    assert_eq!(debian.mirrors, ["http://one.example/debian", "/srv/debian"]);
    assert_eq!((debian.recommends, debian.recommends_of), (false, vec!["nginx".to_owned()]));
    assert_eq!((debian.pins[0].package.as_str(), debian.pins[0].priority), ("nginx*", 600));
    assert_eq!(debian.snapshot.as_deref(), Some("20261101T000000Z"));
    let other = &debian.archives[0];
    assert_eq!((other.name.as_str(), other.suite.as_str()), ("other", "stable"));
    assert_eq!(
        (&other.components[..], other.keys.ends_with("files/a.conf")),
        (&["main".to_owned()][..], true)
    );
    for (tail, expected) in [
        ("foreign = [\"i386\"]\n", "debian.foreign: a root has packages of one architecture"),
        ("recommends = [\"Nginx\"]\n", "debian.recommends `Nginx` is not a Debian package name"),
        ("pins = [{ package = \"a\", priority = 0 }]\n", "priority is 0, which apt leaves undefined"),
        ("pins = [{ package = \"A b\", priority = 1 }]\n", "`A b` is neither a package name nor a pattern"),
        ("snapshot = \"last week\"\n", "debian.snapshot `last week` is not a time such as 20261101T000000Z"),
        (
            "[[debian.archive]]\nname = \"o\u{2b}\"\nmirror = []\nsuite = \"s\"\nkeys = \"files/a.conf\"\n",
            "debian.archive.mirror is empty",
        ),
        (
            "[[debian.archive]]\nname = \"oo\"\nmirror = \"/x\"\nsuite = \"../s/\"\nkeys = \"files/a.conf\"\n",
            "debian.archive.suite `../s/` is not a suite: it leaves its place or is not plain",
        ),
        (
            "[[debian.archive]]\nname = \"oo\"\nmirror = \"/x\"\nsuite = \"./\"\ncomponents = [\"main\"]\n\
             keys = \"files/a.conf\"\n",
            "debian.archive.components: `./` is an exact path, which has none",
        ),
        (
            "[[debian.archive]]\nname = \"oo\"\nmirror = \"/x\"\nsuite = \"s\"\nkeys = \"../key\"\n",
            "debian.archive.keys `../key` must be a path inside the recipe folder",
        ),
    ] {
        let error = read_text(&format!("{HEAD}{tail}")).expect_err(tail).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn steps_follow_and_load_unless_told_otherwise() {
    let recipe = read_text(&format!(
        "{HEAD}[web]\nport = 8000\nlinks_to = [\"Www.Example.org\", \"*.b.example:81\", \"*\"]\nload = false\n\
         [[exercise]]\nget = \"/\"\n[[exercise]]\nget = \"/a\"\nfollow = false\nload = true\n"
    ))
    .expect("is good");
    let web = recipe.web.expect("is there");
    assert_eq!(
        (web.load, web.links_to),
        (false, ["www.example.org", "*.b.example:81", "*"].map(String::from).to_vec())
    );
    let asked: Vec<_> = recipe
        .exercise
        .iter()
        .map(|step| match step {
            Step::Request(request) => (request.follow, request.load),
            other => panic!("{other:?} is not a request"),
        })
        .collect();
    assert_eq!(asked, [(true, None), (false, Some(true))]);
}

#[test]
fn steps_ask_by_any_method() {
    let recipe = read_text(&format!(
        "{HEAD}[web]\nport = 8000\n[[exercise]]\nput = \"/a\"\n[[exercise]]\nrequest = \"PROPFIND /a?b c\"\n"
    ))
    .expect("is good");
    let asked: Vec<_> = recipe
        .exercise
        .iter()
        .map(|step| match step {
            Step::Request(request) => (&request.method[..], &request.path[..]),
            other => panic!("{other:?} is not a request"),
        })
        .collect();
    assert_eq!(asked, [("PUT", "/a"), ("PROPFIND", "/a?b c")]);
}

#[test]
fn faults_name_line_column_and_rule() {
    for (tail, expected) in [
        ("recomends = true\n", "6:1: key `recomends` is unknown; did you mean `recommends`?"),
        ("packages = [1]\n", "6:13: invalid type: integer `1`, expected a string"),
        ("packages = [\"No\"]\n", "6:13: debian.packages `No` is not a Debian package name"),
        ("[web]\nport = 0\n", "7:8: web.port is 0 (must be 1 to 65535)"),
        (
            "[web]\nport = 80\nlinks_to = [\"a.example\", \"https://b.example/\"]\n",
            "8:26: web.links_to `https://b.example/` is not a host (such as www.example.org)",
        ),
        (
            "[web]\nport = 80\nhost = \"localhost:80\"\n",
            "8:8: web.host `localhost:80` must be a name such as localhost, without a port",
        ),
        (
            "[[exercise]]\nget = \"/\"\ncapture.host = \"x\"\n",
            "6:1: capture.host: this name is that of the URL in the browser",
        ),
        (
            "[[file]]\npath = \"/a\"\nsource = \"../x\"\n",
            "8:10: file.source `../x` must be a path inside the recipe folder",
        ),
        (
            "[[file]]\npath = \"/run/a\"\ncontent = \"\"\n",
            "7:8: file.path `/run/a`: nothing can be laid below /run",
        ),
        (
            "[[exercise]]\nget = \"/\"\nrestart = true\n",
            "6:1: a step has one of get, post, put, delete, head, request, websocket, sse, stream, restart, sleep, run",
        ),
        (
            "[[exercise]]\nrequest = \"/files\"\n",
            "6:1: request `/files` must be a method and a path, such as `PROPFIND /`",
        ),
        (
            "[[exercise]]\nrequest = \"mkcol /files\"\n",
            "6:1: request `mkcol /files` must be a method and a path, such as `PROPFIND /`",
        ),
        (
            "[[service]]\nname = \"a\"\ncommand = [\"sh\"]\n",
            "8:11: service.command must begin with the absolute path of a program",
        ),
        (
            "[budget]\nartifact = \"x\"\n",
            "7:12: budget.artifact: `x` is not a size; write a number and B, kB, MB, GB, KiB, MiB or GiB",
        ),
        ("[limits]\nmemory = \"1 MB\"\n", "7:10: limits.memory is below 8 MB, which nothing starts with"),
        ("[limits]\ncpu = 0.001\n", "7:7: limits.cpu is 0.01 to 1000 processors, in steps of 0.001"),
        ("[limits]\ncpu = 0.0105\n", "7:7: limits.cpu is 0.01 to 1000 processors, in steps of 0.001"),
        ("[limits]\ncpu = nan\n", "7:7: limits.cpu is 0.01 to 1000 processors, in steps of 0.001"),
        (
            "[reduce]\nicu = { languages = [\"en\", \"dd\"] }\n",
            "7:28: reduce.icu.languages `dd` is not a language of ICU; did you mean `da`?",
        ),
        (
            "[reduce]\nicu = { languages = [\"pt_BR\"] }\n",
            "7:22: reduce.icu.languages `pt_BR` names a region; a language brings all of its own: write `pt`",
        ),
        (
            "[reduce]\nstubs = [\"/usr/lib/libz.so.1\"]\n",
            "7:10: reduce.stubs `/usr/lib/libz.so.1` is not a name of a library (such as libgcrypt.so.20)",
        ),
        (
            "[reduce]\nnot = [\"icu\", \"bytecodes\"]\n",
            "7:15: reduce.not `bytecodes` is not one of icu, java, bytecode or a library (such as libgcrypt.so.20)",
        ),
        (
            "[reduce]\nstubs = [\"liba.so.1\"]\nnot = [\"liba.so.1\"]\n",
            "8:8: reduce.not names `liba.so.1`, which [reduce] asks for",
        ),
        ("[reduce]\nicu = { converters = true }\n", "7:7: reduce.icu has either languages or empty = true"),
        ("[reduce]\nicu = { language = [] }\n", "7:9: key `language` is unknown; did you mean `languages`?"),
        (
            "[reduce]\njava = { modules = [\"java-sql\"] }\n",
            "7:21: reduce.java.modules `java-sql` is not a name of a module",
        ),
        (
            "[[service]]\nname = \"a\"\ncommand = [\"/a\"]\nstop_signal = \"INT\"\n",
            "9:15: service.stop_signal `INT` is not one of SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, \
             SIGWINCH",
        ),
        (
            "[[service]]\nname = \"a\"\ncommand = [\"/a\"]\nstop_timeout_s = 0\n",
            "9:18: service.stop_timeout_s is 0 (must be 1 to 3600)",
        ),
        (
            "[debian.debconf]\n\"tea/admin-pass\" = \"x\"\n",
            "7:1: debian.debconf `tea/admin-pass` asks for a secret, which all who have the package would know: make it per \
             grain in [setup]",
        ),
        (
            "[debian.debconf]\ntea = \"x\"\n",
            "7:1: debian.debconf `tea` is not a question (such as `tea/colour`)",
        ),
        (
            "[debian.debconf]\n\"tea/cup\" = 1.5\n",
            "7:13: debian.debconf `tea/cup` must be text, true, false, a number or a list of text",
        ),
        ("[debian.debconf]\n\"tea/cup\" = \"a\\nb\"\n", "7:13: debian.debconf `tea/cup` must be of one line"),
        ("architecture = \"i386\"\n", "6:16: debian.architecture `i386` is not known (amd64 or arm64)"),
    ] {
        let fault = read_text(&format!("{HEAD}{tail}")).expect_err(tail).to_string();
        let (_, place) = fault.split_once("recipe.toml:").expect("names the file");
        assert_eq!(place, expected);
    }
}

#[test]
fn missing_files_are_named() {
    let fault = read(Path::new("/nonexistent/recipe")).expect_err("is not there").to_string();
    assert_eq!(fault, "cannot read /nonexistent/recipe/recipe.toml");
    let tail = "[[file]]\npath = \"/a\"\nsource = \"files/none\"\n";
    let fault = read_text(&format!("{HEAD}{tail}")).expect_err("is not there").to_string();
    assert!(
        fault.ends_with(
            "8:10: file.source `files/none` cannot be read: No such file or directory (os error 2)"
        ),
        "{fault}"
    );
}

#[test]
fn a_suite_may_have_slashes_or_be_an_exact_path() {
    for (given, suite, components) in [
        ("./", "./", &[][..]),
        ("/", "./", &[]),
        ("./stable/", "stable/", &[]),
        ("bookworm/mongodb-org/7.0", "bookworm/mongodb-org/7.0", &["main"]),
    ] {
        let archive = format!(
            "[[debian.archive]]\nname = \"other\"\nmirror = \"/x\"\nsuite = {given:?}\nkeys = \"files/a.conf\"\n"
        );
        let recipe = read_text(&format!("{HEAD}{archive}")).expect(given);
        let other = &recipe.debian.archives[0];
        assert_eq!(
            (other.suite.as_str(), &other.components[..]),
            (suite, &components.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()[..])
        );
    }
}

/// Writes recipe folders side by side, each of files and their texts.
fn folders(all: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
    let top = tempfile::tempdir().expect("a directory");
    for (folder, files) in all {
        for (name, text) in *files {
            let path = top.path().join(folder).join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("makes");
            fs::write(path, text).expect("writes");
        }
    }
    top
}

const BASE: &str = r#"[app]
name = "wiki"
title = "Wiki"
packages = ["wiki"]
[debian]
suite = "bookworm"
packages = ["nginx", "php"]
[env]
A = "1"
[[file]]
path = "/app/a.conf"
source = "files/a.conf"
[[file]]
path = "/app/b.conf"
source = "files/b.conf"
[[service]]
name = "php"
command = ["/usr/sbin/php"]
[[service]]
name = "web"
command = ["/usr/sbin/nginx"]
[web]
port = 8000
[[exercise]]
post = "/"
form = { z = "1", a = "2" }
[prune]
keep = ["/a"]
"#;

const OVER: &str = r#"# The same, newer.
base = "../wiki"
[app]
name = "wiki-new"
[debian]
suite = "trixie"
packages = ["nginx"]
[[file]]
path = "/app/c.conf"
content = "c"
[[file]]
path = "/app/b.conf"
content = "own"
[[service]]
name = "web"
command = ["/usr/sbin/apache2"]
"#;

fn over(text: &str) -> tempfile::TempDir {
    let base: &[(&str, &str)] = &[
        ("recipe.toml", BASE),
        ("files/a.conf", "base's"),
        ("files/b.conf", "b"),
        ("recipe.lock", "its own"),
    ];
    folders(&[("wiki", base), ("wiki-new", &[("recipe.toml", text), ("files/a.conf", "mine")])])
}

#[test]
fn a_recipe_is_laid_over_its_base() {
    let top = over(OVER);
    let recipe = read(&top.path().join("wiki-new")).expect("is good");
    assert_eq!((&recipe.app.name[..], &recipe.app.title[..]), ("wiki-new", "Wiki"));
    assert_eq!(
        (&recipe.debian.suite[..], recipe.requested()),
        ("trixie", vec!["wiki".into(), "nginx".into()])
    );
    assert_eq!(recipe.env.get("A").map(String::as_str), Some("1"));
    let files: Vec<String> =
        recipe.files.iter().map(|file| format!("{} {:?}", file.path, file.content)).collect();
    let file = |bytes: &[u8]| format!("{:?}", LaidContent::File { mode: 0o644, bytes: bytes.to_vec() });
    let expected = [("a", file(b"mine")), ("b", file(b"own")), ("c", file(b"c"))];
    assert_eq!(files, expected.map(|(name, content)| format!("app/{name}.conf {content}")));
    let services: Vec<&str> = recipe.services.iter().map(|service| &service.command[0][..]).collect();
    assert_eq!(services, ["/usr/sbin/php", "/usr/sbin/apache2"]);
    assert_eq!(recipe.exercise.len(), 1);
    assert_eq!((recipe.text.as_str(), recipe.prune.keep.len()), (OVER, 1));

    // What a package encloses needs no base, and is the same recipe.
    let folder = recipe.folder().expect("reads");
    assert_eq!(folder.keys().collect::<Vec<_>>(), ["files/a.conf", "files/b.conf", "recipe.toml"]);
    let enclosed: Vec<(&str, &str)> =
        folder.iter().map(|(name, bytes)| (&name[..], std::str::from_utf8(bytes).expect("text"))).collect();
    let alone = folders(&[("alone", &enclosed)]);
    let again = read_enclosed(&alone.path().join("alone")).expect("is whole");
    let shown = |recipe: &Recipe| {
        let recipe = Recipe {
            directory: PathBuf::new(),
            text: String::new(),
            bases: Vec::new(),
            whole_text: None,
            ..recipe.clone()
        };
        format!("{recipe:#?}")
    };
    assert_eq!(shown(&again), shown(&recipe));
    assert_eq!(again.folder().expect("reads"), folder);
    // The recipe's own state is its own folder, and a change of the base is one of the recipe.
    assert_eq!(recipe.own_folder().expect("reads").len(), 2);
    let digest = recipe.folder_digest().expect("reads");
    fs::write(top.path().join("wiki/files/b.conf"), "other").expect("writes");
    assert_ne!(recipe.folder_digest().expect("reads"), digest);
    let names: Vec<PathBuf> = recipe.text_paths().collect();
    assert_eq!(names[1], top.path().join("wiki-new/../wiki/recipe.toml"));
}

#[test]
fn a_fault_is_told_of_the_file_that_has_it() {
    for (own, base, expected) in [
        ("", ["port = 8000", "port = \"x\""], "wiki-new/../wiki/recipe.toml:23:8: invalid type: string"),
        ("", ["[web]", "[web]\nprt = 1"], "wiki-new/../wiki/recipe.toml:23:1: key `prt` is unknown"),
        (
            "",
            ["files/b.conf", "files/x.conf"],
            "wiki-new/../wiki/recipe.toml:15:10: file.source `files/x.conf` cannot",
        ),
        ("", ["[debian]", "[debian"], "wiki-new/../wiki/recipe.toml:5:"),
        ("", ["name = \"wiki\"", "base = 1\nname = \"wiki\""], "wiki/recipe.toml:2:1: key `base` is unknown"),
        ("", ["[app]", "base = 1\n[app]"], "wiki/recipe.toml:1:8: base must be the path of a recipe folder"),
        (
            "",
            ["[app]", "base = \"../wiki\"\n[app]"],
            "wiki/recipe.toml:1:8: base `../wiki`: more than 4 recipes",
        ),
        (
            "[prune]\nkeep = [\"a\"]\n",
            ["", ""],
            "wiki-new/recipe.toml:18:9: prune.keep: a glob begins with /",
        ),
        ("[prune]\nkep = 1\n", ["", ""], "wiki-new/recipe.toml:18:1: key `kep` is unknown"),
    ] {
        let top = over(&format!("{OVER}{own}"));
        fs::write(top.path().join("wiki/recipe.toml"), BASE.replacen(base[0], base[1], 1)).expect("writes");
        // What the recipe has itself is not read from the base.
        let text = fs::read_to_string(top.path().join("wiki-new/recipe.toml")).expect("reads");
        let text =
            if base[1].contains("files/x") { text.replace("/app/b.conf", "/app/d.conf") } else { text };
        fs::write(top.path().join("wiki-new/recipe.toml"), text).expect("writes");
        let error = read(&top.path().join("wiki-new")).expect_err("is refused").to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    for (base, expected) in [
        ("/wiki", "recipe.toml:2:8: base `/wiki`: it must be a path relative to this folder"),
        ("", "recipe.toml:2:8: base ``: it must be a path"),
        ("../none", "recipe.toml:2:8: base `../none`: "),
        ("../wiki/recipe.toml", "/wiki/recipe.toml/recipe.toml cannot be read: Not a directory"),
    ] {
        let top = over(&OVER.replace("\"../wiki\"", &format!("\"{base}\"")));
        let error = read(&top.path().join("wiki-new")).expect_err("is refused").to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn nothing_outside_is_read_for_a_recipe_of_another_place() {
    let top = over(OVER);
    let folder = top.path().join("wiki-new");
    let said = read_enclosed(&folder).expect_err("is refused").to_string();
    assert!(said.contains("2:8: base `../wiki`: a package encloses its whole recipe"), "{said}");
    assert!(read_below(&folder, top.path()).is_ok());
    let said = read_below(&folder, &folder).expect_err("is refused").to_string();
    assert!(said.contains("base `../wiki`: it lies outside of the repository"), "{said}");
    assert_eq!(base_folder(Path::new("recipes/wiki-new"), OVER.as_bytes()), Some("recipes/wiki".into()));
    assert_eq!(base_folder(Path::new("recipes/wiki"), BASE.as_bytes()), None);
}
