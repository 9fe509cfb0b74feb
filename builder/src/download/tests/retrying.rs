//! Retries: their causes and durations, and the state that transfers share. The clock takes no time.

use std::net::TcpListener;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

impl Fixture {
    fn fetch_here(&self) -> Result<Vec<u8>, String> {
        self.fetch(&wanted(&[&self.server.url()]))
    }

    fn waited(&self) -> Duration {
        self.clock.waits().iter().sum()
    }
}

#[test]
fn asks_again_only_where_that_may_help() {
    use testing::Fault::{
        Busy, CutOff, Endless, HangUp, OtherPart, Redirect, Short, Status, WrongBytes, WrongInCache,
    };
    for (fault, may_pass) in [
        (Status(404), false),
        (Status(410), false),
        (Status(401), false),
        (Status(403), false),
        (Status(407), false),
        (Status(451), false),
        (Status(501), false),
        (Status(511), false),
        (Redirect("ftp://a/".into()), false),
        (Status(408), true),
        (Status(425), true),
        (Status(429), true),
        (Status(500), true),
        (Status(502), true),
        (Status(503), true),
        (Status(504), true),
        (Busy(503, "1".into()), true),
        (HangUp, true),
        (CutOff(1), true),
        (Short(5), true),
        (Short(0), true),
        (WrongBytes, true),
        (WrongInCache, true),
        (Endless, true),
    ] {
        let fixture = fixture(patient());
        fixture.server.fault_times("file", fault.clone(), 1);
        let outcome = fixture.fetch_here();
        assert_eq!(outcome.is_ok(), may_pass, "{fault:?}: {outcome:?}");
        assert_eq!(fixture.server.requests().len(), 1 + usize::from(may_pass), "{fault:?}");
        assert_eq!(fixture.left_in_tmp(), 0, "{fault:?}");
    }
    // A part is asked for once there is one.
    let fixture = fixture(patient());
    fixture.server.fault_times("file", CutOff(4), 1);
    fixture.server.fault_times("*", OtherPart, 1);
    assert_eq!(fixture.fetch_here(), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.ranges(), ["", "bytes=4-", ""]);
}

#[test]
fn a_passing_fault_is_waited_out_for_a_minute_and_no_longer() {
    for fault in [testing::Fault::Status(503), testing::Fault::HangUp, testing::Fault::CutOff(0)] {
        let fixture = fixture(patient());
        fixture.server.fault("*", fault.clone());
        fixture.fetch_here().expect_err("it is always so");
        let waits = fixture.clock.waits();
        assert_eq!(waits.iter().sum::<Duration>(), MINUTE, "{fault:?}");
        assert!(waits[0] < Duration::from_secs(1) && waits[..waits.len() - 1].is_sorted(), "{waits:?}");
        assert!((6..12).contains(&fixture.server.requests().len()), "{waits:?}");
    }
}

#[test]
fn one_who_wants_no_second_try_gets_none() {
    for fault in [testing::Fault::Status(503), testing::Fault::WrongBytes, testing::Fault::CutOff(1)] {
        let fixture = fixture(Options { patience: Patience::NONE, ..patient() });
        fixture.server.fault("*", fault);
        fixture.fetch_here().expect_err("a fault");
        assert_eq!((fixture.server.requests().len(), fixture.waited()), (1, Duration::ZERO));
    }
    assert_eq!(Patience::of_seconds(60).longest, Patience::default().longest);
    assert_eq!(Patience::of_seconds(60).longest_past, Patience::default().longest_past);
    assert_eq!(Patience::of_seconds(u64::MAX).longest, Duration::from_secs(86_400));
}

#[test]
fn nothing_that_listens_is_sooner_given_up() {
    let fixture = fixture(patient());
    let closed = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("an address");
    fixture.fetch(&wanted(&[&format!("http://{closed}")])).expect_err("nothing listens");
    assert_eq!(fixture.waited(), MINUTE / 4);
}

#[test]
fn the_pause_that_a_server_wants_is_kept_within_bounds() {
    let busy = |pause: &str| testing::Fault::Busy(429, pause.into());
    let fixture = fixture(patient());
    fixture.server.fault_times("file", busy("20"), 2);
    assert_eq!(fixture.fetch_here(), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.waited().as_secs(), 40);
    // A date that is past means now.
    fixture.server.fault_times("file", busy("Sun, 06 Nov 1994 08:49:37 GMT"), 1);
    assert_eq!(fixture.fetch_here(), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.waited(), Duration::ZERO);
    // A missing or unreadable pause counts as none.
    fixture.server.fault_times("file", busy("later"), 1);
    assert_eq!(fixture.fetch_here(), Ok(CONTENTS.to_vec()));
    fixture.clock.waits();
    // One that is longer than anyone waits ends it at once.
    fixture.server.fault("*", busy("86400"));
    fixture.server.requests();
    let error = fixture.fetch_here().expect_err("it is busy all day");
    assert_eq!(
        error,
        "cannot fetch the file: the server responds with status 429 and requests a pause of 86400 s\n  at URL/file"
    );
    assert_eq!((fixture.waited(), fixture.server.requests().len()), (Duration::ZERO, 1));
}

#[test]
fn a_pause_of_a_host_holds_for_all_of_its_files() {
    let fixture = fixture(patient());
    fs::write(fixture.served.path().join("other"), CONTENTS).expect("writes");
    fixture.server.fault_times("file", testing::Fault::Busy(429, "10".into()), 1);
    // The other mirror has the file at once; the first one is still not to be asked for the next file.
    let second = Server::start(fixture.served.path());
    assert_eq!(fixture.fetch(&wanted(&[&fixture.server.url(), &second.url()])), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.waited(), Duration::ZERO);
    let other = Wanted { urls: vec![format!("{}/other", fixture.server.url())], ..wanted(&[]) };
    assert_eq!(fixture.fetch(&other), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.waited().as_secs(), 10);
}

#[test]
fn a_host_that_only_failed_is_not_waited_for_again() {
    let fixture = fixture(patient());
    fixture.server.fault("*", testing::Fault::Status(503));
    fixture.fetch_here().expect_err("it fails");
    assert_eq!(fixture.waited(), MINUTE);
    fixture.server.requests();
    let error = fixture.fetch_here().expect_err("it is given up");
    assert_eq!(
        error,
        "cannot fetch the file: it is not asked any more, since it did nothing but fail: \
         the server responds with status 503\n  at URL/file"
    );
    assert_eq!((fixture.waited(), fixture.server.requests().len()), (Duration::ZERO, 0));
    // Many files of a dead mirror take no longer than one.
    let dead = self::fixture(Options { threads: 1, ..patient() });
    dead.server.fault("*", testing::Fault::HangUp);
    let files: Vec<(Wanted, PathBuf)> =
        (0..50).map(|n| (wanted(&[&dead.server.url()]), dead.tmp.path().join(n.to_string()))).collect();
    let errors = dead.downloader.fetch_all(&files, dead.tmp.path(), &|_| {});
    assert!(!errors.is_empty());
    assert_eq!(dead.waited(), MINUTE);
}

#[test]
fn one_bad_file_does_not_give_up_its_host() {
    let fixture = fixture(patient());
    fs::write(fixture.served.path().join("good"), CONTENTS).expect("writes");
    let good = Wanted { urls: vec![format!("{}/good", fixture.server.url())], ..wanted(&[]) };
    fixture.server.fault("file", testing::Fault::Status(404));
    fixture.fetch_here().expect_err("is not there");
    assert_eq!(fixture.fetch(&good), Ok(CONTENTS.to_vec()));
}

#[test]
fn what_a_proxy_keeps_damaged_is_fetched_past_it() {
    let fixture = fixture(patient());
    fixture.server.fault("*", testing::Fault::WrongInCache);
    assert_eq!(fixture.fetch_here(), Ok(CONTENTS.to_vec()));
    let fresh: Vec<bool> = fixture.server.requests().iter().map(|request| request.fresh).collect();
    assert_eq!(fresh, [false, true]);
}

#[test]
fn what_is_always_wrong_is_refused_after_a_few_tries_and_then_sooner() {
    let fixture = fixture(patient());
    fixture.server.fault("*", testing::Fault::WrongBytes);
    let error = fixture.fetch_here().expect_err("is another file");
    assert!(error.contains("its digest is not the expected one"), "{error}");
    assert_eq!(fixture.server.requests().len(), 6);
    assert!(fixture.waited() < MINUTE / 2);
    fixture.fetch_here().expect_err("is another file");
    assert_eq!(fixture.server.requests().len(), 2);
}

#[test]
fn a_broken_transfer_goes_on_only_with_the_same_version() {
    let fixture = fixture(patient());
    fixture.server.fault_times("file", testing::Fault::CutOff(4), 1);
    assert_eq!(fixture.fetch_here(), Ok(CONTENTS.to_vec()));
    let asked = fixture.server.requests();
    assert_eq!(asked[0].if_range, "");
    assert_eq!(asked[1].if_range, format!("\"{}\"", Digest::of(CONTENTS)));
    // Of another version, which If-Range turns into a whole one.
    let changing = self::fixture(patient());
    fs::write(changing.served.path().join("file"), b"9876543210").expect("writes");
    changing.server.fault_times("file", testing::Fault::CutOff(4), 1);
    let first = changing.fetch(&Wanted {
        urls: vec![format!("{}/file", changing.server.url()), format!("{}/file", fixture.server.url())],
        ..wanted(&[])
    });
    assert_eq!(first, Ok(CONTENTS.to_vec()));
}

#[test]
fn a_bad_mirror_is_no_obstacle() {
    // As ci.md has them: 503 for every third request, 429, truncation, damage, hang-ups.
    for (each, fault) in [
        (3, testing::Fault::Status(503)),
        (3, testing::Fault::Busy(429, "2".into())),
        (4, testing::Fault::CutOff(500)),
        (4, testing::Fault::Short(500)),
        (5, testing::Fault::WrongBytes),
        (5, testing::Fault::HangUp),
    ] {
        let fixture = fixture(patient());
        let mut files = Vec::new();
        for number in 0..60_u32 {
            let contents: Vec<u8> = (0..1000).map(|byte| (byte * (number + 7) % 251) as u8).collect();
            fs::write(fixture.served.path().join(number.to_string()), &contents).expect("writes");
            let wanted = Wanted {
                what: number.to_string(),
                urls: vec![format!("{}/{number}", fixture.server.url())],
                past: Vec::new(),
                length: Length::Exactly(1000),
                checksum: Digest::of(&contents).into(),
                mode: Wanted::OWN,
            };
            files.push((wanted, fixture.tmp.path().join(number.to_string())));
        }
        fixture.server.fault_every(each, fault.clone());
        let errors = fixture.downloader.fetch_all(&files, fixture.tmp.path(), &|_| {});
        assert!(errors.is_empty(), "{fault:?}: {errors:?}");
    }
}

#[test]
fn past_states_are_asked_last_patiently_and_one_at_a_time() {
    let fixture = fixture(patient());
    let service = Server::start(fixture.served.path());
    let both = Wanted { past: vec![format!("{}/file", service.url())], ..wanted(&[&fixture.server.url()]) };
    // A mirror that may come back is waited for.
    fixture.server.fault_times("file", testing::Fault::Status(503), 3);
    assert_eq!(fixture.fetch(&both), Ok(CONTENTS.to_vec()));
    assert_eq!(service.requests(), []);
    fixture.clock.waits();
    fixture.server.fault("*", testing::Fault::Status(404));
    service.fault_times("file", testing::Fault::Busy(429, "90".into()), 2);
    assert_eq!(fixture.fetch(&both), Ok(CONTENTS.to_vec()));
    assert_eq!(fixture.waited().as_secs(), 180);
    service.fault("*", testing::Fault::Status(503));
    fixture.fetch(&both).expect_err("it fails");
    assert_eq!(fixture.waited(), 5 * MINUTE);
}

#[test]
fn the_proxy_is_named_where_it_is_at_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let through = |proxy: &str| {
        let text = format!("Acquire::http::Proxy \"{proxy}\";");
        fs::write(directory.path().join("apt.conf"), text).expect("writes");
        let proxies = Proxies::as_apt(directory.path());
        fixture(Options { proxies, patience: Patience::NONE, ..patient() })
    };
    let said = |made: &Fixture, url: &str, proxy: &str| {
        let error = made.fetch(&wanted(&[url])).expect_err("a fault");
        let text = error
            .replace(proxy.trim_start_matches("http://me:secret@").trim_start_matches("http://"), "PROXY");
        assert!(!text.contains("secret"), "{text}");
        text.lines().next().unwrap_or_default().trim_start_matches("cannot fetch the file: ").to_owned()
    };
    let named = "the proxy http://PROXY (Acquire::http::Proxy of apt's configuration)";
    let closed = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("an address");
    let dead = format!("http://me:secret@{closed}");
    for url in ["http://mirror.invalid", "https://mirror.invalid"] {
        let text = said(&through(&dead), url, &dead);
        assert!(text.starts_with(&format!("cannot connect to {named}: Connection refused")), "{text}");
    }
    let served = through("");
    let proxy = served.server.url();
    for (fault, url, text) in [
        (
            testing::Fault::Status(407),
            "http://m.invalid",
            format!("{named} wants a user name and a password"),
        ),
        (
            testing::Fault::Status(407),
            "https://m.invalid",
            format!("{named} wants a user name and a password"),
        ),
        (
            testing::Fault::Status(502),
            "http://m.invalid",
            format!("the server responds with status 502, by way of {named}"),
        ),
        (
            testing::Fault::Status(502),
            "https://m.invalid",
            format!("{named} cannot connect to the host: it refuses, or finds no way"),
        ),
        (testing::Fault::Status(404), "http://m.invalid", "it is not there".into()),
    ] {
        served.server.fault("*", fault.clone());
        assert_eq!(said(&through(&proxy), url, &proxy), text, "{fault:?} {url}");
    }
}

#[test]
fn a_wait_is_shown_once_for_all_and_without_passwords() {
    #[derive(Default)]
    struct Shown(Mutex<Vec<String>>);
    impl crate::progress::Sink for Shown {
        fn begin(&self, _: u64, what: &str, _: u64, _: crate::progress::Unit) {
            self.0.lock().expect("no panic").push(what.into());
        }
        fn update(&self, _: u64, _: u64, _: Option<&str>) {}
        fn end(&self, _: u64) {}
        fn warn(&self, _: &str) {}
    }
    let sink = Arc::new(Shown::default());
    let fixture = fixture(Options { progress: Progress::new(sink.clone()), ..patient() });
    fixture.server.fault_times("file", testing::Fault::Busy(429, "20".into()), 1);
    let address = fixture.server.url().replace("http://", "");
    assert_eq!(fixture.fetch(&wanted(&[&format!("http://me:secret@{address}")])), Ok(CONTENTS.to_vec()));
    let shown = sink.0.lock().expect("no panic").clone();
    assert_eq!(
        shown,
        [format!(
            "waiting for http://{address}: the server responds with status 429 and requests a pause of 20 s; again in 20 s"
        )]
    );
}

#[test]
fn a_server_that_never_gets_further_is_given_up() {
    let fixture = fixture(patient());
    let contents = vec![7; 4 << 20];
    fs::write(fixture.served.path().join("file"), &contents).expect("writes");
    let large = Wanted {
        length: Length::Exactly(contents.len() as u64),
        checksum: Digest::of(&contents).into(),
        ..wanted(&[&fixture.server.url()])
    };
    // It begins anew each time, and breaks off at two megabytes or at three.
    fixture.server.no_ranges();
    fixture.server.fault("*", testing::Fault::CutOff(3 << 20));
    fixture.server.fault_times("file", testing::Fault::CutOff(2 << 20), 3);
    let error = fixture.fetch(&large).expect_err("it never ends");
    assert!(error.contains("the connection broke off after"), "{error}");
    assert!(fixture.waited() <= MINUTE * 2);
}

#[test]
fn a_server_that_drips_is_given_up() {
    let window = Duration::from_millis(300);
    let fixture = fixture(Options { stall_timeout: window, patience: Patience::NONE, ..patient() });
    let contents = vec![7; 4000];
    let large = |bases: &[&str]| Wanted {
        length: Length::Exactly(4000),
        checksum: Digest::of(&contents).into(),
        ..wanted(bases)
    };
    fs::write(fixture.served.path().join("file"), &contents).expect("writes");
    fixture.server.fault("*", testing::Fault::Drip);
    let began = std::time::Instant::now();
    let error = fixture.fetch(&large(&[&fixture.server.url()])).expect_err("it drips");
    let text = "cannot fetch the file: it came too slowly: less than 1000 bytes per second\n  at URL/file";
    assert_eq!(error, text);
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    let small =
        fixture
            .downloader
            .fetch_small("it", &[format!("{}/file", fixture.server.url())], 5000, None, |_| Ok(()));
    assert!(small.expect_err("it drips").to_string().contains("too slowly"));
    // The bytes so far are kept, and another mirror has the rest.
    let fixture = self::fixture(Options { stall_timeout: window, ..patient() });
    fs::write(fixture.served.path().join("file"), &contents).expect("writes");
    fixture.server.fault("*", testing::Fault::Drip);
    let other = Server::start(fixture.served.path());
    let bases = [fixture.server.url(), other.url()];
    assert_eq!(fixture.fetch(&large(&[&bases[0], &bases[1]])), Ok(contents.clone()));
    assert!(other.requests().iter().all(|request| request.range.starts_with("bytes=")));
    assert_eq!(fixture.server.requests().len(), 1);
}

#[test]
fn a_login_page_in_place_of_files_is_named_and_its_host_not_asked_for_others() {
    let page = "it sends a web page (text/html) in its place: a login page of the network?";
    for (kind, text) in
        [("text/html; charset=x", "Log in"), ("application/x", " <!DOCTYPE html>Log in"), ("", "<html>6789")]
    {
        let fixture = fixture(Options { threads: 2, ..patient() });
        fixture.server.fault("*", testing::Fault::Page(kind.into(), text.into()));
        let url = fixture.server.url();
        let to = |n: usize| fixture.tmp.path().join(n.to_string());
        let files: Vec<(Wanted, PathBuf)> = (0..50).map(|n| (wanted(&[&url]), to(n))).collect();
        let errors = fixture.downloader.fetch_all(&files, fixture.tmp.path(), &|_| {});
        assert!(errors.iter().all(|(_, error)| error.to_string().contains(page)), "{kind}: {errors:?}");
        assert!(!errors.is_empty() && fixture.server.requests().len() <= 10, "{kind}");
    }
    // One that comes for a single file says nothing of the others.
    let fixture = fixture(patient());
    fixture.server.fault("file", testing::Fault::Page("text/html".into(), "none".into()));
    fs::write(fixture.served.path().join("other"), CONTENTS).expect("writes");
    let urls = vec![format!("{}/other", fixture.server.url())];
    for _ in 0..4 {
        assert!(fixture.fetch_here().expect_err("a page").contains(page));
        assert_eq!(fixture.fetch(&Wanted { urls: urls.clone(), ..wanted(&[]) }), Ok(CONTENTS.to_vec()));
    }
    let small =
        fixture.downloader.fetch_small("it", &[format!("{}/file", fixture.server.url())], 99, None, |_| {
            Err::<(), _>("not signed".into())
        });
    assert!(small.expect_err("a page").to_string().contains(page));
}

#[test]
fn a_pause_without_end_is_shown_as_one() {
    let fixture = fixture(patient());
    fixture.server.fault("*", testing::Fault::Busy(503, "99999999999999999999999".into()));
    let error = fixture.fetch_here().expect_err("it is busy");
    assert!(error.contains("status 503 and requests a pause of more than a day\n"), "{error}");
}
