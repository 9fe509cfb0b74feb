//! The exercise as a user: where things lead, what a page loads, and what looks wrong.

use super::*;

fn html(body: &str) -> String {
    page("200 OK", "Content-Type: text/html; charset=utf-8\r\n", body)
}

fn of_kind(kind: &str, body: &str) -> String {
    page("200 OK", &format!("Content-Type: {kind}\r\n"), body)
}

/// A server that has some paths, each with its response.
fn site(responses: Vec<(&'static str, String)>) -> Server {
    serve(Box::new(move |first, _| {
        let path = first.split(' ').nth(1).unwrap_or_default();
        let found = responses.iter().find(|(known, _)| *known == path);
        found.map_or_else(|| page("404 Not Found", "", ""), |(_, response)| response.clone())
    }))
}

fn web(links_to: &[&str]) -> Web {
    let links_to = links_to.iter().map(|host| (*host).to_owned()).collect();
    Web { port: 8000, host: None, links_to, load: true }
}

/// Takes steps as a user of `serve` would; returns the transcript, or the words of the failure.
fn visit(steps: &[Request], web: &Web, server: &mut Server) -> Result<Transcript, String> {
    let authority = Authority { host: "g-0a.localhost".into(), port: 6080 };
    let steps: Vec<Step> = steps.iter().cloned().map(Step::Request).collect();
    run(&Visit { steps: &steps, web: Some(web), authority: &authority }, server).map_err(|error| {
        let text = error.to_string();
        text.lines()
            .skip(2)
            .filter(|line| !line.starts_with("    |"))
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

fn expecting(path: &str, contains: &str) -> Request {
    Request { contains: vec![contains.to_owned()], ..get(path) }
}

fn problems(response: String, links_to: &[&str]) -> String {
    let mut server = site(vec![("/", response)]);
    visit(&[Request { load: Some(false), ..get("/") }], &web(links_to), &mut server).err().unwrap_or_default()
}

fn warnings(response: String) -> Vec<String> {
    let mut server = site(vec![("/", response)]);
    let request = Request { load: Some(false), ..expecting("/", "") };
    let transcript = visit(&[request], &web(&[]), &mut server).expect("as expected");
    transcript.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_redirect_that_loses_the_port_fails_its_step() {
    for (headers, expected) in [
        (
            "Location: http://g-0a.localhost/home\r\n",
            "header Location: http://g-0a.localhost/home leads to another authority than g-0a.localhost:6080",
        ),
        (
            "Location: //127.0.0.1:6080/\r\n",
            "header Location: //127.0.0.1:6080/ leads to another authority than g-0a.localhost:6080",
        ),
        (
            "location: https://g-0a.localhost:6080/\r\n",
            "header location: https://g-0a.localhost:6080/ leads to another authority than g-0a.localhost:6080",
        ),
        (
            "Refresh: 0; url=http://localhost:9000/\r\n",
            "header Refresh: http://localhost:9000/ leads to another authority than g-0a.localhost:6080",
        ),
        (
            "Link: <http://cdn.example/x.css>; rel=stylesheet\r\n",
            "header Link: http://cdn.example/x.css leads to another authority than g-0a.localhost:6080",
        ),
        (
            "Set-Cookie: a=b; Domain=wiki.example\r\n",
            "header Set-Cookie: no browser takes a cookie of wiki.example from g-0a.localhost",
        ),
    ] {
        assert_eq!(problems(page("302 Found", headers, ""), &[]), expected);
    }
    assert_eq!(
        problems(page("302 Found", "Location: https://login.example.org/\r\n", ""), &["*.example.org"]),
        ""
    );
}

#[test]
fn what_a_page_leads_to_stays_with_the_authority_that_was_asked() {
    let elsewhere = |place: &str, address: &str| {
        format!("{place}: {address} leads to another authority than g-0a.localhost:6080")
    };
    for (body, expected) in [
        (
            "\n<script src=//cdn.example/x.js></script>",
            elsewhere("line 2, <script src>", "//cdn.example/x.js"),
        ),
        (
            "<form action=http://g-0a.localhost/save>",
            elsewhere("line 1, <form action>", "http://g-0a.localhost/save"),
        ),
        ("<base href=http://127.0.0.1/>", elsewhere("line 1, <base href>", "http://127.0.0.1/")),
        ("<img srcset='/a 1x, //i.example/b 2x'>", elsewhere("line 1, <img srcset>", "//i.example/b")),
        ("<p style='background:url(//i.example/b)'>", elsewhere("line 1, <p style> url()", "//i.example/b")),
        (
            "<meta http-equiv=refresh content='0;url=http://x.example'>",
            elsewhere("line 1, <meta refresh>", "http://x.example"),
        ),
        ("<link rel=preconnect href=//fonts.example>", elsewhere("line 1, <link href>", "//fonts.example")),
        (
            "<a href=http://g-0a.localhost/x>",
            elsewhere("line 1, <a href>", "http://g-0a.localhost/x")
                + " (if that is meant: [web] links_to = [\"g-0a.localhost\"])",
        ),
        (
            "<div data-url='http://g-0a.localhost/api'>",
            "line 1: http://g-0a.localhost is another authority than g-0a.localhost:6080".into(),
        ),
        (
            "<script>\nvar u = \"https:\\/\\/g-0a.localhost\\/x\"</script>",
            "line 2: https:\\/\\/g-0a.localhost is another authority than g-0a.localhost:6080".into(),
        ),
        ("<a href='/login?to=http%3A%2F%2Fg-0a.localhost%2F'>", String::new()),
        (
            "<a href=/x><a href='?a'><a href=http://G-0a.localhost:6080/><a href=mailto:a@b.example><img src=data:x,y>",
            String::new(),
        ),
        (
            "<link rel=canonical href=https://x.example><html xmlns=http://www.w3.org/1999/xhtml>",
            String::new(),
        ),
        ("<!-- <script src=//cdn.example/x.js> --><input value=https://x.example>", String::new()),
    ] {
        assert_eq!(problems(html(body), &[]), expected, "{body}");
    }
}

#[test]
fn data_and_scripts_name_the_own_host_with_its_port() {
    let named = |kind: &str, body: &str| problems(of_kind(kind, body), &[]);
    let wrong = "line 1: http://g-0a.localhost is another authority than g-0a.localhost:6080";
    assert_eq!(named("application/json", r#"{"url": "http://g-0a.localhost/x"}"#), wrong);
    assert_eq!(named("text/javascript", "fetch('http://g-0a.localhost/x')"), wrong);
    assert_eq!(named("application/json", r#"{"url": "http://x.example/"}"#), "");
    assert_eq!(named("text/javascript", "if (u == 'http://localhost') fetch('http://127.0.0.1/')"), "");
    assert_eq!(
        named("application/json", r#"{"url": "http://127.0.0.1:8000/x"}"#),
        "line 1: http://127.0.0.1:8000 is another authority than g-0a.localhost:6080"
    );
}

#[test]
fn links_lead_to_listed_hosts_alone_and_are_told_once() {
    let body =
        "<a href=https://www.example.org/1>\n<a href=https://www.example.org/2><a href=http://b.example:81/>";
    let found = problems(html(body), &[]);
    assert_eq!(
        found,
        "line 1, <a href>: https://www.example.org/1 leads to another authority than g-0a.localhost:6080 \
         (if that is meant: [web] links_to = [\"www.example.org\"])\n\
         line 2, <a href>: http://b.example:81/ leads to another authority than g-0a.localhost:6080 \
         (if that is meant: [web] links_to = [\"b.example\"])"
    );
    assert_eq!(problems(html(body), &["www.example.org", "b.example:81"]), "");
    assert_eq!(problems(html(body), &["*.example.org", "b.example"]), "");
    assert_eq!(problems(html(body), &["*"]), "");
    assert!(problems(html(body), &["www.example.org", "b.example:82"]).contains("b.example"));
    // What is loaded from there is told all the same.
    let mut server = site(vec![("/", html("<script src=//cdn.example/x.js></script>"))]);
    let transcript = visit(&[expecting("/", "")], &web(&["cdn.example"]), &mut server).expect("as expected");
    assert!(transcript.warnings[0].text.contains("//cdn.example/x.js"), "{:?}", transcript.warnings);
}

#[test]
fn an_address_with_a_time_is_loaded_with_each_page() {
    let count = std::sync::atomic::AtomicU64::new(1_795_950_800);
    let mut server = serve(Box::new(move |_, _| {
        // A page that is asked for within the same second, and one that is not, load the same.
        let second = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) / 4;
        let page = format!(
            "<img src='/task.php?id=1&amp;17959508{:02}'><img src=/i.png?v=12345678901>",
            second % 100
        );
        html(&page)
    }));
    let steps = [expecting("/a", "task"), expecting("/b", "task")];
    let transcript = visit(&steps, &web(&[]), &mut server).expect("as expected");
    let tasks = transcript.beside.iter().filter(|record| record.what.contains("task.php"));
    assert_eq!(tasks.map(|record| record.step).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(transcript.beside.iter().filter(|record| record.what.contains("i.png")).count(), 1);
}

#[test]
fn a_page_is_loaded_as_a_browser_loads_it() {
    let mut server = site(vec![
        (
            "/app/",
            html(
                "<base href=/s/><link rel=stylesheet href='a.css?v=1'><script src=x.js></script><img src=i.png>\
            <link rel=icon href=/i.ico><noscript><img src=idle.png></noscript><iframe src=/frame></iframe><script type=module src=/m/m.js></script>",
            ),
        ),
        ("/s/a.css?v=1", of_kind("text/css", "@import 'b.css'; @font-face { src: url(f/f.woff2) }")),
        ("/s/b.css", of_kind("text/css", "a { background: url('/bg.png') }")),
        ("/s/f/f.woff2", of_kind("font/woff2", "font")),
        ("/s/x.js", of_kind("text/javascript", "1")),
        ("/s/i.png", of_kind("image/png", "png")),
        ("/i.ico", of_kind("image/x-icon", "ico")),
        ("/bg.png", of_kind("image/png", "png")),
        ("/frame", html("<script src=f.js></script>")),
        ("/m/m.js", of_kind("text/javascript", "import {a} from './n.js'; import('./no.js')")),
        ("/m/n.js", of_kind("text/javascript", "export const a = 1")),
        ("/f.js", of_kind("text/javascript", "2")),
        ("/again", html("<script src=/s/x.js></script>")),
    ]);
    let steps = [expecting("/app/", "base"), expecting("/again", "script")];
    let transcript = visit(&steps, &web(&[]), &mut server).expect("as expected");
    let asked: Vec<&str> = transcript.beside.iter().map(|record| record.what.as_str()).collect();
    assert_eq!(
        asked,
        [
            "GET /s/a.css?v=1 (loaded by step 1)",
            "GET /s/x.js (loaded by step 1)",
            "GET /s/i.png (loaded by step 1)",
            "GET /i.ico (loaded by step 1)",
            "GET /frame (loaded by step 1)",
            "GET /m/m.js (loaded by step 1)",
            "GET /s/b.css (loaded by step 1)",
            "GET /s/f/f.woff2 (loaded by step 1)",
            "GET /f.js (loaded by step 1)",
            "GET /m/n.js (loaded by step 1)",
            "GET /bg.png (loaded by step 1)",
            "GET /favicon.ico (loaded by step 2)",
        ]
    );
    assert_eq!(transcript.warnings, []);
    let seen = server.seen.lock().expect("no panic");
    assert!(seen[1].contains("\r\nReferer: http://g-0a.localhost:6080/app/\r\n"), "{}", seen[1]);
    drop(seen);
    for (load, step) in [(false, None), (true, Some(false))] {
        let step = Request { load: step, ..expecting("/app/", "base") };
        let transcript = visit(&[step], &Web { load, ..web(&[]) }, &mut server).expect("as expected");
        assert_eq!(transcript.beside, []);
    }
}

#[test]
fn what_does_not_come_as_a_browser_needs_it_is_told() {
    let mut server = site(vec![
        ("/", html("<script src=/x.js></script>\n<link rel=stylesheet href=/x.css>")),
        ("/x.js", html("<p>all apps")),
        ("/x.css", html("<p>all apps")),
    ]);
    assert_eq!(
        visit(&[expecting("/", "script")], &web(&[]), &mut server).expect_err("is no script"),
        "line 1, <script src>: /x.js is a page (text/html), and should be a script\n\
         line 2, <link href>: /x.css is a page (text/html), and should be a style sheet"
    );
    let mut server = site(vec![
        ("/", html("<link rel=stylesheet href=/a.css>")),
        (
            "/a.css",
            of_kind("text/css", "\na { background: url(none.png) } b { background: url(//i.example/b) }"),
        ),
    ]);
    assert_eq!(
        visit(&[expecting("/", "link")], &web(&[]), &mut server).expect_err("leads elsewhere"),
        "/a.css, line 2, url(): //i.example/b leads to another authority than g-0a.localhost:6080"
    );
    let transcript =
        visit(&[expecting("/", "link")], &web(&["i.example"]), &mut server).expect("as expected");
    assert_eq!(
        transcript.warnings[0].to_string(),
        "step 1, GET /: /a.css, line 2, url(): /none.png has status 404 (and 1 more)"
    );
    let mut server = site(vec![("/", html("<img src=/none.png>"))]);
    let transcript = visit(&[expecting("/", "img")], &web(&[]), &mut server).expect("as expected");
    assert_eq!(
        transcript.warnings[0].to_string(),
        "step 1, GET /: line 1, <img src>: /none.png has status 404"
    );
}

#[test]
fn redirects_are_followed_to_their_end() {
    let to = |path: &str| page("302 Found", &format!("Set-Cookie: in=1\r\nLocation: {path}\r\n"), "");
    let responses = vec![
        ("/login", to("/a")),
        ("/a", to("http://g-0a.localhost:6080/home#top")),
        ("/home", html("<p>Hello, your token is t=77")),
        ("/gone", to("/nowhere")),
        ("/round", to("/round")),
        ("/wrong", to("http://g-0a.localhost/home")),
    ];
    let mut server = site(responses);
    let mut login = expecting("/login", "Hello");
    login.method = "POST".into();
    login.status = vec![302];
    login.body = Body::Form(vec![("u".into(), "alice".into())]);
    login.capture.insert("t".into(), "token is t=(.*)".into());
    let transcript = visit(&[login.clone()], &web(&[]), &mut server).expect("as expected");
    assert_eq!(transcript.captured, [("t".to_owned(), "77".to_owned())]);
    let asked: Vec<&str> = transcript.beside.iter().map(|record| record.what.as_str()).collect();
    assert_eq!(
        asked,
        [
            "GET /a (redirected from step 1)",
            "GET /home (redirected from step 1)",
            "GET /favicon.ico (loaded by step 1)"
        ]
    );
    let seen = server.seen.lock().expect("no panic").clone();
    assert!(seen[0].contains("\r\nOrigin: http://g-0a.localhost:6080\r\n") && seen[0].ends_with("u=alice"));
    assert!(seen[1].starts_with("GET /a ") && seen[1].contains("Cookie: in=1\r\n"), "{}", seen[1]);
    assert!(!seen[1].contains("Content-Type") && !seen[1].contains("Origin"), "{}", seen[1]);

    let fails =
        |path: &str, server: &mut Server| visit(&[get(path)], &web(&[]), server).err().unwrap_or_default();
    assert_eq!(fails("/gone", &mut server), "it leads to /nowhere, which has status 404");
    assert_eq!(fails("/round", &mut server), "more than 20 redirects, the last one to /round");
    assert!(fails("/wrong", &mut server).starts_with("header Location: http://g-0a.localhost/home leads to"));
    let unfollowed = Request { follow: false, ..get("/gone") };
    visit(&[unfollowed], &web(&[]), &mut server).expect("as expected");
}

#[test]
fn an_app_that_knows_one_host_is_given_it_as_by_the_front() {
    let mut server = serve(Box::new(|first, request| match first {
        _ if !request.contains("\r\nHost: localhost:8000\r\n") => page("404 Not Found", "", "which host?"),
        "POST /login HTTP/1.1" if request.contains("\r\nOrigin: http://localhost:8000\r\n") => {
            let headers = "Set-Cookie: in=1; Domain=localhost\r\nLocation: http://localhost:8000/home\r\n";
            page("302 Found", headers, "")
        }
        "GET /home HTTP/1.1" if request.contains("Cookie: in=1\r\n") => html("Hello"),
        _ => page("403 Forbidden", "", "no"),
    }));
    let web = Web { host: Some("localhost".into()), ..web(&[]) };
    let login = Request { method: "POST".into(), load: Some(false), ..expecting("/login", "Hello") };
    visit(std::slice::from_ref(&login), &web, &mut server).expect("as expected");
    // Without it the app refuses.
    let refused = visit(&[login], &Web { host: None, ..web }, &mut server);
    assert!(refused.is_err_and(|text| text.contains("\"Hello\", not found")));
}

#[test]
fn errors_in_disguise_are_warned_of() {
    assert_eq!(warnings(html("")), ["step 1, GET /: an empty page"]);
    assert_eq!(
        warnings(html("<h1>Internal Error</h1>")),
        ["step 1, GET /: the page is called an error, line 1: Internal Error"]
    );
    assert_eq!(
        warnings(of_kind("application/json", r#"{"error":"Internal Server Error"}"#)),
        ["step 1, GET /: the response says that something failed, line 1: Internal Server Error"]
    );
    assert_eq!(warnings(html("<p>Hello")), [""; 0]);
}

#[test]
fn a_page_of_which_nothing_is_expected_is_warned_of() {
    let mut server = site(vec![("/", html("<p>Hello")), ("/x.txt", of_kind("text/plain", "Hello"))]);
    let steps = [get("/"), get("/x.txt"), get("/none")];
    let transcript = visit(&steps, &web(&[]), &mut server).expect("as expected");
    let told: Vec<String> = transcript.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["step 1, GET /: nothing is expected of this page (`contains`)"]);
}

#[test]
fn lines_of_the_log_that_say_error_are_warned_of() {
    let mut server = site(vec![("/", html("<p>Hello")), ("/b", html("<p>Hello"))]);
    server.says = vec![
        vec!["[error] before".to_owned()],
        vec!["GET /".to_owned(), "2026-11-29 [1] ERROR:  no such table".to_owned(), "ERROR: more".to_owned()],
        vec!["level=info".to_owned()],
        vec!["[error] /none is not there".to_owned()],
    ];
    let steps = [expecting("/", "Hello"), expecting("/b", "Hello"), get("/none")];
    let transcript = visit(&steps, &web(&[]), &mut server).expect("as expected");
    let told: Vec<String> = transcript.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["step 1, GET /: the log says: 2026-11-29 [1] ERROR: no such table"]);
}

#[test]
fn steps_know_the_host_and_the_port() {
    let mut server = site(vec![("/", html("<p>Hello"))]);
    let mut step = expecting("/", "Hello");
    step.header.insert("X-At".into(), "{base} {host} {port}".into());
    visit(&[step], &web(&[]), &mut server).expect("as expected");
    let seen = server.seen.lock().expect("no panic");
    assert!(seen[0].contains("\r\nX-At: http://g-0a.localhost:6080 g-0a.localhost 6080\r\n"), "{}", seen[0]);
    assert!(seen[0].contains("\r\nHost: g-0a.localhost:6080\r\n"), "{}", seen[0]);
}
