mod streams;
mod user;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use super::*;
use crate::recipe::{Body, Request};

type Reply = dyn Fn(&str, &str) -> String + Send + Sync;

/// A server on the loopback that answers each request (its first line, all of it) by a function.
struct Server {
    port: u16,
    at: Authority,
    begun: Vec<String>,
    restarts: usize,
    /// What it prints before each time that it is asked what it has printed.
    says: Vec<Vec<String>>,
    seen: Arc<Mutex<Vec<String>>>,
}

fn serve(reply: Box<Reply>) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
    let port = listener.local_addr().expect("has one").port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepts");
            let request = read_request(&stream);
            let first = request.lines().next().unwrap_or_default().to_owned();
            let response = reply(&first, &request);
            record.lock().expect("no panic").push(request);
            let _ = stream.write_all(response.as_bytes());
        }
    });
    let at = Authority { host: "127.0.0.1".into(), port };
    Server { port, at, begun: Vec::new(), restarts: 0, says: Vec::new(), seen }
}

fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("reads");
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().expect("a number");
        }
        text += &line;
        if line == "\r\n" || line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("reads");
    text + &String::from_utf8_lossy(&body)
}

impl Target for Server {
    fn connect(&mut self) -> io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
    }

    fn restart(&mut self) -> Result<(), BoxError> {
        self.restarts += 1;
        Ok(())
    }

    fn run(&mut self, command: &[String]) -> Result<CommandOutput, BoxError> {
        Ok(CommandOutput { status: i32::from(command[0] == "false"), output: command.join("+").into_bytes() })
    }

    fn said(&mut self) -> Vec<String> {
        if self.says.is_empty() { Vec::new() } else { self.says.remove(0) }
    }

    fn begin(&mut self, step: usize, what: &str) {
        self.begun.push(format!("{step} {what}"));
    }
}

/// Takes steps under the server's own address.
fn exercise(steps: &[Step], server: &mut Server) -> Result<Transcript, ExerciseError> {
    let authority = server.at.clone();
    run(&Visit { steps, web: None, authority: &authority }, server)
}

fn get(path: &str) -> Request {
    Request {
        method: "GET".into(),
        path: path.to_owned(),
        status: Vec::new(),
        contains: Vec::new(),
        follow: true,
        load: None,
        is_explored: false,
        header: BTreeMap::new(),
        body: Body::Empty,
        capture: BTreeMap::new(),
        fold: Vec::new(),
    }
}

fn page(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_login_keeps_cookies_and_captures_over_a_restart() {
    let mut server = serve(Box::new(|first, request| match first {
        "GET /login HTTP/1.1" => {
            page("200 OK", "Set-Cookie: id=7; path=/\r\n", "<input name=\"tok\"\nvalue=\"a&amp;b c\">")
        }
        "POST /login HTTP/1.1" if request.ends_with("tok=a%26b+c&user=alice") => {
            page("302 Found", "Set-Cookie: in=yes; path=/\r\nLocation: /home\r\n", "")
        }
        "GET /home HTTP/1.1" => page("200 OK", "", "Hello"),
        "GET /home?t=a&b c HTTP/1.1" if request.contains("Cookie: id=7; in=yes\r\n") => {
            page("200 OK", "", "Hello alice")
        }
        _ => page("403 Forbidden", "", "no"),
    }));
    let mut login = get("/login");
    login.capture.insert("tok".into(), "name=\"tok\".value=\"([^\"]*)\"".into());
    let mut post = get("/login");
    post.method = "POST".into();
    post.body = Body::Form(vec![("tok".into(), "{tok}".into()), ("user".into(), "alice".into())]);
    post.status = vec![302, 303];
    post.contains = vec!["Location: /home".into()];
    let mut home = get("/home?t={tok}");
    home.status = vec![200];
    home.contains = vec!["Hello".into()];
    let run_step = Step::Run {
        command: vec!["echo".into(), "{tok}".into()],
        contains: vec!["echo+a&b".into()],
        capture: BTreeMap::from([("said".into(), r"echo\+(\w&\w)".into())]),
    };
    let steps = [login, post].map(Step::Request);
    let steps: Vec<Step> = steps
        .into_iter()
        .chain([Step::Restart, Step::Request(home), run_step, Step::Sleep { millis: 1 }])
        .collect();
    let transcript = exercise(&steps, &mut server).expect("all as expected");
    assert_eq!(server.restarts, 1);
    assert_eq!(
        server.begun,
        [
            "1 GET /login",
            "2 POST /login",
            "3 restart",
            "4 GET /home?t={tok}",
            "5 run echo {tok}",
            "6 sleep 1 ms"
        ]
    );
    let captured = [("tok", "a&b c"), ("said", "a&b")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(transcript.captured, captured);
    assert!(matches!(&transcript.steps[3].outcome, Outcome::Responded(a) if a.body == b"Hello alice"));
}

#[test]
fn bodies_and_headers_are_sent_as_the_recipe_has_them() {
    let mut server = serve(Box::new(|_, _| page("200 OK", "", "id=5")));
    let mut first = get("/");
    first.capture.insert("id".into(), "id=(.)".into());
    let mut second = get("/json");
    second.method = "PUT".into();
    second.header = BTreeMap::from([("X-Id".into(), "{id}".into()), ("user-agent".into(), "tea".into())]);
    second.body =
        Body::Bytes { content_type: "application/json".into(), bytes: b"{\"id\":{id},\"x\":{x}}".to_vec() };
    let mut third = get("/form");
    third.method = "POST".into();
    third.body = Body::FormText("a={base}\n&b={id}\n".into());
    exercise(&[first, second, third].map(Step::Request), &mut server).expect("all as expected");
    let seen = server.seen.lock().expect("no panic");
    assert!(seen[1].contains("\r\nX-Id: 5\r\n"), "{}", seen[1]);
    assert!(seen[1].contains("\r\nuser-agent: tea\r\n") && !seen[1].contains("User-Agent"), "{}", seen[1]);
    assert!(seen[1].ends_with("{\"id\":5,\"x\":{x}}"), "{}", seen[1]);
    let form = format!("a=http%3A%2F%2F127.0.0.1%3A{}&b=5", server.port);
    assert!(seen[2].ends_with(&form), "{}", seen[2]);
}

#[test]
fn an_upload_sends_captured_values_beside_bytes_that_are_no_text() {
    let mut server = serve(Box::new(|first, _| match first {
        "GET /form HTTP/1.1" => page("200 OK", "", "token=a1b2"),
        _ => page("200 OK", "", "taken"),
    }));
    let upload = |content_type: &str, bytes: &[u8]| Request {
        method: "POST".into(),
        body: Body::Bytes { content_type: content_type.into(), bytes: bytes.to_vec() },
        ..get("/media")
    };
    let body = b"--X\r\n\r\n{token}\r\n--X\r\n\r\n\x89PNG {other}\r\n--X--";
    let multipart = upload("multipart/form-data; boundary=X", body);
    let plain = upload("image/png", b"\x89PNG {token}");
    let form = Request { capture: BTreeMap::from([("token".into(), "token=(.*)".into())]), ..get("/form") };
    let steps = [form, multipart.clone(), plain].map(Step::Request);
    exercise(&steps, &mut server).expect("is as expected");
    let seen = server.seen.lock().expect("no panic").clone();
    assert!(seen[1].ends_with("--X\r\n\r\na1b2\r\n--X\r\n\r\n\u{fffd}PNG {other}\r\n--X--"), "{}", seen[1]);
    assert!(seen[2].ends_with("\u{fffd}PNG {token}"), "{}", seen[2]);
    // Before it is captured, the step is told.
    let late = Request { capture: BTreeMap::from([("token".into(), "x".into())]), ..get("/form") };
    let error = exercise(&[multipart, late].map(Step::Request), &mut server).expect_err("lacks it");
    assert!(error.to_string().contains("needs `token`, which no step has captured"), "{error}");
}

#[test]
fn each_step_that_is_not_as_expected_is_told() {
    let mut server = serve(Box::new(|first, _| match first {
        "GET /moved HTTP/1.1" => page("302 Found", "Location: /install\r\n", ""),
        _ => page("500 Internal Server Error", "", "\n  Fatal\terror\n\nin line 5"),
    }));
    let mut moved = get("/moved");
    moved.status = vec![200];
    let mut broken = get("/broken");
    broken.contains = vec!["Hello".into()];
    broken.capture.insert("n".into(), "n=(.)".into());
    let steps = [moved, broken, get("/needs/{n}"), get("/never")].map(Step::Request);
    let error = exercise(&steps, &mut server).expect_err("is not as expected");
    assert_eq!(
        error.to_string(),
        "3 steps did not respond as expected\n  \
           step 1, GET /moved\n    \
             expected status 200, found 302\n    \
             it leads to /install\n  \
           step 2, GET /broken\n    \
             expected status below 500, found 500\n    \
             expected text \"Hello\", not found\n    \
             nothing to capture as `n` by n=(.)\n    \
             | Fatal\u{b7}error\n    \
             | in line 5\n  \
           step 3, GET /needs/{n}\n    \
             needs `n`, which no step has captured"
    );
}

#[test]
fn a_program_that_fails_is_told() {
    let mut server = serve(Box::new(|_, _| String::new()));
    let steps =
        [Step::Run { command: vec!["false".into()], contains: vec!["x".into()], capture: BTreeMap::new() }];
    let error = exercise(&steps, &mut server).expect_err("fails");
    assert_eq!(
        error.to_string(),
        "a step did not respond as expected\n  step 1, run false\n    \
         expected exit status 0, found 1\n    expected text \"x\", not found\n    | false"
    );
}

#[test]
fn an_app_that_hangs_up_ends_the_exercise() {
    let mut server = serve(Box::new(|_, _| String::new()));
    let error = exercise(&[Step::Request(get("/"))], &mut server).expect_err("fails");
    assert_eq!(error.to_string(), "step 1, GET /: cannot get a complete response");
    assert_eq!(error.source().expect("has one").to_string(), "the connection was closed without a response");
}
