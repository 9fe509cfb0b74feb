//! An app of this host's programs, in a made archive, and its recipe.
//!
//! Needs perl on the host, and what any trace needs; says so where it is missing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tinyroot::{
    sandbox::{Unavailable, host, set_program},
    testing::{Compression, Deb, Made, MadeArchive, Server, deb},
};

use super::support::{Home, names, text};

/// What the app runs, and what a root is configured with.
const PROGRAMS: [&str; 9] = ["chmod", "chown", "find", "mv", "perl", "rm", "sh", "sleep", "xargs"];

pub const RECIPE: &str = r##"
[app]
name = "tea"
title = "Tea & milk"
version = "1"
packages = ["tea"]
[debian]
suite = "bookworm"
[[file]]
path = "/app/server.pl"
content = '''
socket(S, 2, 1, 0) or die "socket: $!";
setsockopt(S, 1, 2, pack("l", 1));
bind(S, pack("S n C4 x8", 2, 8000, 127, 0, 0, 1)) or die "bind: $!";
listen(S, 9);
$SIG{TERM} = sub { exit 0 };
while (accept(C, S)) {
    my ($method, $path) = <C> =~ /^(\S+) ([^ ?]+)/;
    my ($length, $cookies) = (0, "");
    while (<C>) {
        last if /^\r?$/;
        $length = $1 if /^content-length: (\d+)/i;
        $cookies = $1 if /^cookie: (.*?)\r/i;
    }
    if ($path eq "/die") { exit 42 }
    if ($path eq "/echo") {
        syswrite(C, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        my $line = <C>;
        syswrite(C, "echo $line");
        close C;
        next;
    }
    if ($method eq "POST") { read(C, my $body, $length); open(F, ">", $path); print F $body; close F }
    local $/; my $text = "cookies: $cookies\n";
    if ($path ne "/cookies") { open(F, "<", $path); $text = <F> }
    print C "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n$text";
    close C;
}
'''
[[service]]
name = "web"
command = ["/usr/bin/perl", "/app/server.pl"]
ready = { port = 8000 }
[web]
port = 8000
[[exercise]]
get = "/usr/share/tea/cup"
contains = "cup"
"##;

/// The recipe with a server that does something else for certain paths: statements that end with `next`.
pub fn with_code(code: &str) -> String {
    RECIPE.replacen(r#"if ($method eq "POST")"#, &format!("{code}\n    if ($method eq \"POST\")"), 1)
}

pub struct TracedApp {
    pub home: Home,
    made: Made,
    pub server: Server,
    pub recipe: PathBuf,
}

/// One package that holds all; its dpkg has nothing to do.
fn tea() -> Deb {
    let mut tea = deb("tea")
        .field("Essential", "yes")
        .compression(Compression::None)
        .symlink("bin", "usr/bin")
        .symlink("lib", "usr/lib")
        .file("usr/bin/dpkg", 0o755, "#!/bin/sh\nexit 0\n")
        .file("usr/sbin/start-stop-daemon", 0o755, "#!/bin/sh\nexit 0\n");
    for name in ["cup", "green", "black", "unused"] {
        tea = tea.file(&format!("usr/share/tea/{name}"), 0o644, format!("{name} tea\n"));
    }
    let mut there: Vec<String> = Vec::new();
    for name in PROGRAMS {
        let program = fs::canonicalize(Path::new("/usr/bin").join(name)).expect("is there");
        let needs = Command::new("ldd").arg(&program).output().expect("ldd runs").stdout;
        let needs = String::from_utf8(needs).expect("text");
        let mut files = vec![(program, format!("usr/bin/{name}"))];
        for library in needs.split_whitespace().filter(|word| word.starts_with('/')) {
            let at = library.trim_start_matches('/');
            files
                .push((library.into(), if at.starts_with("lib/") { format!("usr/{at}") } else { at.into() }));
        }
        for (from, to) in files {
            if !there.contains(&to) {
                tea = tea.file(&to, 0o755, fs::read(from).expect("reads"));
                there.push(to);
            }
        }
    }
    tea
}

impl TracedApp {
    /// Returns `None`, and says why, where the host lacks what this needs.
    pub fn new() -> Option<Self> {
        TracedApp::with(|tea| tea)
    }

    /// As [`TracedApp::new`], with more in the package.
    pub fn with(more: impl FnOnce(Deb) -> Deb) -> Option<Self> {
        TracedApp::of(RECIPE, |tea| vec![more(tea)])
    }

    /// As [`TracedApp::new`], with another recipe and other packages.
    pub fn of(recipe_text: &str, packages: impl FnOnce(Deb) -> Vec<Deb>) -> Option<Self> {
        set_program(env!("CARGO_BIN_EXE_tinyroot"));
        if let Err(Unavailable { reason, remedy, .. }) = host().fuse {
            tinyroot::testing::skip(&format!("{reason} ({remedy})"));
            return None;
        }
        if let Some(name) = PROGRAMS.iter().find(|name| !Path::new("/usr/bin").join(name).exists()) {
            tinyroot::testing::skip(&format!("this host has no /usr/bin/{name}"));
            return None;
        }
        let home = Home::new();
        let archive = packages(tea()).into_iter().fold(MadeArchive::new("bookworm"), MadeArchive::add);
        let made = archive.write_with_pockets(&home.path("archive"));
        let server = Server::start(&home.path("archive"));
        let recipe = home.path("recipe");
        fs::create_dir(&recipe).expect("makes");
        fs::write(recipe.join("recipe.toml"), recipe_text).expect("writes");
        let traced = TracedApp { home, made, server, recipe };
        traced.done(&["lock", text(&traced.recipe)]);
        traced.done(&["trace", text(&traced.recipe)]);
        Some(traced)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command();
        command.args(args).args(["--mirror", &self.server.url(), "--keyring", text(&self.made.keyring)]);
        command
    }

    pub fn done(&self, args: &[&str]) {
        let ended = super::support::end(&mut self.command(args));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    pub fn used(&self) -> String {
        fs::read_to_string(self.recipe.join("used.list")).expect("reads")
    }

    /// Sees that nothing is left of a run that has ended, and returns what it said.
    pub fn ended(&self, output: Output, code: i32) -> String {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(names(&self.home.path("cache/tmp")), Vec::<String>::new());
        let mounts = fs::read_to_string("/proc/self/mounts").expect("reads");
        assert!(!mounts.contains(text(&self.home.path(""))), "{mounts}");
        said
    }
}
