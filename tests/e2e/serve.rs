//! `serve`: a page of grains, and something like a browser that opens them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    support::{Home, assert_says, schemas, text},
    traced_app::{RECIPE, TracedApp, with_code},
};

/// A server of the app, whose package lacks a file, and a browser's cookie for its page.
pub struct Page {
    pub traced: TracedApp,
    child: Child,
    host: String,
    cookie: String,
}

/// A grain, and a browser's cookie for it.
pub struct Grain {
    host: String,
    cookie: String,
}

pub struct Response {
    head: String,
    pub body: String,
}

impl Response {
    fn field(&self, name: &str) -> String {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{}", self.head)).to_owned()
    }

    fn status(&self) -> &str {
        self.head.split(' ').nth(1).expect("a status")
    }
}

/// Asks as somebody who knows nothing but what stands in `fields`.
fn ask(host: &str, line: &str, fields: &[(&str, &str)], body: &str) -> Response {
    let port = host.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    let mut request = format!("{line} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    if !fields.iter().any(|(name, _)| *name == "Host") {
        request += &format!("Host: {host}\r\n");
    }
    fields.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
    write!(stream, "{request}\r\n{body}").expect("asks");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Response { head: head.to_owned(), body: body.to_owned() }
}

/// The name and value of a cookie that is set, by attributes that keep it from scripts and other sites.
fn cookie(answer: &Response) -> String {
    let set = answer.field("Set-Cookie");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    set.split(';').next().expect("a pair").to_owned()
}

impl Page {
    fn new(more: &[&str]) -> Option<Self> {
        let traced = TracedApp::with(|tea| tea.file("var/lib/tea/score", 0o644, "0 cups\n"))?;
        let without = format!("{RECIPE}[prune]\ndrop = [\"/usr/share/tea/green\"]\n");
        fs::write(traced.recipe.join("recipe.toml"), without).expect("writes");
        Some(Page::of(traced, more))
    }

    /// Serves what a recipe builds.
    pub fn of(traced: TracedApp, more: &[&str]) -> Self {
        let artifact = traced.home.path("tea.spk");
        traced.done(&["build", text(&traced.recipe), "--output", text(&artifact)]);
        let mut command = traced.home.command();
        command.args(["serve", text(&artifact), "--json"]).args(more);
        if more.is_empty() {
            command.args(["--recipe", text(&traced.recipe)]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("is piped")).read_line(&mut line).expect("reads");
        let url: Value = serde_json::from_str(&line).expect("JSON");
        schemas::hold_to("serve", &url);
        let url = url["url"].as_str().expect("a URL");
        let (host, token) = url.trim_start_matches("http://").split_once('/').expect("a path");
        let entered = ask(host, &format!("GET /{token}"), &[], "");
        assert_eq!((entered.status(), entered.field("Location")), ("303", "/".to_owned()));
        Page { cookie: cookie(&entered), host: host.to_owned(), traced, child }
    }

    pub fn get(&self, path: &str) -> Response {
        ask(&self.host, &format!("GET {path}"), &[("Cookie", &self.cookie)], "")
    }

    fn post(&self, path: &str, form: &str) -> Response {
        let origin = format!("http://{}", self.host);
        let fields = [("Cookie", &*self.cookie), ("Origin", &origin)];
        ask(&self.host, &format!("POST {path}"), &fields, form)
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.get("/state.json").body).expect("JSON")
    }

    /// Makes a grain and opens it.
    pub fn make(&self, title: &str) -> Grain {
        let state = self.state();
        let id = state["apps"][0]["app_id"].as_str().expect("an id");
        self.enter(&self.post("/new", &format!("app={id}&title={title}")))
    }

    /// Goes where a response leads, into a grain.
    fn enter(&self, answer: &Response) -> Grain {
        assert_eq!(answer.status(), "303", "{}\n{}", answer.head, answer.body);
        let location = answer.field("Location");
        let (host, path) = location.trim_start_matches("http://").split_once('/').expect("a path");
        let entered = ask(host, &format!("GET /{path}"), &[], "");
        assert_eq!(entered.status(), "200", "{}", entered.body);
        let again = ask(host, &format!("GET /{path}"), &[], "");
        assert_eq!(again.status(), "403", "a ticket is good once");
        Grain { host: host.to_owned(), cookie: cookie(&entered) }
    }

    /// Ends it by Ctrl-C, and sees that nothing is left.
    pub fn close(self) -> Home {
        self.close_after(&[])
    }

    /// The same, where Ctrl-C comes again after pauses.
    fn close_after(self, pauses_ms: &[u64]) -> Home {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
        for pause_ms in pauses_ms {
            std::thread::sleep(Duration::from_millis(*pause_ms));
            kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
        }
        self.traced.ended(self.child.wait_with_output().expect("ends"), 0);
        self.traced.home
    }
}

impl Grain {
    pub fn get(&self, path: &str) -> String {
        let answer =
            ask(&self.host, &format!("GET {path}"), &[("Cookie", &format!("{}; a=b", self.cookie))], "");
        assert_eq!(answer.status(), "200", "{}", answer.body);
        answer.body
    }

    pub fn name(&self) -> &str {
        self.host.split('.').next().expect("a name")
    }
}

#[test]
fn each_grain_has_data_and_an_origin_of_its_own() {
    let Some(page) = Page::new(&[]) else { return };
    assert_says(
        &page.get("/").body,
        &["<h2>Tea &amp; milk</h2>", "New document", "There is no document yet"],
    );
    let [one, two] = ["Green+%3Cb%3E", ""].map(|title| page.make(title));
    assert_ne!(one.host, two.host);
    let list = page.get("/").body;
    assert_says(&list, &["Green &lt;b&gt;", "document 2", "<td>running<td>"]);
    for (grain, note) in [(&one, "first"), (&two, "second")] {
        let origin = format!("http://{}", grain.host);
        let fields = [("Cookie", &*grain.cookie), ("Origin", &origin)];
        assert_eq!(ask(&grain.host, "POST /var/note", &fields, note).body, note);
    }
    assert_eq!([one.get("/var/note"), two.get("/var/note")], ["first", "second"]);
    // The app sees the browser's other cookies only.
    assert_eq!(one.get("/cookies"), "cookies: a=b\n");
    let fields = [("Cookie", &*one.cookie), ("Connection", "Upgrade"), ("Upgrade", "echo")];
    let echoed = ask(&one.host, "GET /echo", &fields, "tea\n");
    assert_eq!(echoed.status(), "101");
    // Stopped, it keeps its data; a page that is left open does not wake it, a look at it does.
    assert_eq!(page.post(&format!("/grain/{}/stop", one.name()), "").status(), "303");
    assert_eq!(page.state()["apps"][0]["grains"][0]["state"], "stopped");
    let fields = [("Cookie", &*one.cookie), ("Sec-Fetch-Mode", "cors")];
    assert_eq!(ask(&one.host, "GET /var/note", &fields, "").status(), "503");
    assert_eq!(one.get("/var/note"), "first");
    // The same grains on the command line; one that runs is not removed.
    let home = &page.traced.home;
    let listed: Value = serde_json::from_str(&home.done(&["grains", "list", "--json"]).stdout).expect("JSON");
    assert_eq!(listed["grains"][0]["title"], "Green <b>");
    assert_eq!(listed["grains"][1]["running"], true);
    assert_says(&home.done(&["grains", "log", "document-1"]).stdout, &["tinyroot-init: ready"]);
    assert_says(&home.fails(&["grains", "remove", "--yes", "document-2"]), &["is running already"]);
    assert_says(&home.fails(&["grains", "remove", "document-2"]), &["add --yes"]);
    let removed = page.post(&format!("/grain/{}/remove", two.name()), "sure=yes");
    assert_eq!((removed.status(), removed.field("Location")), ("303", "/".to_owned()));
    let grains = page.state()["apps"][0]["grains"].clone();
    assert_eq!(grains.as_array().expect("a list").len(), 1, "{grains}");
    let home = page.close();
    home.done(&["grains", "remove", "--yes", "document-1"]);
    assert_eq!(home.done(&["grains", "list"]).stdout, "");
}

#[test]
fn further_requests_to_stop_kill_no_grain_that_is_stopping() {
    let slow = RECIPE
        .replace("{ exit 0 }", "{ select(undef, undef, undef, 0.7); print STDERR \"clean\\n\"; exit 0 }");
    let Some(traced) = TracedApp::of(&slow, |tea| vec![tea]) else { return };
    let page = Page::of(traced, &[]);
    page.make("slow");
    let home = page.close_after(&[0, 100, 200]);
    assert_says(&home.done(&["grains", "log", "document-1"]).stdout, &["clean\n"]);
}

#[test]
fn a_grain_that_holds_many_connections_leaves_the_page_and_other_grains_usable() {
    let holding = with_code(
        r#"if ($path eq "/hold") {
        if (fork() == 0) { syswrite(C, "HTTP/1.1 200 OK\r\n\r\n"); sleep 300; exit 0 }
        close C;
        next;
    }"#,
    );
    let Some(traced) = TracedApp::of(&holding, |tea| vec![tea]) else { return };
    let page = Page::of(traced, &[]);
    let [one, two] = ["many", "few"].map(|title| page.make(title));
    let port = one.host.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    // More than the server serves at a time.
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..140 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
        write!(stream, "GET /hold HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", one.host, one.cookie)
            .expect("asks");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("a response");
        match &status[9..] {
            b"200" => held.push(stream),
            b"503" => refused += 1,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    assert_eq!((held.len(), refused), (96, 44));
    assert_eq!(page.state()["apps"][0]["grains"][0]["state"], "running");
    assert_eq!(two.get("/usr/share/tea/cup"), "cup tea\n");
    let cookie = [("Cookie", &*one.cookie)];
    assert_says(&ask(&one.host, "GET /", &cookie, "").body, &["too many connections"]);
    drop(held);
    let begun = Instant::now();
    while ask(&one.host, "GET /usr/share/tea/cup", &cookie, "").status() == "503" {
        assert!(begun.elapsed() < Duration::from_secs(60), "no slot becomes free");
        std::thread::sleep(Duration::from_millis(50));
    }
    page.close();
}

#[test]
fn connections_without_a_request_give_way_to_the_page() {
    let Some(page) = Page::new(&[]) else { return };
    let port = page.host.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    // More than are served at a time; all of them are silent.
    let silent: Vec<TcpStream> =
        (0..140).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("connects")).collect();
    assert_eq!(page.get("/").status(), "200");
    drop(silent);
    page.close();
}

#[test]
fn who_has_no_right_is_refused() {
    let Some(page) = Page::new(&[]) else { return };
    let [one, two] = ["a", "b"].map(|title| page.make(title));
    let origin = format!("http://{}", page.host);
    let open = format!("POST /grain/{}/stop", one.name());
    let refused = |host: &str, line: &str, fields: &[(&str, &str)]| {
        let answer = ask(host, line, fields, "");
        assert_eq!(answer.status(), "403", "{line} {fields:?}\n{}\n{}", answer.head, answer.body);
    };
    refused(&page.host, "GET /", &[]);
    refused(&page.host, "GET /?token=00000000000000000000000000000000", &[]);
    refused(&page.host, "GET /state.json", &[("Cookie", "tinyroot_1=x")]);
    refused(&page.host, "GET /", &[("Host", "evil.example"), ("Cookie", &page.cookie)]);
    refused(&page.host, &open, &[("Cookie", &page.cookie)]);
    refused(&page.host, &open, &[("Cookie", &page.cookie), ("Origin", &format!("http://{}", one.host))]);
    refused(&page.host, &open, &[("Origin", &origin)]);
    refused(&one.host, "GET /var", &[]);
    refused(&one.host, "GET /var", &[("Cookie", &two.cookie)]);
    refused(&one.host, "GET /var", &[("Cookie", &page.cookie)]);
    refused(
        &one.host,
        "POST /var/x",
        &[("Cookie", &one.cookie), ("Origin", &format!("http://{}", two.host))],
    );
    let unknown = one.host.replace(one.name(), "g-00000000000000000000000000000000");
    assert_eq!(ask(&unknown, "GET /", &[("Cookie", &one.cookie)], "").status(), "404");
    for ambiguous in [("Transfer-Encoding", "chunked"), ("Content-Length", "5")] {
        let answer = ask(&one.host, "POST /var/x", &[("Cookie", &one.cookie), ambiguous], "");
        assert_eq!(answer.status(), "400", "{ambiguous:?}");
    }
    let policy = page.get("/").field("Content-Security-Policy");
    assert_says(&policy, &["default-src 'none'", "frame-ancestors 'none'"]);
    // None of it stopped the grain.
    assert_eq!(one.get("/usr/share/tea/cup"), "cup tea\n");
    page.close();
}

#[test]
fn a_click_takes_what_a_grain_missed_into_used_list() {
    let Some(page) = Page::new(&[]) else { return };
    let grain = page.make("a");
    let at = format!("/grain/{}", grain.name());
    assert_says(&page.get(&at).body, &["Nothing that was pruned"]);
    assert_eq!(grain.get("/usr/share/tea/green"), "");
    let shown = page.get(&at).body;
    assert_says(
        &shown,
        &["<td>/usr/share/tea/green<td>tea<td>/usr/bin/perl<td>", "Take into used.list</button>"],
    );
    let missed = page.state()["apps"][0]["grains"][0]["misses"][0].clone();
    assert_eq!((&missed["path"], &missed["package"]), (&"/usr/share/tea/green".into(), &"tea".into()));
    let line = "/usr/share/tea/green stat /usr/bin/perl tea - run\n";
    let before = page.traced.used();
    // One that the report does not name is not taken.
    assert_eq!(page.post(&format!("{at}/take"), "path=%2Fetc%2Fshadow").status(), "303");
    assert_eq!(page.traced.used(), before);
    assert_eq!(page.post(&format!("{at}/take"), "path=%2Fusr%2Fshare%2Ftea%2Fgreen").status(), "303");
    let after = page.traced.used();
    assert!(after.contains(line), "{after}");
    assert_eq!(after.replace(line, ""), before);
    assert_says(&page.get(&at).body, &["<td>in used.list", "tinyroot build "]);
    page.close();
}

#[test]
fn a_click_makes_shipped_state_that_was_written_the_grains_own() {
    let Some(page) = Page::new(&[]) else { return };
    let grain = page.make("a");
    let at = format!("/grain/{}", grain.name());
    let origin = format!("http://{}", grain.host);
    let fields = [("Cookie", &*grain.cookie), ("Origin", &origin)];
    assert_eq!(ask(&grain.host, "POST /var/lib/tea/score", &fields, "1 cup\n").body, "0 cups\n");
    let shown = page.get(&at).body;
    assert_says(
        &shown,
        &["<td>/var/lib/tea/score (written, but shipped read-only)<td>tea<td>/usr/bin/perl<td>"],
    );
    assert_eq!(page.state()["apps"][0]["grains"][0]["misses"][0]["written"], true);
    page.post(&format!("{at}/take"), "path=%2Fvar%2Flib%2Ftea%2Fscore");
    let used = page.traced.used();
    assert!(used.contains("\n/var/lib/tea/score written /usr/bin/perl tea - run\n"), "{used}");
    assert_says(&page.get(&at).body, &["<td>in used.list", "tinyroot build "]);
    page.close();
}

#[test]
fn without_a_recipe_the_page_tells_what_to_type_and_idle_grains_stop() {
    let Some(page) = Page::new(&["--idle", "0.01"]) else { return };
    let grain = page.make("a");
    assert_eq!(grain.get("/usr/share/tea/green"), "");
    let at = format!("/grain/{}", grain.name());
    assert_says(&page.get(&at).body, &["tinyroot trace RECIPE --merge=/"]);
    assert_eq!(page.post(&format!("{at}/take"), "").status(), "500");
    let end = Instant::now() + Duration::from_secs(60);
    while page.state()["apps"][0]["grains"][0]["state"] != "stopped" {
        assert!(Instant::now() < end, "{}", page.state());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_says(&page.get(&at).body, &["nothing was asked of it for a while"]);
    let grain = page.enter(&page.post(&format!("{at}/open"), ""));
    assert_eq!(grain.get("/usr/share/tea/cup"), "cup tea\n");
    page.close();
}
