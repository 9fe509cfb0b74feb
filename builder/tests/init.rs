//! The parsers and pure functions of the first process, built for the host.
//!
//! `builder/init` is a freestanding crate outside the workspace, and its compiled bytes are pinned. Its
//! modules need nothing but the kernel, so this test includes them by path, unchanged, in a program with the
//! standard library: neither its sources nor its bytes know of the test. `FAULT` and `text` stand in for
//! those of its `main.rs`.
#![expect(unsafe_code, reason = "the first process has no libc, so its modules call the kernel themselves")]

#[path = "../init/src/arena.rs"]
#[expect(dead_code, reason = "the rest is for the modules that start programs")]
mod arena;
#[path = "../init/src/config.rs"]
mod config;
#[path = "../init/src/fill.rs"]
#[expect(dead_code, reason = "the rest works on /var, which a test has not")]
mod fill;
#[path = "../init/src/log.rs"]
#[expect(dead_code, reason = "the rest is for main.rs")]
mod log;
#[path = "../init/src/path.rs"]
mod path;
#[path = "../init/src/ready.rs"]
mod ready;
#[path = "../init/src/sha256.rs"]
mod sha256;
#[path = "../init/src/sys.rs"]
#[expect(dead_code, reason = "the rest is for the modules that start programs")]
mod sys;
#[path = "../init/src/upgrade.rs"]
mod upgrade;

use std::{
    ffi::{CStr, CString},
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
    path::Path as HostPath,
};

use arena::Arena;
use config::{Config, Program, Ready};
use fill::{Filler, List, SKELETON};
use path::Path;

const FAULT: i32 = 125;

fn text(pointer: *const u8) -> &'static [u8] {
    // SAFETY: as in main.rs: strings of the arena and of this test, which end in NUL and are never freed.
    unsafe { CStr::from_ptr(pointer.cast()) }.to_bytes()
}

fn leaked(text: &str) -> &'static CStr {
    Box::leak(CString::new(text).expect("no NUL").into_boxed_c_str())
}

fn texts(words: &[*const u8]) -> Vec<String> {
    let words = words.iter().filter(|word| !word.is_null());
    words.map(|word| String::from_utf8_lossy(text(*word)).into_owned()).collect()
}

/// Reads a configuration from a file, with an environment; an error as its words.
fn read(lines: &[u8], environment: &[&str]) -> Result<(Config, Vec<String>, Option<i32>), &'static str> {
    let folder = tempfile::tempdir().expect("a directory");
    let place = folder.path().join("services");
    fs::write(&place, lines).expect("writes");
    let environment: Vec<*const u8> =
        environment.iter().map(|variable| leaked(variable).as_ptr().cast()).collect();
    let path = leaked(place.to_str().expect("text"));
    let (config, kept, ready) =
        config::read(&mut Arena::new(), path, &environment).map_err(|fault| fault.what)?;
    Ok((config, texts(kept), ready))
}

#[test]
fn a_configuration_is_read_word_by_word() {
    let lines = b"tinyroot-services 1\nport 8000\ndirectory /run/tea\nenv A=1\nsetup\ncommand /bin/sh -c a\\x20b\ntimeout 90\n\
        service web\ncommand /app/pot \\e last\\x5c\nenv B=2\nenv C=\nready http /\ntimeout 5\nstop-timeout 7\nstop-signal 2\n\
        service cron\ncommand /usr/sbin/cron\nready port 9000\n";
    let given = ["PATH=/bin", "TINYROOT_READY_FD=7", "HOME=/"];
    let (config, kept, ready) = read(lines, &given).unwrap_or_else(|what| panic!("{what}"));
    assert_eq!((config.port, ready), (8000, Some(7)));
    assert_eq!(kept, ["PATH=/bin", "HOME=/"]);
    assert_eq!([texts(config.directories), texts(config.env)], [["/run/tea"], ["A=1"]]);
    let setup = config.setup.as_ref().expect("has one");
    assert_eq!(
        (texts(setup.command), setup.timeout_ms),
        (vec!["/bin/sh".into(), "-c".into(), "a b".into()], 90_000)
    );
    let services: Vec<&Program> = config.services.iter().flatten().collect();
    let [web, cron] = services[..] else { panic!("two services") };
    assert_eq!(
        (web.name, texts(web.command)),
        (&b"web"[..], vec!["/app/pot".into(), String::new(), "last\\".into()])
    );
    assert_eq!(texts(web.env), ["B=2", "C="]);
    assert_eq!((web.timeout_ms, web.stop_ms, web.stop_signal), (5000, Some(7000), 2));
    assert!(matches!(&web.ready, Ready::Http(path) if text(*path) == b"/"));
    assert_eq!((cron.timeout_ms, cron.stop_ms, cron.stop_signal), (60_000, None, 15));
    assert!(matches!(cron.ready, Ready::Port(9000)));
    assert!(web.command.last().is_some_and(|end| end.is_null()), "as execve(2) takes it");
}

#[test]
fn a_damaged_configuration_is_refused() {
    let service = "service a\ncommand /a\n";
    let many = service.repeat(config::MAX_SERVICES + 1);
    for (lines, expected) in [
        ("", "a first line that this program does not know in"),
        ("tinyroot-services 2\n", "a first line that this program does not know in"),
        ("tinyroot-services 1\n", "no service in"),
        ("tinyroot-services 1\nservice a\n", "a program without `command` in"),
        (&format!("tinyroot-services 1\n{many}"), "too many services in"),
        (&format!("tinyroot-services 1\n{service}unknown x\n"), "a line that this program does not know in"),
        (&format!("tinyroot-services 1\ncommand /a\n{service}"), "a line that this program does not know in"),
        (&format!("tinyroot-services 1\n{service}port\n"), "a line that this program does not know in"),
        (&format!("tinyroot-services 1\nport 65536\n{service}"), "a wrong port in"),
        (&format!("tinyroot-services 1\nport -1\n{service}"), "a wrong port in"),
        (&format!("tinyroot-services 1\n{service}timeout 1000000000\n"), "a wrong timeout in"),
        (&format!("tinyroot-services 1\n{service}timeout \\e\n"), "a wrong timeout in"),
        (&format!("tinyroot-services 1\n{service}stop-timeout 1s\n"), "a wrong stop-timeout in"),
        (&format!("tinyroot-services 1\n{service}stop-signal 0\n"), "a wrong stop-signal in"),
        (&format!("tinyroot-services 1\n{service}stop-signal 32\n"), "a wrong stop-signal in"),
        (&format!("tinyroot-services 1\n{service}ready http\n"), "a wrong `ready` in"),
        (&format!("tinyroot-services 1\n{service}ready magic /\n"), "a wrong `ready` in"),
        (&format!("tinyroot-services 1\n{service}ready port x\n"), "a wrong port in"),
        (&format!("tinyroot-services 1\n{service}env \\x4\n"), "a wrong escape in"),
        (&format!("tinyroot-services 1\n{service}env \\x4G\n"), "a wrong escape in"),
        (&format!("tinyroot-services 1\n{service}env \\n\n"), "a wrong escape in"),
        (&format!("tinyroot-services 1\n{service}env \\x00\n"), "a NUL in"),
    ] {
        assert_eq!(read(lines.as_bytes(), &[]).err(), Some(expected), "{lines}");
    }
    let missing = config::read(&mut Arena::new(), leaked("/nowhere/services"), &[]);
    assert_eq!(missing.err().map(|fault| (fault.what, fault.errno)), Some(("cannot read", sys::ENOENT)));
    let (_, _, ready) = read(b"tinyroot-services 1\nservice a\ncommand /a\n", &["TINYROOT_READY_FD=x"])
        .unwrap_or_else(|what| panic!("{what}"));
    assert_eq!(ready, None);
}

#[test]
fn a_long_configuration_is_read_whole() {
    let mut lines = b"tinyroot-services 1\n".to_vec();
    for number in 0..5000 {
        lines.extend_from_slice(format!("directory /run/{number}\n").as_bytes());
    }
    lines.extend_from_slice(b"service a\ncommand /a\n");
    let (config, _, _) = read(&lines, &[]).unwrap_or_else(|what| panic!("{what}"));
    assert_eq!(config.directories.len(), 5000);
    assert_eq!(texts(&config.directories[4999..]), ["/run/4999"]);
}

#[test]
fn a_path_grows_within_the_kernels_limit() {
    let mut path = Path::new(b"/var");
    let top = path.push(b"lib").expect("fits");
    assert_eq!(path.c_str(), c"/var/lib");
    path.append(b".new").expect("fits");
    assert_eq!(path.as_bytes(), b"/var/lib.new");
    path.cut(top);
    assert_eq!(path.c_str(), c"/var");
    assert_eq!(path.push(&[b'x'; 4092]), None);
    assert!(path.push(&[b'x'; 4090]).is_some());
    assert_eq!((path.as_bytes().len(), path.append(b"x")), (4095, None));
    assert_eq!(path.c_str().to_bytes().len(), 4095);
    assert_eq!(Path::new(&[b'y'; 5000]).as_bytes().len(), 4095);
}

#[test]
fn a_number_fits_its_place_in_a_line() {
    let number = |value, prefix: &[u8]| {
        String::from_utf8(log::number(value, &mut [0; 12], prefix).to_vec()).expect("text")
    };
    assert_eq!([number(0, b""), number(8000, b""), number(i64::MAX, b"")], ["0", "8000", "4294967295"]);
    assert_eq!([number(7, b"errno "), number(1_234_567, b"errno ")], ["errno 7", "errno 99999"]);
    let reason = |errno| String::from_utf8(log::reason(errno, &mut [0; 12]).to_vec()).expect("text");
    assert_eq!([reason(13), reason(999)], ["permission denied", "errno 999"]);
}

#[test]
fn a_list_is_searched_by_the_escaped_path() {
    let list = List(b"etc/a 1\nlib/a\\x20b 2\nlib/b 3\nlib/b/c 4\n");
    for (path, expected) in [
        (&b"etc/a"[..], Some(&b"1"[..])),
        (b"lib/a b", Some(b"2")),
        (b"lib/b", Some(b"3")),
        (b"lib/b/c", Some(b"4")),
        (b"lib", None),
        (b"etc", None),
        (b"lib/b/c/d", None),
        (b"zzz", None),
        (b"", None),
    ] {
        assert_eq!(list.word(path), expected, "{}", String::from_utf8_lossy(path));
    }
    assert_eq!([List(b"*\n").word(b"any"), List(b"").word(b"any")], [Some(&b"-"[..]), None]);
}

/// Returns whether a service is ready, and how often it was looked for a reason to stop waiting.
fn is_ready(ready: Ready, port: u16) -> bool {
    let program =
        Program { name: b"a", command: &[], env: &[], ready, timeout_ms: 0, stop_signal: 15, stop_ms: None };
    ready::is_ready(&program, port, &mut || true)
}

#[test]
fn a_service_is_ready_when_it_accepts_connections_or_its_file_is_there() {
    let folder = tempfile::tempdir().expect("a directory");
    let at = |name: &str| leaked(folder.path().join(name).to_str().expect("text")).as_ptr().cast();
    assert!(is_ready(Ready::Started, 0));
    assert!(!is_ready(Ready::File(at("file")), 0));
    fs::write(folder.path().join("file"), "").expect("writes");
    assert!(is_ready(Ready::File(at("file")), 0));
    assert!(!is_ready(Ready::Socket(at("socket")), 0));
    let listener = UnixListener::bind(folder.path().join("socket")).expect("binds");
    assert!(is_ready(Ready::Socket(at("socket")), 0));
    drop(listener);
    assert!(!is_ready(Ready::Socket(at("socket")), 0), "nothing listens any more");
    assert!(!is_ready(Ready::Socket(leaked(&"x".repeat(108)).as_ptr().cast()), 0), "too long for the kernel");
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("has one").port();
    assert!(is_ready(Ready::Port(port), 0));
    drop(listener);
    assert!(!is_ready(Ready::Port(port), 0));
}

#[test]
fn a_web_server_is_ready_when_its_status_is_below_500() {
    for (response, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.0 404 Not Found\r\n\r\n", true),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
        ("SSH-2.0-OpenSSH_9.2\r\n", false),
        ("HTTP/1.1 2", false),
        ("", false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("has one").port();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("accepts");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).expect("a request");
                request.push(byte[0]);
            }
            client.write_all(response.as_bytes()).expect("writes");
            (String::from_utf8(request).expect("text"), port)
        });
        assert_eq!(is_ready(Ready::Http(c"/tea".as_ptr().cast()), port), expected, "{response:?}");
        let (request, port) = server.join().expect("ends");
        assert!(
            request.starts_with(&format!("GET /tea HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n")),
            "{request}"
        );
    }
}

/// Merges one file of a grain, whose path in the skeleton is `etc/tea`.
fn merge(place: &HostPath, before: &'static [u8], now: Option<&[u8]>) -> Result<(), i32> {
    let mut from = Path::new(SKELETON);
    from.push(b"etc/tea").expect("fits");
    let to = Path::new(place.as_os_str().as_bytes());
    let filler = Filler { copied: List(b""), before: Some(List(before)), modes: List(b""), from, to };
    upgrade::file(&filler, List(before), now)
}

#[test]
fn an_upgrade_keeps_what_the_grain_changed_and_links_what_became_code() {
    const TEA: &[u8] = b"ef1d4a0c2cd0b1c2f0c3ea4a6f0f9b7e";
    let folder = tempfile::tempdir().expect("a directory");
    let place = folder.path().join("tea");
    let mut digest = sha256::Sha256::new();
    digest.add(b"given");
    let given = digest.finish();
    let list =
        |word: &[u8]| -> &'static [u8] { Box::leak([b"etc/tea ", word, b"\n"].concat().into_boxed_slice()) };
    let has = |expected: &str| assert_eq!(fs::read_to_string(&place).expect("is there"), expected);
    // Kept: what the grain changed, what a maintainer script made, what is the same in both packages.
    for (content, before, now) in [
        ("changed", list(&given), Some(&given[..])),
        ("changed", list(&given), None),
        ("changed", list(b"-"), Some(&b"-"[..])),
        ("given", list(&given), Some(&given[..])),
        ("changed", b"", Some(TEA)),
    ] {
        fs::write(&place, content).expect("writes");
        merge(&place, before, now).unwrap_or_else(|errno| panic!("errno {errno}"));
        has(content);
    }
    // Unchanged, and not copied any more: a link into the skeleton.
    fs::write(&place, "given").expect("writes");
    merge(&place, list(&given), None).unwrap_or_else(|errno| panic!("errno {errno}"));
    assert_eq!(fs::read_link(&place).expect("a link"), HostPath::new("/tinyroot/var/etc/tea"));
    // Removed stays removed.
    fs::remove_file(&place).expect("removes");
    merge(&place, list(&given), Some(TEA)).unwrap_or_else(|errno| panic!("errno {errno}"));
    assert!(!place.exists());
}

#[test]
fn only_links_below_the_skeleton_are_its_own() {
    let folder = tempfile::tempdir().expect("a directory");
    for (target, expected) in [
        ("/tinyroot/var/etc/tea", true),
        ("/tinyroot/var", false),
        ("/tinyroot/various/tea", false),
        ("../tinyroot/var/tea", false),
    ] {
        let place = folder.path().join(target.replace('/', "_"));
        symlink(target, &place).expect("links");
        assert_eq!(
            upgrade::leads_into_skeleton(&Path::new(place.as_os_str().as_bytes())),
            expected,
            "{target}"
        );
    }
    assert!(!upgrade::leads_into_skeleton(&Path::new(folder.path().as_os_str().as_bytes())));
}
