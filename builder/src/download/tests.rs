//! Downloads from servers that misbehave.

use std::{cell::Cell, fs};

use super::*;
use crate::{
    digest::Digest,
    testing::{self, FastClock, Server},
};

mod retrying;

const CONTENTS: &[u8] = b"0123456789";

/// A directory that is served, one for temporary files, and a downloader.
struct Fixture {
    served: tempfile::TempDir,
    tmp: tempfile::TempDir,
    server: Server,
    downloader: Downloader,
    clock: Arc<FastClock>,
}

fn patient() -> Options {
    Options { threads: 3, ..Options::default() }
}

fn fixture(options: Options) -> Fixture {
    let served = tempfile::tempdir().expect("a directory");
    fs::write(served.path().join("file"), CONTENTS).expect("writes");
    let server = Server::start(served.path());
    let tmp = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(FastClock::default());
    let downloader = Downloader::new(Options { clock: clock.clone(), ..options });
    Fixture { served, tmp, server, downloader, clock }
}

fn wanted(bases: &[&str]) -> Wanted {
    Wanted {
        what: "the file".into(),
        urls: bases.iter().map(|base| format!("{base}/file")).collect(),
        past: Vec::new(),
        length: Length::Exactly(CONTENTS.len() as u64),
        checksum: Digest::of(CONTENTS).into(),
        mode: Wanted::OWN,
    }
}

impl Fixture {
    /// Fetches the file from the server and returns its contents or the error's text.
    fn fetch(&self, wanted: &Wanted) -> Result<Vec<u8>, String> {
        let told = Cell::new(0);
        let file = self.downloader.fetch(wanted, self.tmp.path(), &|bytes| told.set(told.get() + bytes));
        let text = |e: DownloadError| e.to_string().replace(&self.server.url(), "URL");
        let bytes = fs::read(file.map_err(text)?.path()).expect("reads");
        assert_eq!(told.get(), bytes.len() as u64);
        Ok(bytes)
    }

    fn left_in_tmp(&self) -> usize {
        fs::read_dir(self.tmp.path()).expect("lists").count()
    }

    fn ranges(&self) -> Vec<String> {
        self.server.requests().into_iter().map(|request| request.range).collect()
    }
}

#[test]
fn says_what_is_wrong_with_a_mirror() {
    let digests = "\n  expected sha256 84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882\
                   \n  found    sha256 ";
    for (fault, text) in [
        (testing::Fault::Status(404), "it is not there"),
        (testing::Fault::Status(410), "it is not there"),
        (testing::Fault::Status(403), "the server responds with status 403"),
        (testing::Fault::Status(503), "the server responds with status 503"),
        (testing::Fault::Short(5), "it is 5 bytes long and not 10"),
        (testing::Fault::Endless, "it is longer than 10 bytes"),
        (testing::Fault::WrongBytes, &format!("its digest is not the expected one{digests}")),
        (testing::Fault::Redirect("/file".into()), "it is redirected without end"),
        (testing::Fault::Redirect("file:///etc/passwd".into()), "it is not a usable URL"),
    ] {
        let fixture = fixture(patient());
        fixture.server.fault("*", fault.clone());
        let error = fixture.fetch(&wanted(&[&fixture.server.url()])).expect_err("a fault");
        assert!(error.starts_with(&format!("cannot fetch the file: {text}")), "{fault:?}: {error}");
        assert!(error.ends_with("\n  at URL/file"), "{fault:?}: {error}");
        assert_eq!(fixture.left_in_tmp(), 0, "{fault:?}");
    }
}

#[test]
fn gives_up_a_mirror_that_stalls() {
    let fixture = fixture(Options { stall_timeout: Duration::from_millis(200), ..patient() });
    fixture.server.fault("*", testing::Fault::Stall(0));
    let error = fixture.fetch(&wanted(&[&fixture.server.url()])).expect_err("a fault");
    assert_eq!(error, "cannot fetch the file: nothing came for 0.2 s\n  at URL/file");
    let fixture = self::fixture(Options { stall_timeout: Duration::from_millis(200), ..patient() });
    fixture.server.fault_times("file", testing::Fault::Stall(4), 1);
    assert_eq!(fixture.fetch(&wanted(&[&fixture.server.url()])), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.ranges(), ["", "bytes=4-"]);
}

#[test]
fn asks_a_silent_mirror_last_from_then_on() {
    let fixture = fixture(Options { stall_timeout: Duration::from_millis(200), ..patient() });
    let second = Server::start(fixture.served.path());
    let both = wanted(&[&fixture.server.url(), &second.url()]);
    fixture.server.fault("*", testing::Fault::Stall(4));
    assert_eq!(fixture.fetch(&both), Ok(CONTENTS.to_vec()));
    assert_eq!((fixture.server.requests().len(), second.requests().len()), (1, 1));
    assert_eq!(fixture.fetch(&both), Ok(CONTENTS.to_vec()));
    assert_eq!((fixture.server.requests().len(), second.requests().len()), (0, 1));
    fixture.server.heal();
    second.fault("*", testing::Fault::Status(404));
    assert_eq!(fixture.fetch(&both), Ok(CONTENTS.to_vec()));
    assert_eq!((fixture.server.requests().len(), second.requests().len()), (1, 1));
}

#[test]
fn takes_up_a_broken_transfer_where_it_stopped() {
    let fixture = fixture(patient());
    fixture.server.fault_times("file", testing::Fault::CutOff(4), 1);
    assert_eq!(fixture.fetch(&wanted(&[&fixture.server.url()])), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.ranges(), ["", "bytes=4-"]);
}

#[test]
fn starts_over_at_a_server_without_ranges() {
    let fixture = fixture(patient());
    fixture.server.fault_times("file", testing::Fault::CutOff(4), 1);
    fixture.server.fault("*", testing::Fault::NoRanges);
    assert_eq!(fixture.fetch(&wanted(&[&fixture.server.url()])), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.ranges(), ["", "bytes=4-"]);
}

#[test]
fn does_not_blame_a_mirror_for_the_pieces_of_another() {
    let fixture = fixture(patient());
    let forged = tempfile::tempdir().expect("a directory");
    fs::write(forged.path().join("file"), b"evilevilev").expect("writes");
    let forger = Server::start(forged.path());
    forger.fault("*", testing::Fault::CutOff(4));
    assert_eq!(fixture.fetch(&wanted(&[&forger.url(), &fixture.server.url()])), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.ranges(), ["bytes=4-", ""]);
}

#[test]
fn tries_the_mirrors_in_turn() {
    let fixture = fixture(patient());
    let second = Server::start(fixture.served.path());
    for fault in [
        testing::Fault::Status(404),
        testing::Fault::Status(500),
        testing::Fault::Short(3),
        testing::Fault::CutOff(3),
        testing::Fault::WrongBytes,
        testing::Fault::Endless,
    ] {
        fixture.server.fault("*", fault.clone());
        let both = wanted(&[&fixture.server.url(), &second.url()]);
        assert_eq!(fixture.fetch(&both), Ok(CONTENTS.to_vec()), "{fault:?}");
    }
    fixture.server.fault("*", testing::Fault::Status(404));
    second.fault("*", testing::Fault::Status(500));
    let error = fixture.fetch(&wanted(&[&fixture.server.url(), &second.url()])).expect_err("two faults");
    assert_eq!(
        error.replace(&second.url(), "SECOND"),
        "cannot fetch the file: none of 2 places has it\
         \n  URL/file: it is not there\
         \n  SECOND/file: the server responds with status 500"
    );
}

#[test]
fn follows_a_redirection() {
    let fixture = fixture(patient());
    let second = Server::start(fixture.served.path());
    fixture.server.fault("file", testing::Fault::Redirect(format!("{}/file", second.url())));
    assert_eq!(fixture.fetch(&wanted(&[&fixture.server.url()])), Ok(CONTENTS.to_vec()));
}

#[test]
fn says_why_there_is_no_connection() {
    let fixture = fixture(patient());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("an address");
    let error = fixture.fetch(&wanted(&[&format!("http://{closed}")])).expect_err("nobody listens");
    assert!(error.starts_with("cannot fetch the file: cannot connect: Connection refused"), "{error}");
}

#[test]
fn offline_reads_files_only() {
    let fixture = fixture(Options { offline: true, ..patient() });
    let here = format!("file:{}", fixture.served.path().display());
    assert_eq!(fixture.fetch(&wanted(&[&fixture.server.url(), &here])), Ok(CONTENTS.to_vec()));
    let error = fixture.fetch(&wanted(&[&fixture.server.url()])).expect_err("offline");
    assert_eq!(error, "cannot fetch the file offline");
    assert_eq!(fixture.server.requests(), []);
    let error = fixture.fetch(&wanted(&[&format!("{here}/file")])).expect_err("no directory");
    assert!(error.contains(": it is not there\n"), "{error}");
}

#[test]
fn an_empty_file_is_a_file() {
    let fixture = fixture(patient());
    fs::write(fixture.served.path().join("file"), "").expect("writes");
    let empty = Wanted {
        length: Length::Exactly(0),
        checksum: Digest::of(b"").into(),
        ..wanted(&[&fixture.server.url()])
    };
    assert_eq!(fixture.fetch(&empty), Ok(Vec::new()));
}

#[test]
fn a_file_of_unknown_length_is_known_by_its_checksum() {
    let fixture = fixture(patient());
    let sha512 = Checksum::Sha512([0; 64]).of_same_kind(CONTENTS);
    let wanted = |checksum, limit| Wanted {
        length: Length::AtMost(limit),
        checksum,
        ..wanted(&[&fixture.server.url()])
    };
    assert_eq!(fixture.fetch(&wanted(sha512, 10)), Ok(CONTENTS.to_vec()));
    fixture.server.requests();
    fixture.server.fault_times("file", testing::Fault::CutOff(4), 1);
    assert_eq!(fixture.fetch(&wanted(sha512, 1000)), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.ranges(), ["", "bytes=4-"]);

    let error = fixture.fetch(&wanted(sha512, 9)).expect_err("is longer");
    assert!(error.starts_with("cannot fetch the file: it is longer than 9 bytes"), "{error}");
    let zeros = Checksum::Sha512([0; 64]);
    let error = fixture.fetch(&wanted(zeros, 10)).expect_err("is another");
    assert!(error.contains("\n  expected sha512 0000") && error.contains("\n  found    sha512 "), "{error}");
    fixture.server.fault("file", testing::Fault::Endless);
    let error = fixture.fetch(&wanted(sha512, 1000)).expect_err("never ends");
    assert!(error.contains("it is longer than 1000 bytes"), "{error}");
    assert_eq!(fixture.left_in_tmp(), 0);
}

#[test]
fn one_missing_file_does_not_keep_the_others() {
    let fixture = fixture(patient());
    let mut files = Vec::new();
    for name in ["a", "b", "c", "d"] {
        fs::write(fixture.served.path().join(name), name).expect("writes");
        let wanted = Wanted {
            what: name.into(),
            urls: vec![format!("{}/{name}", fixture.server.url())],
            past: Vec::new(),
            length: Length::Exactly(1),
            checksum: Digest::of(name.as_bytes()).into(),
            mode: Wanted::OWN,
        };
        files.push((wanted, fixture.tmp.path().join(name)));
    }
    fixture.server.fault("c", testing::Fault::Status(404));
    fixture.server.fault("b", testing::Fault::WrongBytes);
    let errors = fixture.downloader.fetch_all(&files, fixture.tmp.path(), &|_| {});
    assert_eq!(errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2]);
    assert!(!errors[0].1.is_gone() && errors[1].1.is_gone());
    let there: Vec<bool> = files.iter().map(|(_, path)| path.exists()).collect();
    assert_eq!(there, [true, false, false, true]);
    assert_eq!(fixture.left_in_tmp(), 2);
}

#[test]
fn a_disk_that_cannot_be_written_to_is_named() {
    let fixture = fixture(patient());
    let missing = fixture.tmp.path().join("missing");
    let error = fixture.downloader.fetch(&wanted(&[&fixture.server.url()]), &missing, &|_| {});
    let error = error.expect_err("no directory");
    assert_eq!(error.to_string(), format!("cannot write the file below {}", missing.display()));
}

#[test]
fn a_small_file_is_fetched_again_only_if_it_changed() {
    let fixture = fixture(patient());
    let urls = [format!("{}/file", fixture.server.url())];
    let ask = |known: Option<&Validators>| {
        fixture.downloader.fetch_small("it", &urls, 100, known, Ok).map_err(|e| e.to_string())
    };
    let Ok(Conditional::Body { bytes, validators }) = ask(None) else { panic!("a body") };
    assert_eq!(bytes, CONTENTS);
    assert_eq!(ask(Some(&validators)), Ok(Conditional::Unchanged));
    fs::write(fixture.served.path().join("file"), "other").expect("writes");
    assert!(matches!(ask(Some(&validators)), Ok(Conditional::Body { bytes, .. }) if bytes == b"other"));
    let elsewhere = Validators { url: "http://elsewhere/file".into(), ..validators };
    assert!(matches!(ask(Some(&elsewhere)), Ok(Conditional::Body { .. })));
    let conditional: Vec<bool> = fixture.server.requests().iter().map(|r| r.conditional).collect();
    assert_eq!(conditional, [false, true, true, false]);

    fixture.server.fault("*", testing::Fault::Endless);
    let error = ask(None).expect_err("too long").replace(&fixture.server.url(), "URL");
    assert_eq!(error, "cannot fetch it: it is longer than 100 bytes\n  at URL/file");
    fixture.server.heal();
    let refused = fixture.downloader.fetch_small("it", &urls, 100, None, |_| Err::<(), _>("no good".into()));
    let error = refused.expect_err("refused").to_string().replace(&fixture.server.url(), "URL");
    assert_eq!(error, "cannot fetch it: no good\n  at URL/file");
}

#[test]
fn urls_stay_below_their_base_and_hide_passwords() {
    for (base, path, url) in [
        ("http://m/debian", "pool/a/a_1.0+b~c.deb", Some("http://m/debian/pool/a/a_1.0%2bb%7ec.deb")),
        ("http://m", "pool/a b%?#", Some("http://m/pool/a%20b%25%3f%23")),
        ("file:/srv", "pool/a b", Some("file:/srv/pool/a b")),
        ("http://m", "../a", None),
        ("http://m", "a/../../b", None),
        ("http://m", "/a", None),
        ("http://m", "a//b", Some("http://m/a//b")),
        ("http://m", "a_1:2@3=4(5).deb", Some("http://m/a_1:2@3=4(5).deb")),
        ("http://m", "gr\u{f6}\u{df}e", Some("http://m/gr%c3%b6%c3%9fe")),
        ("http://m", "./a", None),
        ("http://m", "", None),
        ("http://m", "a\nb", None),
    ] {
        assert_eq!(url_below(base, path).as_deref(), url, "{base} {path:?}");
    }
    assert_eq!(without_password("http://me:secret@m/debian/x@y"), "http://m/debian/x@y");
    for (url, shown) in [
        ("file:/srv/x@y", "file:/srv/x@y"),
        ("http://me:a/b@m/debian/x", "…@m/debian/x"),
        ("ftp://me:secret@m/x", "ftp://m/x"),
        ("me:secret@m/debian", "…@m/debian"),
        ("http:/me:secret@m/", "…@m/"),
        ("proxy:3128", "proxy:3128"),
    ] {
        assert_eq!(without_password(url), shown);
    }
}

#[test]
fn a_proxy_is_asked_in_the_mirrors_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let conf = directory.path().join("apt.conf");
    let through = |text: &str| {
        fs::write(&conf, text).expect("writes");
        fixture(Options { proxies: Proxies::as_apt(directory.path()), patience: Patience::NONE, ..patient() })
    };
    let mut made = through("");
    let conf_of = |made: &Fixture| {
        format!("Acquire::http::Proxy \"{}\"; Acquire::http::Proxy::127.0.0.1 \"DIRECT\";", made.server.url())
    };
    let other = through(&conf_of(&made));
    made.downloader = other.downloader;
    assert_eq!(made.fetch(&wanted(&["http://mirror.invalid"])).as_deref(), Ok(CONTENTS));
    let requests = made.server.requests();
    assert_eq!((requests[0].host.as_str(), requests[0].path.as_str()), ("mirror.invalid", "file"));
    assert_eq!(made.fetch(&wanted(&[&made.server.url()])).as_deref(), Ok(CONTENTS));
    assert_eq!(made.server.requests()[0].host, "");
    // One of another kind is not gone past.
    for proxy in ["socks5h://127.0.0.1:9", "http://"] {
        let odd = through(&format!("Acquire::http::Proxy \"{proxy}\";"));
        let error = odd.fetch(&wanted(&[&odd.server.url()])).expect_err(proxy);
        assert!(
            error.contains("the proxy that Acquire::http::Proxy of apt's configuration names"),
            "{error}"
        );
        assert_eq!(odd.server.requests(), []);
    }
}
