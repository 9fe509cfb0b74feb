//! The life of a grain, from its first start to its end, with the host's perl as its server.
//!
//! Needs perl and a shell on the host, and user namespaces or root; says so where one is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

#[path = "grain/guards.rs"]
mod guards;
#[path = "grain/ready.rs"]
mod ready;
#[path = "grain/state.rs"]
mod state;
#[path = "grain/stop.rs"]
mod stop;
#[path = "grain/upgrade.rs"]
mod upgrade;
#[path = "grain/volume.rs"]
mod volume;

use tinyroot::{
    error::Hint as _,
    exercise::{self, Authority, Outcome, Visit},
    formats::manifest::Manifest,
    grain::{Grain, GrainError, GrainRoot, GrainSpec, GrainTarget, Log, RootOptions},
    image::{self, Fate, VarPolicy},
    layout::ImagePath,
    progress::Progress,
    prove::{Bounds, Inputs, explore, prove},
    recipe::{self, LaidContent, Recipe},
    sandbox::{Exit, set_program},
    signing_keys::Keyring,
    store::Store,
    testing,
    tree::{Entry, Tree, TreePath},
    view::{self, View},
};

/// Answers each request with the number of requests so far, which it keeps in /var, and with what a file
/// holds.
const SERVER: &str = r#"
$| = 1;
socket(S, 2, 1, 0) or die "socket: $!";
setsockopt(S, 1, 2, pack("l", 1));
bind(S, pack("S n C4 x8", 2, 8000, 127, 0, 0, 1)) or die "bind: $!";
listen(S, 9);
$SIG{TERM} = sub { print "server: bye\n"; exit 0 };
print "server: up\n";
while (accept(C, S)) {
    my $line = <C>;
    while (<C>) { last if /^\r?$/ }
    if ($line =~ /die/) { exit 42 }
    open(F, "<", "/var/count"); my $n = <F> + 1; close F;
    open(F, ">", "/var/count") or die; print F $n; close F;
    my $path = (split / /, $line)[1];
    my $text = -d $path ? do { opendir(D, $path); join(" ", sort grep { !/^\./ } readdir(D)) } : do { open(F, "<", $path); local $/; <F> };
    my $body = "n=$n $text";
    my $type = $path =~ /html$/ ? "html" : "plain";
    print C "HTTP/1.1 200 OK\r\nContent-Type: text/$type\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close C;
}
"#;

struct Fixture {
    directory: tempfile::TempDir,
    store: Arc<Store>,
}

impl Fixture {
    /// Returns `None`, and says why, where the host lacks what these tests need.
    fn new() -> Option<Self> {
        set_program(env!("CARGO_BIN_EXE_tinyroot"));
        for need in ["/usr/bin/perl", "/bin/sh"] {
            if !Path::new(need).exists() {
                tinyroot::testing::skip(&format!(
                    "this host has no {need}; Debian's perl-base and dash give it"
                ));
                return None;
            }
        }
        if let Err(tinyroot::sandbox::Unavailable { reason, remedy, .. }) =
            tinyroot::sandbox::host().user_namespaces
        {
            tinyroot::testing::skip(&format!("{reason} ({remedy})"));
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(&directory.path().join("cache")).expect("opens"));
        Some(Fixture { directory, store })
    }

    fn recipe(&self, tail: &str) -> Recipe {
        let folder = tempfile::tempdir_in(self.directory.path()).expect("a directory");
        let text = format!(
            "[app]\nname = \"tea\"\nversion = \"1\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n\
             [web]\nport = 8000\n[env]\nLANG = \"C\"\n{tail}"
        );
        fs::write(folder.path().join("recipe.toml"), text).expect("writes");
        recipe::read(folder.path()).expect("a good recipe")
    }

    fn base(&self, recipe: &Recipe) -> Arc<GrainRoot> {
        let tree = Arc::new(self.tree(recipe));
        Arc::new(GrainRoot::new(tree, &self.store, RootOptions::default().with_uses()).expect("a base"))
    }

    /// A root of the host's perl and shell with what they load, the server, and a `/var`.
    fn tree(&self, recipe: &Recipe) -> Tree {
        let mut tree = self.programs();
        self.add(&mut tree, "app/server.pl", SERVER.as_bytes(), 0o644);
        for file in &recipe.files {
            if let LaidContent::File { mode, bytes } = &file.content {
                self.add(&mut tree, file.path.to_string().trim_start_matches('/'), bytes, *mode);
            }
        }
        self.add(&mut tree, "var/lib/tea/code", b"shipped", 0o644);
        self.add(&mut tree, "var/lib/tea/conf", b"made by a script", 0o644);
        self.add(&mut tree, "var/lib/tea/secret", b"hush", 0o640);
        self.add(&mut tree, "etc/tea.secret", b"hush", 0o600);
        self.add(&mut tree, "var/lib/tea/private/key", b"hush", 0o600);
        self.add(&mut tree, "etc/private/key", b"hush", 0o644);
        tree.add_parents(0);
        for (at, mode) in [("var/lib/tea/private", 0o750), ("etc/private", 0o700)] {
            tree.get_mut(at.as_bytes()).expect("is there").mode = mode;
        }
        let fate = |path: &TreePath| if path.as_bytes().ends_with(b"code") { Fate::Link } else { Fate::Made };
        image::build(tree, recipe, &VarPolicy::ByFate(&fate), &self.store, 1_700_000_000)
    }

    /// The host's perl and shell with what they load.
    fn programs(&self) -> Tree {
        let mut tree = Tree::new();
        let mut files = BTreeSet::new();
        for program in ["/usr/bin/perl", "/bin/sh", "/bin/sleep", "/bin/cat"] {
            files.insert(PathBuf::from(program));
            let listed = Command::new("ldd").arg(program).output().expect("ldd runs").stdout;
            for word in
                String::from_utf8_lossy(&listed).split_whitespace().filter(|word| word.starts_with('/'))
            {
                files.insert(PathBuf::from(word));
            }
        }
        for file in files {
            let bytes = fs::read(&file).expect("reads");
            self.add(&mut tree, file.to_str().expect("text"), &bytes, 0o755);
        }
        tree
    }

    /// The artifact of a recipe, its papers enclosed.
    fn artifact(&self, recipe: &Recipe) -> PathBuf {
        let mut tree = self.tree(recipe);
        self.add(&mut tree, "tinyroot/papers/recipe/recipe.toml", recipe.text.as_bytes(), 0o644);
        let list = "tinyroot prune.list 1\ndropped tea unused nothing asked for it\n/app gone\n";
        self.add(&mut tree, "tinyroot/papers/prune.list", list.as_bytes(), 0o644);
        tree.add_parents(0);
        let key = Keyring::new(self.var("keyring")).generate().expect("a key");
        let path = self.var("tea.spk");
        let manifest = Manifest::for_init("Tea", "1", 1, "pot");
        testing::pack(&tree, &self.store, &manifest, &key, &path);
        path
    }

    fn tinyroot(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinyroot"));
        command
            .args(arguments)
            .env("TINYROOT_CACHE", self.var("cache-of-run"))
            .env("XDG_DATA_HOME", self.var("data"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn add(&self, tree: &mut Tree, at: &str, bytes: &[u8], mode: u32) {
        let digest = self.store.put(bytes);
        let path = TreePath::new(at.as_bytes()).expect("good");
        tree.insert(path, Entry::file(digest, bytes.len() as u64, mode, 1_600_000_000));
    }

    fn var(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

const SERVICES: &str = r#"
[[service]]
name = "first"
command = ["/usr/bin/perl", "-e", '''
$| = 1;
$SIG{TERM} = sub { print "first: bye\n"; exit 0 };
print "first: up\n";
open(F, ">", "/run/first"); close F;
sleep 1 while 1;
''']
ready = { file = "/run/first" }
[[service]]
name = "web"
command = ["/usr/bin/perl", "/app/server.pl"]
ready = { http = "/" }
"#;

fn get(grain: &Grain, path: &str) -> String {
    let mut stream = grain.connect().expect("connects");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    answer.split_once("\r\n\r\n").expect("an answer").1.to_owned()
}

#[test]
fn a_grain_keeps_its_var_and_nothing_else() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(&format!(
        "[setup]\ncommand = [\"/bin/sh\", \"-c\", \"echo set up $HOME $PORT; echo more >> /var/lib/tea/conf\"]\n{SERVICES}"
    ));
    let base = fixture.base(&recipe);
    let mut options = GrainSpec::of(&recipe, &fixture.var("var"));
    let log = fixture.directory.path().join("log");
    options = options.with_log(Log::to_file(&log).expect("opens"));
    let mut grain = Grain::start(base, options).expect("starts");
    // The readiness probe was the first request.
    assert_eq!(get(&grain, "/var/lib/tea/code"), "n=2 shipped");
    assert_eq!(get(&grain, "/var/lib/tea/conf"), "n=3 made by a scriptmore\n");
    assert_eq!(get(&grain, "/var"), "n=4 count lib lock run tmp");
    assert_eq!(get(&grain, "/run"), "n=5 first lock");
    let ran = grain.exec(&["/bin/sh".into(), "-c".into(), "echo $HOME; exit 3".into()]).expect("runs");
    assert_eq!((ran.status, ran.output.as_slice()), (3, &b"/var\n"[..]));
    grain.restart().expect("restarts");
    assert_eq!(get(&grain, "/var/lib/tea/conf"), "n=7 made by a scriptmore\n");
    assert_eq!(grain.stop().expect("stops"), Exit::Code(0));
    let life = "first: up\nserver: up\ntinyroot-init: ready\nserver: bye\nfirst: bye\n";
    assert_eq!(fs::read_to_string(&log).expect("reads"), format!("set up /var 8000\n{life}{life}"));
}

#[test]
fn a_grain_that_closed_its_var_to_itself_starts_again() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICES);
    let start =
        || Grain::start(fixture.base(&recipe), GrainSpec::of(&recipe, &fixture.var("var"))).expect("starts");
    let mut grain = start();
    let ran =
        grain.exec(&["/usr/bin/perl".into(), "-e".into(), "exit !chmod(0, '/var')".into()]).expect("runs");
    assert_eq!(ran.status, 0);
    grain.stop().expect("stops");
    assert_eq!(get(&start(), "/var/lib/tea/code"), "n=3 shipped");
}

#[test]
fn what_keeps_others_out_does_so_in_a_grain() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICES);
    let look = "for (@ARGV) { printf qq(%04o%s ), (stat)[2] & 07777, -r $_ ? '' : '!' }";
    let command: Vec<String> = ["/usr/bin/perl", "-e", look]
        .into_iter()
        .chain(["/etc/tea.secret", "/etc/private", "/etc/private/key"])
        .chain([
            "/var/lib/tea/secret",
            "/var/lib/tea/private",
            "/var/lib/tea/private/key",
            "/var/lib/tea/conf",
        ])
        .map(str::to_owned)
        .collect();
    let tree = fixture.tree(&recipe);
    let base = GrainRoot::new(Arc::new(tree.clone()), &fixture.store, RootOptions::default().with_uses())
        .expect("a base");
    let directory =
        GrainRoot::new(Arc::new(tree.clone()), &fixture.store, RootOptions::default().as_directory())
            .expect("a base");
    // As where something else than tinyroot shows the root, and knows of no list.
    let options = view::Options { owner: (image::GRAIN_ID, image::GRAIN_ID), ..view::Options::default() };
    let plain = View::new(Arc::new(tree), fixture.store.clone(), options);
    let of_var = "0640 0750 0600 0644 ";
    for (base, var, of_root) in [
        (Some(base), "var of a view", "0600 0700 0644 "),
        (Some(directory), "var of a directory", "0600 0700 0644 "),
        (
            host_has_views().then(|| GrainRoot::of_view(Arc::new(plain))),
            "var of a plain view",
            "0644 0755 0644 ",
        ),
    ] {
        let Some(base) = base else { continue };
        let options = GrainSpec::of(&recipe, &fixture.var(var));
        let grain = Grain::start(Arc::new(base), options).expect("starts");
        let ran = grain.exec(&command).expect("runs");
        assert_eq!(String::from_utf8_lossy(&ran.output), format!("{of_root}{of_var}"), "{var}");
    }
}

/// Says what this host lacks for a view.
fn host_has_views() -> bool {
    match tinyroot::sandbox::host().fuse {
        Ok(()) => true,
        Err(tinyroot::sandbox::Unavailable { reason, remedy, .. }) => {
            tinyroot::testing::skip(&format!("{reason} ({remedy})"));
            false
        }
    }
}

#[test]
fn two_grains_of_one_app_do_not_see_each_other() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICES);
    let base = fixture.base(&recipe);
    let one = Grain::start(base.clone(), GrainSpec::of(&recipe, &fixture.var("one"))).expect("starts");
    let two = Grain::start(base, GrainSpec::of(&recipe, &fixture.var("two"))).expect("starts");
    for expected in ["n=2 ", "n=3 ", "n=4 "] {
        assert_eq!(get(&one, "/tmp"), expected);
    }
    assert_eq!(get(&two, "/tmp"), "n=2 ");
    one.exec(&[
        "/bin/sh".into(),
        "-c".into(),
        "echo x > /tmp/x; echo x > /var/x; sleep 1000 > /dev/null 2>&1 &".into(),
    ])
    .expect("runs");
    assert_eq!(get(&two, "/tmp"), "n=3 ");
    assert_eq!(get(&two, "/var"), "n=4 count lib lock run tmp");
}

#[test]
fn an_unfinished_setup_is_made_again() {
    let Some(fixture) = Fixture::new() else { return };
    let setup = |script: &str| format!("[setup]\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]\n{SERVICES}");
    let broken = fixture.recipe(&setup("echo half > /var/half; kill -9 $$"));
    let options = GrainSpec::of(&broken, &fixture.var("var"));
    let error = Grain::start(fixture.base(&broken), options).err().expect("does not start");
    assert_eq!(
        error.to_string(),
        "the grain ended with status 137 before it was ready\n  | tinyroot-init: setup was killed by signal 9"
    );
    assert!(fixture.var("var/half").exists());
    let whole = fixture.recipe(&setup("echo whole > /var/whole"));
    let grain =
        Grain::start(fixture.base(&whole), GrainSpec::of(&whole, &fixture.var("var"))).expect("starts");
    assert_eq!(get(&grain, "/var"), "n=2 count lib lock run tmp whole");
    assert!(grain.spec().log.tail()[0].contains("/var was left half made"));
}

#[test]
fn a_grain_ends_with_the_service_that_ends() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICES);
    let mut grain =
        Grain::start(fixture.base(&recipe), GrainSpec::of(&recipe, &fixture.var("var"))).expect("starts");
    assert_eq!(grain.try_wait(), None);
    let mut stream = grain.connect().expect("connects");
    write!(stream, "GET /die HTTP/1.0\r\n\r\n").expect("writes");
    assert_eq!(grain.wait(), Exit::Code(42));
    grain.stop().expect("stops");
    let tail = grain.spec().log.tail();
    assert!(tail.contains(&"tinyroot-init: service web ended with status 42".to_owned()), "{tail:?}");
}

#[test]
fn a_service_that_cannot_start_is_named() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture
        .recipe("[[service]]\nname = \"web\"\ncommand = [\"/usr/bin/none\"]\nready = { port = 8000 }\n");
    let options = GrainSpec::of(&recipe, &fixture.var("var"));
    let error = Grain::start(fixture.base(&recipe), options).err().expect("does not start");
    assert!(matches!(error, GrainError::Ended { exit: Exit::Code(127), .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "the grain ended with status 127 before it was ready\n  \
           | tinyroot-init: cannot start web: /usr/bin/none: it or its interpreter is missing\n  \
           | tinyroot-init: service web ended with status 127"
    );
}

#[test]
fn a_service_that_is_not_ready_is_told_with_its_limit_and_what_listens() {
    let Some(fixture) = Fixture::new() else { return };
    let services = SERVICES.replace("ready = { http = \"/\" }", "ready = { port = 9999 }\ntimeout_s = 2");
    assert_ne!(services, SERVICES);
    let recipe = fixture.recipe(&services);
    let options = GrainSpec::of(&recipe, &fixture.var("var"));
    let error = Grain::start(fixture.base(&recipe), options).err().expect("does not start");
    let text = error.to_string();
    for part in [
        "service web was not ready within 2 s (`service.timeout_s`)",
        "a connection to port 9999",
        "port 8000",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(error.hint().is_some_and(|hint| hint.contains("`ready`")), "{:?}", error.hint());
}

#[test]
fn a_service_that_goes_to_the_background_is_told_so() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(
        "[[service]]\nname = \"web\"\ncommand = [\"/bin/sh\", \"-c\", \"sleep 9 &\"]\nready = { port = 8000 }\n",
    );
    let options = GrainSpec::of(&recipe, &fixture.var("var"));
    let error = Grain::start(fixture.base(&recipe), options).err().expect("does not start");
    assert!(error.to_string().contains("it probably went to the background"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--foreground")), "{:?}", error.hint());
}

#[test]
fn an_exercise_runs_against_a_grain() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(&format!(
        "{SERVICES}\n[[exercise]]\nget = \"/var/lib/tea/code\"\nstatus = 200\ncontains = \"shipped\"\n\
         [[exercise]]\nrestart = true\n[[exercise]]\nrun = [\"/bin/cat\", \"/var/count\"]\ncontains = \"3\"\n"
    ));
    let mut grain =
        Grain::start(fixture.base(&recipe), GrainSpec::of(&recipe, &fixture.var("var"))).expect("starts");
    let transcript = exercise::run(
        &Visit::of(&recipe, &Authority::of_run(&recipe)),
        &mut GrainTarget::new(&mut grain, None),
    )
    .expect("as expected");
    assert!(matches!(&transcript.steps[2].outcome, Outcome::Ran(ran) if ran.output == b"3"));
    if let Some(view) = grain.root().view() {
        let uses = view.uses();
        let step_of = |path: &str| {
            uses.iter().find(|used| used.path.as_bytes() == path.as_bytes()).map(|used| used.step.to_string())
        };
        assert_eq!(step_of("app/server.pl").as_deref(), Some("start"));
        assert_eq!(step_of("tinyroot/var/lib/tea/code").as_deref(), Some("GET:/var/lib/tea/code"));
    }
}

/// Waits for the URL that `run` prints and returns a request's answer.
fn ask(child: &mut Child, path: &str) -> String {
    let stdout = child.stdout.as_mut().expect("is piped");
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url).expect("reads");
    let address = url.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/')).expect("a URL");
    let mut stream = TcpStream::connect(address).expect("connects");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    answer
}

/// Returns the files below a directory.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("lists").map(|entry| entry.expect("lists").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("is there");
}

#[test]
fn run_serves_a_grain_that_keeps_its_data() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICES);
    let artifact = fixture.artifact(&recipe);
    let artifact = artifact.to_str().expect("text");
    for expected in ["n=2 shipped", "n=4 shipped"] {
        let mut child = fixture.tinyroot(&["run", artifact]).spawn().expect("starts");
        let answer = ask(&mut child, "/var/lib/tea/code");
        assert!(answer.ends_with(expected), "{answer}");
        if expected == "n=2 shipped" {
            let second = fixture.tinyroot(&["run", artifact]).output().expect("runs");
            let told = String::from_utf8_lossy(&second.stderr).into_owned();
            assert!(told.contains("is running already") && told.contains("hint: run another one"), "{told}");
            let mut other = fixture.tinyroot(&["run", artifact, "--grain", "other"]).spawn().expect("starts");
            assert!(ask(&mut other, "/tmp").ends_with("n=2 "));
            other.kill().expect("is there");
            other.wait().expect("ends");
        }
        interrupt(&child);
        let output = child.wait_with_output().expect("ends");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.ends_with("| server: bye\n| first: bye\n"), "{told}");
    }
}

#[test]
fn what_a_grain_misses_is_reported_and_taken_into_the_evidence() {
    let Some(fixture) = Fixture::new() else { return };
    if let Err(tinyroot::sandbox::Unavailable { reason, remedy, .. }) = tinyroot::sandbox::host().fuse {
        return tinyroot::testing::skip(&format!("{reason} ({remedy})"));
    }
    let recipe = fixture.recipe(SERVICES);
    let artifact = fixture.artifact(&recipe);
    let mut child = fixture.tinyroot(&["run", artifact.to_str().expect("text")]).spawn().expect("starts");
    ask(&mut child, "/app/gone");
    interrupt(&child);
    let output = child.wait_with_output().expect("ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("pruned: /app/gone of tea, asked for by /usr/bin/perl"), "{told}");
    let report = told.split_once("what the app missed is in ").and_then(|(_, rest)| rest.split_once(';'));
    let (report, _) = report.expect("names the report");

    let folder = fixture.var("recipe");
    fs::create_dir(&folder).expect("makes");
    fs::write(folder.join("recipe.toml"), &recipe.text).expect("writes");
    fs::write(folder.join("used.list"), "/app opened - - - -\n").expect("writes");
    let merge = format!("--merge={report}");
    for expected in ["1 added, 0 gone, 0 used otherwise", "is up to date"] {
        let output =
            fixture.tinyroot(&["trace", folder.to_str().expect("text"), &merge]).output().expect("runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.contains(expected), "{told}");
    }
    let used = fs::read_to_string(folder.join("used.list")).expect("reads");
    assert!(used.ends_with("/app/gone stat /usr/bin/perl tea - run\n"), "{used}");
}

#[test]
fn a_listing_without_its_pruned_names_is_reported_and_shown_on_request() {
    let Some(fixture) = Fixture::new() else { return };
    if let Err(tinyroot::sandbox::Unavailable { reason, remedy, .. }) = tinyroot::sandbox::host().fuse {
        tinyroot::testing::skip(&format!("{reason} ({remedy})"));
        return;
    }
    let recipe = fixture.recipe(SERVICES);
    let artifact = fixture.artifact(&recipe);
    let artifact = artifact.to_str().expect("text");
    for (name, options, expected) in
        [("plain", &[][..], "server.pl"), ("shown", &["--show-pruned"][..], "gone server.pl")]
    {
        let arguments = [&["run", artifact, "--grain", name][..], options].concat();
        let mut child = fixture.tinyroot(&arguments).spawn().expect("starts");
        let answer = ask(&mut child, "/app");
        assert!(answer.ends_with(&format!(" {expected}")), "{answer}");
        interrupt(&child);
        let output = child.wait_with_output().expect("ends");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!told.contains("what the app missed"), "a listing alone is no miss: {told}");
    }
    let misses = walk(&fixture.var("data")).into_iter().filter(|path| path.ends_with("misses"));
    for path in misses.collect::<Vec<_>>() {
        let text = fs::read_to_string(&path).expect("reads");
        assert!(text.contains("\n/app - /usr/bin/perl ") && text.ends_with(" listed:1\n"), "{text}");
    }
}

#[test]
fn what_an_apps_output_names_is_reported() {
    let Some(fixture) = Fixture::new() else { return };
    let service = SERVICES.replace("first: up", "[Errno 2] No such file or directory: '/app/gone'");
    let artifact = fixture.artifact(&fixture.recipe(&service));
    let mut child = fixture.tinyroot(&["run", artifact.to_str().expect("text")]).spawn().expect("starts");
    ask(&mut child, "/tmp");
    interrupt(&child);
    let output = child.wait_with_output().expect("ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "pruned: /app/gone of tea, named in the app's output: [Errno 2] No such file or directory: '/app/gone'; \
                    to have it, add keep = [\"/app/gone\"]";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_difference_is_told_with_names_that_only_a_listing_would_have_shown() {
    let Some(fixture) = Fixture::new() else { return };
    if let Err(tinyroot::sandbox::Unavailable { reason, remedy, .. }) = tinyroot::sandbox::host().fuse {
        tinyroot::testing::skip(&format!("{reason} ({remedy})"));
        return;
    }
    // Opens a plugin only if the listing has it, as importers do.
    let server = SERVER.replace("my $body =", "opendir(D, '/app/plugins'); my %has = map { $_ => 1 } readdir(D); \
        open(P, '<', '/app/plugins/late') if $has{late}; my $late = <P>; close P; $text = \"late $late\"; my $body =");
    let recipe = fixture.recipe(&format!("{SERVICES}[[exercise]]\nget = \"/\"\ncontains = \"late leaf\"\n"));
    let mut tree = fixture.tree(&recipe);
    fixture.add(&mut tree, "app/server.pl", server.as_bytes(), 0o644);
    fixture.add(&mut tree, "app/plugins/early", b"bud", 0o644);
    tree.add_parents(0);
    let late = TreePath::new(b"app/plugins/late").expect("a good path");
    let pruned = Arc::new(BTreeMap::from([(ImagePath::in_image(late), Some("tea".to_owned()))]));
    let authorities = vec![Authority::of_run(&recipe)];
    let owner = |_: &[u8]| None;
    let inputs =
        Inputs { tree: Arc::new(tree), recipe: &recipe, authorities, pruned, owner: &owner, baseline: None };
    let error = prove(&inputs, &fixture.store, &Progress::silent()).expect_err("the exercise fails");
    let told: Vec<String> = error.misses().iter().map(ToString::to_string).collect();
    assert_eq!(
        told[0],
        "/app/plugins/late of tea, asked for by /usr/bin/perl where listings show it at start"
    );
    assert!(told.iter().any(|text| text.starts_with("listed /app/plugins, 1 names pruned")), "{told:?}");
}

#[test]
fn a_package_of_another_maker_is_told_so() {
    let Some(fixture) = Fixture::new() else { return };
    let tree = fixture.tree(&fixture.recipe(SERVICES));
    let key = Keyring::new(fixture.var("keyring")).generate().expect("a key");
    let path = fixture.var("foreign.spk");
    let manifest = Manifest::for_init("Tea", "1", 1, "pot");
    testing::pack(&tree, &fixture.store, &manifest, &key, &path);
    for command in [&["check"][..], &["check", "--watch"], &["run"]] {
        let output = fixture.tinyroot(command).arg(&path).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("hint: artifacts of `tinyroot build` hold it"), "{command:?}: {said}");
    }
}

#[test]
fn a_port_that_cannot_be_had_is_told_with_the_way_to_have_one() {
    let Some(fixture) = Fixture::new() else { return };
    let artifact = fixture.artifact(&fixture.recipe(SERVICES));
    let told = |program: &mut Command| {
        let output = program.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = taken.local_addr().expect("has one").port().to_string();
    for command in ["serve", "run"] {
        let said = told(fixture.tinyroot(&[command, "--port", &port]).arg(&artifact));
        assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{said}");
        assert!(said.contains("hint: choose another port with --port N"), "{said}");
    }
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if first.trim().parse::<u16>().is_ok_and(|first| first <= 80) {
        return tinyroot::testing::skip("all users of this host have port 80 (ip_unprivileged_port_start)");
    }
    // As an ordinary user, root of nothing but a user namespace.
    let serve = fixture.tinyroot(&["serve", "--port", "80"]);
    let mut ordinary = Command::new("unshare");
    ordinary
        .args(["--user", "--map-root-user"])
        .arg(serve.get_program())
        .args(serve.get_args())
        .arg(&artifact);
    ordinary.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = told(&mut ordinary);
    assert!(said.contains("choose one above 1023 with --port N"), "{said}");
}

#[test]
fn run_passes_on_the_apps_status() {
    let Some(fixture) = Fixture::new() else { return };
    let artifact = fixture.artifact(&fixture.recipe(SERVICES));
    let mut child = fixture.tinyroot(&["run", artifact.to_str().expect("text")]).spawn().expect("starts");
    ask(&mut child, "/die");
    assert_eq!(child.wait().expect("ends").code(), Some(42));
}

#[test]
fn an_artifact_is_checked_by_the_recipe_that_it_encloses() {
    let Some(fixture) = Fixture::new() else { return };
    let step = |text: &str| {
        format!("{SERVICES}[[exercise]]\nget = \"/var/lib/tea/code\"\nstatus = 200\ncontains = \"{text}\"\n")
    };
    let artifact = fixture.artifact(&fixture.recipe(&step("shipped")));
    let output = fixture.tinyroot(&["check", artifact.to_str().expect("text")]).output().expect("runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let expected = "1 steps, as the recipe expects; 0 pruned paths requested\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    fs::remove_file(&artifact).expect("removes");
    let artifact = fixture.artifact(&fixture.recipe(&step("absent")));
    let output = fixture.tinyroot(&["check", artifact.to_str().expect("text")]).output().expect("runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("expected text \"absent\", not found"), "{told}");
}

#[test]
fn a_page_beyond_the_exercise_that_lacks_a_file_is_told_with_it() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(&format!("{SERVICES}[[exercise]]\nget = \"/app/start.html\"\n"));
    let mut whole = fixture.tree(&recipe);
    let start = b"<a href='more.html'>more</a> <a href='/?logout'>bye</a>";
    fixture.add(&mut whole, "app/start.html", start, 0o644);
    fixture.add(&mut whole, "app/more.html", b"<a href='gone'>deeper</a>", 0o644);
    fixture.add(&mut whole, "app/gone", b"needed", 0o644);
    let mut tree = whole.clone();
    let gone = TreePath::new(b"app/gone").expect("a good path");
    tree.remove(gone.as_bytes());
    let pruned = BTreeMap::from([(ImagePath::in_image(gone), Some("tea".to_owned()))]);

    let bounds = Bounds { pages: 10, time: Duration::from_secs(60) };
    let trees = [Arc::new(whole), Arc::new(tree)];
    let (store, progress) = (&fixture.store, Progress::silent());
    let explored =
        explore(&recipe, trees, Arc::new(pruned), &[], bounds, store, &progress).expect("explores");
    assert_eq!(explored.pages, ["/app/more.html", "/app/gone"]);
    let differences = &explored.proof.differences;
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!((differences[0].step, &differences[0].what[..]), (3, "GET /app/gone"));
    if explored.proof.unseen.is_none() {
        let text = differences[0].to_string();
        assert!(
            text.contains("pruned: /app/gone of tea, asked for by /usr/bin/perl at GET:/app/gone"),
            "{text}"
        );
        assert!(text.ends_with("add keep = [\"/app/gone\"]"), "{text}");
    }
}
