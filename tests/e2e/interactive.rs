//! `trace --interactive`: an app, used by something like a browser.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    support::{Home, assert_says, names, schemas, text},
    traced_app::{RECIPE, TracedApp},
};

/// Starts to trace; returns the URLs of the app and of the page.
fn browse(traced: &TracedApp) -> (Child, String, String) {
    let mut command = traced.command(&["trace", text(&traced.recipe), "--interactive", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("is piped")).read_line(&mut line).expect("reads");
    let urls: Value = serde_json::from_str(&line).expect("JSON");
    schemas::hold_to("trace", &urls);
    let url = |name: &str| urls[name].as_str().expect("a URL").to_owned();
    (child, url("url"), url("new_url"))
}

pub fn get(url: &str, path: &str) -> String {
    let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix('/')).expect("a URL");
    let mut stream = TcpStream::connect(address).expect("connects");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("asks");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
}

fn look(url: &str, since: u64) -> Value {
    serde_json::from_str(&get(url, &format!("/new.json?since={since}"))).expect("JSON")
}

#[test]
fn what_a_browser_newly_asks_for_shows_at_once_and_is_added() {
    let Some(traced) = TracedApp::new() else { return };
    for (name, signal) in [("green", Signal::INT), ("black", Signal::TERM)] {
        let before = traced.used();
        let path = format!("/usr/share/tea/{name}");
        assert!(before.contains("/usr/share/tea/cup opened ") && !before.contains(&path), "{before}");
        let (child, app, page) = browse(&traced);
        assert!(get(&page, "/").contains("<title>Tea &amp; milk: "));
        let next = look(&page, 0)["next"].as_u64().expect("a number");
        assert_eq!(get(&app, &format!("{path}?token=5f1c")), format!("{name} tea\n"));
        let told = look(&page, next);
        assert_eq!(told["requests"], 1);
        let expected = serde_json::json!({
            "number": next, "path": path, "kinds": ["opened"], "program": "/usr/bin/perl", "service": "web",
            "package": "tea", "step": format!("GET:{path}?token=…"), "new": true,
        });
        assert_eq!(told["found"], serde_json::json!([expected]));
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let said = traced.ended(child.wait_with_output().expect("ends"), 0);
        assert_says(&said, &["1 requests in ", "used.list: 1 added, 0 gone, 0 used otherwise"]);
        let after = traced.used();
        let line = format!("{path} opened /usr/bin/perl tea web GET:{path}?token=…\n");
        assert_eq!(after.replace(&line, ""), before);
        assert!(after.contains(&line), "{after}");
    }
}

#[test]
fn an_app_that_ends_by_itself_keeps_what_it_used() {
    let Some(traced) = TracedApp::new() else { return };
    let (child, app, _) = browse(&traced);
    get(&app, "/usr/share/tea/green");
    let mut stream =
        TcpStream::connect(app.trim_start_matches("http://").trim_end_matches('/')).expect("connects");
    write!(stream, "GET /die HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("asks");
    let said = traced.ended(child.wait_with_output().expect("ends"), 1);
    assert_says(&said, &["error: the app exited with status 42 by itself", "1 added"]);
    assert!(traced.used().contains("/usr/share/tea/green opened "));
}

#[test]
fn a_second_request_to_stop_ends_it_at_once() {
    let Some(traced) = TracedApp::new() else { return };
    let stubborn = RECIPE.replace("{ exit 0 }", "{ 1 }");
    fs::write(traced.recipe.join("recipe.toml"), stubborn).expect("writes");
    let before = traced.used();
    let (child, app, page) = browse(&traced);
    get(&app, "/usr/share/tea/green");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    while get(&page, "/new.json") != "the app is stopped\n" {}
    kill_process(Pid::from_child(&child), Signal::INT).expect("it still waits for the app");
    let said = traced.ended(child.wait_with_output().expect("ends"), 130);
    assert!(said.ends_with("stopped\n"), "{said}");
    assert_eq!(traced.used(), before);
    assert_eq!(names(&traced.recipe), ["recipe.lock", "recipe.toml", "used.list"]);
}

#[test]
fn a_report_cannot_be_clicked_through() {
    let home = Home::new();
    let recipe = super::write_recipe(&home, r#"["tea"]"#, "");
    let ended = home.run(&["trace", text(&recipe), "--interactive", "--merge=misses"]);
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.stderr, &["'--interactive' cannot be used with '--merge=REPORT'"]);
    for arguments in [&["--interactive"][..], &["--interactive", "--merge"]] {
        let said = home.fails(&[&["trace", text(&recipe)], arguments].concat());
        assert_says(&said, &["the recipe has no [web] port"]);
    }
}

#[test]
fn what_a_pruned_app_misses_is_told_as_a_person_uses_it() {
    let Some(traced) = TracedApp::new() else { return };
    let without = format!("{RECIPE}[prune]\ndrop = [\"/usr/share/tea/green\"]\n");
    let telling = without.replace("listen(S, 9);", "listen(S, 9); print STDERR \"pot: up\\n\";");
    fs::write(traced.recipe.join("recipe.toml"), telling).expect("writes");
    let report = traced.home.path("misses");
    let mut command = traced.command(&["check", text(&traced.recipe), "--watch", "--misses", text(&report)]);
    // Something like a browser: it is opened at the app's URL.
    let (browser, opened) = (traced.home.path("browser"), traced.home.path("opened"));
    let script = format!("#!/bin/sh\necho \"$1\" > {0}.new\nmv {0}.new {0}\n", opened.display());
    fs::write(&browser, script).expect("writes");
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).expect("sets the mode");
    command.env("BROWSER", &browser);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
    let mut line = || lines.next().expect("goes on").expect("reads");
    let app = line();
    while !opened.exists() {
        std::thread::yield_now();
    }
    assert_eq!(fs::read_to_string(&opened).expect("reads").trim(), app);
    assert_eq!(get(&app, "/usr/share/tea/black"), "black tea\n");
    assert_eq!(get(&app, "/usr/share/tea/green"), "");
    assert_eq!(line(), "pruned: /usr/share/tea/green of tea, asked for by /usr/bin/perl");
    assert_eq!(line(), "  to have it, add keep = [\"/usr/share/tea/green\"]");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let said = traced.ended(child.wait_with_output().expect("ends"), 0);
    assert_says(&said, &["| pot: up\n| tinyroot-init: ready\n", "1 pruned paths requested", "--merge="]);
    traced.done(&["trace", text(&traced.recipe), &format!("--merge={}", report.display())]);
    assert!(traced.used().contains("/usr/share/tea/green stat "), "{}", traced.used());
}
