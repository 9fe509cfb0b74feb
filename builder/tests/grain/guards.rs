//! Who and what reaches an app by the port of `run`.

use std::os::unix::process::CommandExt as _;

use super::*;

/// A user that is neither root nor the one who runs tests.
const NOBODY: u32 = 65534;

/// Sends a request's head, given as an argument, to a port, and prints the response.
const CLIENT: &str = r#"
socket(S, 2, 1, 0) and connect(S, pack("S n C4 x8", 2, $ARGV[0], 127, 0, 0, 1)) or die "connect: $!";
syswrite(S, $ARGV[1]); print while <S>;
"#;

/// Something of tinyroot that has printed its URL.
struct Started {
    child: Child,
    port: String,
    /// The target of the URL.
    target: String,
}

impl Started {
    fn new(mut command: Command) -> Self {
        let mut child = command.spawn().expect("starts");
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().expect("is piped")).read_line(&mut url).expect("reads");
        let (authority, target) = url.trim().trim_start_matches("http://").split_once('/').expect("a path");
        let port = authority.rsplit(':').next().expect("a port").to_owned();
        Started { child, port, target: format!("/{target}") }
    }

    /// Returns the status of a response, requested by a user.
    fn status(&self, user: Option<u32>, head: &str) -> String {
        let mut client = Command::new("/usr/bin/perl");
        client.args(["-e", CLIENT, &self.port, &format!("{}\r\n\r\n", head.replace('\n', "\r\n"))]);
        user.map(|user| client.uid(user).gid(user));
        let said = client.output().expect("runs").stdout;
        let line = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
        line.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Ends it and returns what it said.
    fn end(self) -> String {
        interrupt(&self.child);
        String::from_utf8_lossy(&self.child.wait_with_output().expect("ends").stderr).into_owned()
    }
}

#[test]
fn run_lets_pages_of_other_sites_reach_the_app_on_request_only() {
    let Some(fixture) = Fixture::new() else { return };
    let artifact = fixture.artifact(&fixture.recipe(SERVICES));
    let artifact = artifact.to_str().expect("text");
    for (options, refused) in [(&[][..], "403"), (&["--expose"][..], "200")] {
        let run = Started::new(fixture.tinyroot(&[&["run", artifact][..], options].concat()));
        for (head, expected) in [
            ("GET /tmp HTTP/1.1\nHost: 127.0.0.1", "200"),
            ("GET /tmp HTTP/1.1\nHost: localhost:8000", "200"),
            ("DELETE /tmp HTTP/1.1\nHost: localhost:8000", "200"),
            ("GET /tmp HTTP/1.1\nHost: evil.example", refused),
            ("GET /tmp HTTP/1.0", refused),
            ("POST /tmp HTTP/1.1\nHost: localhost\nOrigin: http://evil.example\nContent-Length: 0", refused),
            (
                "GET /tmp HTTP/1.1\nHost: localhost\nOrigin: http://evil\nConnection: Upgrade\nUpgrade: websocket",
                refused,
            ),
            (
                "GET /tmp HTTP/1.1\nHost: localhost\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors",
                refused,
            ),
        ] {
            assert_eq!(run.status(None, head), expected, "{options:?}: {head}");
        }
        let said = run.end();
        assert_eq!(said.contains("every user of this machine can use the app"), refused == "200", "{said}");
    }
}

#[test]
fn other_users_of_the_machine_reach_an_app_on_request_only() {
    let Some(fixture) = Fixture::new() else { return };
    if !rustix::process::getuid().is_root() {
        return tinyroot::testing::skip("only root can be another user");
    }
    let artifact = fixture.artifact(&fixture.recipe(SERVICES));
    let artifact = artifact.to_str().expect("text");
    for (arguments, own, others) in [
        (&["run", artifact][..], "200", "403"),
        (&["run", artifact, "--expose"], "200", "200"),
        // The URL holds a token, and another user may have seen it.
        (&["serve", artifact], "303", "403"),
    ] {
        let started = Started::new(fixture.tinyroot(arguments));
        let head = format!("GET {} HTTP/1.1\nHost: localhost", started.target);
        assert_eq!(started.status(None, &head), own, "{arguments:?}");
        assert_eq!(started.status(Some(NOBODY), &head), others, "{arguments:?}");
        started.end();
    }
}

#[test]
fn who_asked_root_for_an_app_by_sudo_reaches_it() {
    let Some(fixture) = Fixture::new() else { return };
    if !rustix::process::getuid().is_root() {
        return tinyroot::testing::skip("only root can be another user");
    }
    let artifact = fixture.artifact(&fixture.recipe(SERVICES));
    let mut command = fixture.tinyroot(&["run", artifact.to_str().expect("text")]);
    command.env("SUDO_UID", NOBODY.to_string());
    let run = Started::new(command);
    let head = "GET /tmp HTTP/1.1\nHost: localhost";
    assert_eq!(run.status(Some(NOBODY), head), "200");
    assert_eq!(run.status(Some(NOBODY - 1), head), "403");
    run.end();
}
