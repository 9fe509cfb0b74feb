//! Writes to what a package ships below `/var`.

use std::{fs, path::PathBuf, sync::Arc};

use tinyroot::{
    evidence::Pruned,
    exercise::Authority,
    formats::manifest::Manifest,
    image::{self, Fate, VarPolicy},
    progress::Progress,
    prove::{Baseline, Inputs, Proof, prove},
    recipe::Recipe,
    sandbox::{Unavailable, host},
    signing_keys::Keyring,
    testing,
    tree::{Entry, Tree, TreePath},
};

use super::{Fixture, ask, interrupt};

/// Answers each request with what it read; at `/write` it counts in a shipped file, and says nothing if that
/// fails.
const COUNTER: &str = r#"
$| = 1;
socket(S, 2, 1, 0) or die "socket: $!";
setsockopt(S, 1, 2, pack("l", 1));
bind(S, pack("S n C4 x8", 2, 8000, 127, 0, 0, 1)) or die "bind: $!";
listen(S, 9);
$SIG{TERM} = sub { exit 0 };
while (accept(C, S)) {
    my $line = <C>;
    while (<C>) { last if /^\r?$/ }
    if ($line =~ m{/write}) { open(F, ">", "/var/lib/tea/count") and print F "1"; close F }
    if ($line =~ m{/replace}) { open(F, ">", "/var/lib/tea/count.new") and print F "2"; close F; rename "/var/lib/tea/count.new", "/var/lib/tea/count" }
    if ($line =~ m{/linked}) { open(F, ">", "/var/lib/tea/data/new") and print F "3"; close F }
    print C "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";
    close C;
}
"#;

const WEB: &str = "[[service]]\nname = \"web\"\ncommand = [\"/usr/bin/perl\", \"/app/counter.pl\"]\nready = { http = \"/\" }\n";

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

impl Fixture {
    fn counter(&self, recipe: &Recipe, policy: &VarPolicy<'_>) -> Tree {
        let mut tree = self.programs();
        self.add(&mut tree, "app/counter.pl", COUNTER.as_bytes(), 0o644);
        self.add(&mut tree, "var/lib/tea/count", b"0", 0o644);
        self.add(&mut tree, "usr/share/tea/data/old", b"0", 0o644);
        tree.insert(path("var/lib/tea/data"), Entry::symlink("/usr/share/tea/data", 0));
        tree.add_parents(0);
        image::build(tree, recipe, policy, &self.store, 1_700_000_000)
    }

    /// Proves an app whose `/var` is by these fates, against one where all is copied.
    fn proof(&self, steps: &[&str], fate: Fate) -> Proof {
        let steps: String =
            steps.iter().map(|step| format!("[[exercise]]\nget = \"{step}\"\nstatus = 200\n")).collect();
        let recipe = self.recipe(&format!("{WEB}{steps}"));
        let tree = Arc::new(self.counter(&recipe, &VarPolicy::ByFate(&|_| fate)));
        let copied = Arc::new(self.counter(&recipe, &VarPolicy::CopyAll));
        let progress = Progress::silent();
        let owner = |at: &[u8]| at.starts_with(b"var/lib/tea/count").then(|| "tea".to_owned());
        let inputs = Inputs {
            tree,
            recipe: &recipe,
            authorities: Authority::all(&recipe),
            pruned: Arc::new(Pruned::new()),
            owner: &owner,
            baseline: Some(Baseline { tree: copied, reductions: Default::default(), known: None }),
        };
        prove(&inputs, &self.store, &progress).expect("its exercise passes")
    }
}

fn has_view() -> bool {
    match host().fuse {
        Ok(()) => true,
        Err(Unavailable { reason, remedy, .. }) => {
            tinyroot::testing::skip(&format!("{reason} ({remedy})"));
            false
        }
    }
}

#[test]
fn a_write_that_fails_silently_shows_in_the_proof() {
    let Some(fixture) = Fixture::new() else { return };
    let proof = fixture.proof(&["/write"], Fate::Link);
    // Seen without a view, too: the whole app changed the file.
    let differences: Vec<String> = proof.differences.iter().map(ToString::to_string).collect();
    assert!(
        differences.iter().any(|text| text.contains("changed file /var/lib/tea/count")),
        "{differences:?}"
    );
    if has_view() {
        let line = "/var/lib/tea/count of tea: written, but shipped read-only, by /usr/bin/perl at GET:/write; \
                    add `[app] state = [\"/var/lib/tea/count\"]`";
        assert_eq!(proof.to_look_at(), [line]);
        assert!(differences[0].contains("/var/lib/tea/count of tea: written, but"), "{differences:?}");
    }
}

#[test]
fn writes_that_succeed_are_no_fault() {
    let Some(fixture) = Fixture::new() else { return };
    for (steps, fate) in [(&["/write", "/replace"][..], Fate::State), (&["/replace"], Fate::Link)] {
        let proof = fixture.proof(steps, fate);
        assert!(proof.to_look_at().is_empty(), "{steps:?}: {:?}", proof.to_look_at());
        assert!(proof.differences.is_empty(), "{steps:?}: {:?}", proof.differences);
    }
}

#[test]
fn a_link_to_a_directory_is_copied_where_it_is_state() {
    let Some(fixture) = Fixture::new() else { return };
    if !has_view() {
        return;
    }
    let proof = fixture.proof(&["/linked"], Fate::Link);
    assert_eq!(
        proof.to_look_at(),
        ["/var/lib/tea/data: written, but shipped read-only, by /usr/bin/perl at GET:/linked; \
          add `[app] state = [\"/var/lib/tea/data\"]`"]
    );
    let recipe = fixture.recipe(WEB);
    let tree = fixture.counter(&recipe, &VarPolicy::ByFate(&|_| Fate::State));
    assert!(tree.get(b"tinyroot/var/lib/tea/data").is_some_and(|entry| entry.kind.is_directory()));
    assert!(tree.get(b"tinyroot/var/lib/tea/data/old").is_some());
    assert!(fixture.proof(&["/linked"], Fate::State).to_look_at().is_empty());
}

#[test]
fn run_names_a_write_to_what_is_shipped_and_its_report_is_taken_in() {
    let Some(fixture) = Fixture::new() else { return };
    if !has_view() {
        return;
    }
    let recipe = fixture.recipe(WEB);
    let mut tree = fixture.counter(&recipe, &VarPolicy::ByFate(&|_| Fate::Link));
    let list = "tinyroot prune.list 1\n/var/lib/tea/count tea app part of tea\n";
    fixture.add(&mut tree, "tinyroot/papers/recipe/recipe.toml", recipe.text.as_bytes(), 0o644);
    fixture.add(&mut tree, "tinyroot/papers/prune.list", list.as_bytes(), 0o644);
    tree.add_parents(0);
    let key = Keyring::new(fixture.var("keyring")).generate().expect("a key");
    let file: PathBuf = fixture.var("tea.spk");
    let manifest = Manifest::for_init("Tea", "1", 1, "pot");
    testing::pack(&tree, &fixture.store, &manifest, &key, &file);

    let mut child = fixture.tinyroot(&["run", file.to_str().expect("text")]).spawn().expect("starts");
    ask(&mut child, "/write");
    interrupt(&child);
    let output = child.wait_with_output().expect("ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = "/var/lib/tea/count of tea: written, but shipped read-only, by /usr/bin/perl; \
                add `[app] state = [\"/var/lib/tea/count\"]`";
    assert!(told.contains(line), "{told}");

    let report = told.split_once("what the app missed is in ").and_then(|(_, rest)| rest.split_once(';'));
    let (report, _) = report.expect("names the report");
    let folder = fixture.var("recipe");
    fs::create_dir(&folder).expect("makes");
    fs::write(folder.join("recipe.toml"), &recipe.text).expect("writes");
    fs::write(folder.join("used.list"), "/var/lib/tea/count opened - - - -\n").expect("writes");
    let merge = format!("--merge={report}");
    let output = fixture.tinyroot(&["trace", folder.to_str().expect("text"), &merge]).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let used = fs::read_to_string(folder.join("used.list")).expect("reads");
    assert!(
        used.lines().any(|line| line.starts_with("/var/lib/tea/count written,opened")
            || line.starts_with("/var/lib/tea/count opened,written")),
        "{used}"
    );
}
