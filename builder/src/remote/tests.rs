use std::{fs, path::PathBuf, sync::Arc};

use super::*;
use crate::{
    digest::Digest,
    download::{
        Objects, Options,
        registry::{Purpose, Registry},
    },
    formats::{auth_file::Login, image_name::ImageName},
    progress::Sink,
    testing::{Fault as Wrong, MadeRegistry, RegistryFault, Server},
    tree::{Entry, Tree, TreePath},
};

const TOKEN: &str = "Bearer made";

/// What was warned of.
#[derive(Debug, Default)]
struct Warnings(Mutex<Vec<String>>);

impl Sink for Warnings {
    fn begin(&self, _: u64, _: &str, _: u64, _: Unit) {}
    fn update(&self, _: u64, _: u64, _: Option<&str>) {}
    fn end(&self, _: u64) {}
    fn warn(&self, text: &str) {
        self.0.lock().expect("no panic holds the lock").push(text.to_owned());
    }
}

/// A server, and machines that use it.
struct World {
    directory: tempfile::TempDir,
    server: Server,
}

/// A machine: its store, the cache as it sees it, and its warnings.
struct Machine {
    store: Store,
    remote: Arc<RemoteCache>,
    warnings: Arc<Warnings>,
}

fn key_id(seed: u8) -> AppId {
    key(seed).app_id()
}

fn key(seed: u8) -> Key {
    Key::from_seed([seed; 32])
}

fn options() -> Options {
    Options { stall_timeout: Duration::from_millis(300), ..impatient(Options::default()) }
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("served")).expect("makes");
        let server = Server::start(&directory.path().join("served"));
        server.take(TOKEN);
        World { directory, server }
    }

    fn machine(&self, name: &str, keys: &[u8], signer: Option<u8>, token: Option<&str>) -> Machine {
        let url = format!("{}/cache", self.server.url());
        let objects = Objects::new(options(), &url, token);
        self.machine_at(Place::web(&url, objects), name, keys, signer)
    }

    fn machine_at(&self, place: Place, name: &str, keys: &[u8], signer: Option<u8>) -> Machine {
        let store = Store::open(&self.directory.path().join(name)).expect("opens");
        let warnings = Arc::new(Warnings::default());
        let keys = keys.iter().map(|seed| key(*seed).app_id()).collect();
        let remote = RemoteCache::new(place, keys, signer.map(key), Progress::new(warnings.clone()));
        let remote = Arc::new(remote);
        store.look_elsewhere(remote.clone());
        Machine { store, remote, warnings }
    }

    fn writer(&self) -> Machine {
        self.machine("writer", &[], Some(1), Some(TOKEN))
    }

    fn reader(&self, name: &str) -> Machine {
        self.machine(name, &[1], None, None)
    }

    /// The files that were sent, by their paths.
    fn sent(&self, below: &str) -> Vec<PathBuf> {
        let directory = self.directory.path().join("served/cache/1").join(below);
        let entries = fs::read_dir(directory).into_iter().flatten();
        entries.map(|entry| entry.expect("lists").path()).collect()
    }
}

impl Machine {
    fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.0.lock().expect("no panic holds the lock"))
    }

    /// Makes a bundle with one file of so many bytes.
    fn make(&self, kind: &str, key: &str, size: usize) -> (Tree, Digest) {
        let bytes: Vec<u8> = (0..size).map(|n| (n / 7 + n * n / 5) as u8).collect();
        let mut bundle = self.store.begin_bundle(kind, key).expect("begins");
        io::Write::write_all(&mut bundle, b"head").expect("writes");
        let (digest, size_bytes) = bundle.add(&bytes[..]).expect("adds");
        let file = Entry::file(digest, size_bytes, 0o644, 1);
        let tree: Tree = [(TreePath::new(b"a").expect("good"), file)].into_iter().collect();
        bundle.finish(&tree).expect("finishes");
        (tree, digest)
    }
}

fn name_of(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

#[test]
fn what_one_machine_made_another_has_and_a_third_gets_nothing_by_it() {
    let world = World::new();
    let writer = world.writer();
    let name = name_of("tea");
    let (tree, digest) = writer.make("deb", &name, 200_000);
    writer.make("spk", &name, 10);
    writer.remote.share(&writer.store);
    assert_eq!((world.sent("deb").len(), world.sent("files").len(), world.sent("spk").len()), (1, 1, 0));
    // What is there is not sent again.
    world.server.requests();
    writer.remote.share(&writer.store);
    assert!(world.server.requests().iter().all(|request| request.method != "PUT"));

    let reader = world.machine("reader", &[1], Some(2), Some(TOKEN));
    assert!(!reader.store.bring("deb", &name_of("coffee")));
    assert!(reader.store.bring("deb", &name));
    assert_eq!(reader.store.load_bundle("deb", &name).expect("is there").0, tree);
    assert_eq!(reader.store.read(&digest).expect("is whole").len(), 200_000);
    assert_eq!((reader.remote.taken(), reader.warnings()), (1, Vec::new()));
    // The reader sends on nothing of it under its own name.
    reader.make("deb", &name_of("water"), 10);
    reader.remote.share(&reader.store);
    assert_eq!(world.sent("deb").len(), 2);
    let third = world.machine("third", &[2], None, None);
    assert!(!third.store.bring("deb", &name) && third.store.bring("deb", &name_of("water")));
    // Readers send no token, since they have none.
    assert!(world.server.requests().iter().all(|request| ["", TOKEN].contains(&&*request.authorization)));
}

#[test]
fn a_layer_may_name_contents_of_its_packages_and_a_package_only_its_own() {
    let world = World::new();
    let writer = world.writer();
    let (tree, digest) = writer.make("deb", &name_of("tea"), 1000);
    for (kind, key) in [("layer", "layer"), ("deb", "forged")] {
        writer.store.begin_bundle(kind, &name_of(key)).expect("begins").finish(&tree).expect("finishes");
    }
    writer.remote.share(&writer.store);
    let reader = world.reader("reader");
    assert!(!reader.store.bring("layer", &name_of("layer")), "its package is not known");
    assert!(reader.store.bring("deb", &name_of("tea")));
    reader.store.load_bundle("deb", &name_of("tea")).expect("is there");
    assert!(reader.store.bring("layer", &name_of("layer")));
    assert!(!reader.store.bring("deb", &name_of("forged")));
    let warnings = reader.warnings();
    let lacks = format!("its tree names contents that it lacks, or of another length: sha256:{digest}");
    assert_eq!(warnings.len(), 2);
    assert!(warnings.iter().all(|text| text.contains(&lacks)), "{warnings:?}");
}

#[test]
fn a_poisoned_entry_is_refused_and_named_and_its_writer_mends_it() {
    let world = World::new();
    let writer = world.writer();
    let (tea, water) = (name_of("tea"), name_of("water"));
    writer.make("deb", &tea, 100_000);
    writer.remote.share(&writer.store);
    let path = world.sent("deb").remove(0);
    let file = world.sent("files").remove(0);
    let (statement, contents) = (fs::read(&path).expect("reads"), fs::read(&file).expect("reads"));
    let url = format!("{}/cache/1/deb/{tea}.{}.json", world.server.url(), key(1).app_id());

    let other = Statement { digest: Digest::of(b"other"), size_bytes: 5, plain_bytes: 5 };
    let forged = other.sign(&format!("deb/{tea}"), &key(9));
    let swapped = other.sign(&format!("deb/{water}"), &key(1));
    let not_zstd = Statement { digest: Digest::of(b"other"), ..other }.sign(&format!("deb/{tea}"), &key(1));
    let mut flipped = contents.clone();
    flipped[contents.len() / 2] ^= 1;
    let cases: [(&[u8], &[u8], &str); 8] = [
        (&forged, &contents, "did not sign it, as it says of"),
        (&swapped, &contents, "it is a statement about another entry: deb/"),
        (b"{}", &contents, "it is not a DSSE envelope: `signatures` is missing"),
        (b"<html>", &contents, "it is not a DSSE envelope"),
        (&[b' '; 70_000], &contents, "it is longer than 65536 bytes"),
        (&statement, &flipped, "its digest is not the expected one\n  expected sha256 "),
        (&statement, &contents[1..], "bytes long and not"),
        (&not_zstd, &contents, "is refused"),
    ];
    for (number, (statement, contents, expected)) in cases.into_iter().enumerate() {
        fs::write(&path, statement).expect("writes");
        fs::write(&file, contents).expect("writes");
        fs::write(file.with_file_name(Digest::of(b"other").to_string()), b"other").expect("writes");
        let reader = world.reader(&format!("reader{number}"));
        assert!(!reader.store.bring("deb", &tea), "{expected}");
        let warnings = reader.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(&format!("{url} is refused, and what it stands for is made here: ")));
        assert!(warnings[0].contains(expected), "{warnings:?}");
        assert!(reader.store.load_bundle("deb", &tea).is_none());
        assert_eq!(fs::read_dir(reader.store.tmp()).expect("lists").count(), 0);
    }
    // The writer sees what is wrong with a statement or a length. What has only other bytes is mended by the
    // first writer that reads it.
    fs::write(&path, b"{}").expect("writes");
    fs::write(&file, &contents[1..]).expect("writes");
    writer.remote.share(&writer.store);
    assert!(world.reader("last").store.bring("deb", &tea));
}

#[test]
fn an_entry_unpacks_to_no_more_than_was_signed() {
    let world = World::new();
    let name = format!("deb/{}", name_of("bomb"));
    let served = world.directory.path().join("served/cache/1");
    fs::create_dir_all(served.join("files")).expect("makes");
    fs::create_dir_all(served.join("deb")).expect("makes");
    let head = |text: u64, pack: u64| format!("tinyroot entry 1 {text} {pack}\n").into_bytes();
    let zeros = vec![0; 10 << 20];
    // Plain bytes, those stated, and what is said of them.
    let cases: [(Vec<u8>, u64, &str); 6] = [
        (
            [&head(5, 10 << 20)[..], b"tree\n", &zeros].concat(),
            100,
            "it is not an entry of the stated length",
        ),
        ([&head(5, 10)[..], b"tree\n", &zeros].concat(), 40, "it is not an entry of the stated length"),
        (zeros.clone(), 10 << 20, "it is not an entry of the stated length"),
        (
            [&head(5, 10)[..], b"tree\n"].concat(),
            head(5, 10).len() as u64 + 15,
            "its contents end before their length",
        ),
        (
            [&head(5, 0)[..], b"trees"].concat(),
            head(5, 0).len() as u64 + 5,
            "its list of contents cannot be read",
        ),
        (head(u64::MAX, 2), 9_999_999_999, "it is not an entry of the stated length"),
    ];
    for (number, (plain, plain_bytes, expected)) in cases.into_iter().enumerate() {
        let file = zstd::encode_all(&plain[..], 1).expect("compresses");
        let digest = Digest::of(&file);
        let statement = Statement { digest, size_bytes: file.len() as u64, plain_bytes };
        fs::write(served.join(format!("files/{digest}")), file).expect("writes");
        let path = served.join(format!("{name}.{}.json", key(1).app_id()));
        fs::write(path, statement.sign(&name, &key(1))).expect("writes");
        let reader = world.reader(&format!("reader{number}"));
        assert!(!reader.store.bring("deb", &name_of("bomb")));
        let warnings = reader.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{expected}: {warnings:?}");
    }
}

#[test]
fn a_server_that_fails_is_given_up_at_once_with_one_warning() {
    let world = World::new();
    let writer = world.writer();
    for name in ["tea", "water"] {
        writer.make("deb", &name_of(name), 2_000_000);
    }
    writer.remote.share(&writer.store);
    let rows = [
        (Wrong::Stall(0), "nothing came for 0.3 s"),
        (Wrong::Stall(100), "nothing came for 0.3 s"),
        (Wrong::Drip, "it came too slowly: less than 262144 bytes per second"),
        (Wrong::HangUp, "the connection broke off after 0 bytes"),
        (Wrong::CutOff(10), "the connection broke off after"),
        (Wrong::Status(500), "the server responds with status 500"),
        (Wrong::Status(403), "the server responds with status 403"),
        (Wrong::Page("text/html".into(), "<html>".into()), "login page of the network?"),
        (Wrong::Redirect("/cache".into()), "it is redirected without end"),
    ];
    for (number, (fault, expected)) in rows.into_iter().enumerate() {
        world.server.fault("*", fault);
        let reader = world.reader(&format!("reader{number}"));
        let began = Instant::now();
        for name in ["tea", "water"] {
            assert!(!reader.store.bring("deb", &name_of(name)));
        }
        assert!(began.elapsed() < Duration::from_secs(4), "{expected}: {:?}", began.elapsed());
        let warnings = reader.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let begin = format!("the remote cache {}/cache is not used any more: ", world.server.url());
        assert!(warnings[0].starts_with(&begin) && warnings[0].contains(expected), "{warnings:?}");
        world.server.heal();
    }
    // Endless contents are no longer than they may be.
    world.server.fault("*", Wrong::Endless);
    let reader = world.reader("endless");
    assert!(!reader.store.bring("deb", &name_of("tea")));
    assert!(reader.warnings()[0].contains("it is longer than 65536 bytes"));
}

#[test]
fn one_that_does_not_take_entries_is_warned_of_once() {
    let world = World::new();
    let stranger = world.machine("stranger", &[], Some(3), Some("Bearer other"));
    for name in ["tea", "water"] {
        stranger.make("deb", &name_of(name), 100);
    }
    stranger.remote.share(&stranger.store);
    let warnings = stranger.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].ends_with("cannot write to it: the server responds with status 401"), "{warnings:?}");
    assert!(!warnings[0].contains("other") && world.sent("deb").is_empty());
}

#[test]
fn a_registry_is_as_good_and_as_little_believed() {
    let (world, made) = (World::new(), MadeRegistry::start());
    let image = ImageName::read(&format!("docker://{}/caches/tea", made.host())).expect("is a name");
    let machine = |name: &str, keys: &[u8], signer: Option<u8>| {
        let purpose = if signer.is_some() { Purpose::Push } else { Purpose::Pull };
        let registry = Registry::new(options(), &image, purpose, Login::None);
        world.machine_at(Place::registry(&image, registry), name, keys, signer)
    };
    let writer = machine("writer", &[], Some(1));
    let (tea, water) = (name_of("tea"), name_of("water"));
    let (tree, _) = writer.make("deb", &tea, 100_000);
    writer.make("deb", &water, 10);
    writer.remote.share(&writer.store);
    assert_eq!(writer.warnings(), Vec::<String>::new());
    let puts = || made.calls().into_iter().filter(|(call, _)| call.starts_with("PUT")).count();
    // Two manifests, two files, and the config that both name.
    assert_eq!(puts(), 5);
    writer.remote.share(&writer.store);
    assert_eq!(puts(), 0);

    let reader = machine("reader", &[2, 1], None);
    assert!(!reader.store.bring("deb", &name_of("coffee")));
    assert!(reader.store.bring("deb", &tea));
    assert_eq!(reader.store.load_bundle("deb", &tea).expect("is there").0, tree);
    assert_eq!(reader.warnings(), Vec::<String>::new());

    // The manifest of one entry stands under the tag of another.
    let tag = |key: &str| format!("{}-{}", name_of(&format!("deb/{key}")), key_id(1));
    let push = Registry::new(options(), &image, Purpose::Push, Login::None);
    let other = push.manifest(&tag(&water)).expect("is there");
    push.put_manifest(&tag(&tea), &other.media_type, &other.bytes).expect("is put");
    let reader = machine("fooled", &[1], None);
    assert!(!reader.store.bring("deb", &tea));
    let warnings = reader.warnings();
    let begin = format!("{image}:{} is refused, and what it stands for is made here: ", tag(&tea));
    assert!(warnings[0].starts_with(&begin), "{warnings:?}");
    assert!(warnings[0].ends_with(&format!("it is a statement about another entry: deb/{water}")));
    for (fault, expected) in [
        (RegistryFault::WrongBytes, "its digest is not the expected one"),
        (RegistryFault::Endless, "it is longer than"),
        (RegistryFault::Status(404), ""),
        (RegistryFault::Status(503), "is not used any more: the server responds with status 503"),
    ] {
        made.fault("GET /v2/caches/tea/blobs/", fault, 1);
        let reader = machine(&format!("reader-{}", expected.len()), &[1], None);
        assert!(!reader.store.bring("deb", &water), "{expected}");
        let warnings = reader.warnings();
        assert_eq!(warnings.len(), usize::from(!expected.is_empty()), "{warnings:?}");
        assert!(warnings.iter().all(|text| text.contains(expected)), "{warnings:?}");
    }
}

#[test]
fn lost_time_adds_up() {
    let world = World::new();
    let reader = world.reader("reader");
    let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the clock is older");
    reader.remote.note_time(ago(4), 0);
    reader.remote.note_time(ago(100), 100 * SLOWEST_BYTES_PER_S);
    reader.remote.note_time(ago(4), 0);
    assert_eq!((reader.remote.is_given_up(), reader.warnings()), (false, Vec::new()));
    reader.remote.note_time(ago(5), 0);
    assert!(reader.remote.is_given_up());
    assert!(reader.warnings()[0].ends_with("it is slow: 11 s were lost with waiting"));
}
