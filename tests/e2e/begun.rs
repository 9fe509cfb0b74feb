//! `init`: from a package to a recipe whose app responds.

use std::{fs, process::Command};

use tinyroot::{
    sandbox::{host, set_program},
    testing::{Deb, Made, MadeArchive, Server, deb, skip},
};

use super::{
    base::base,
    support::{Home, assert_says, end, text},
};

/// An archive with what a root needs, and one package.
struct Shelf {
    home: Home,
    made: Made,
    server: Server,
}

impl Shelf {
    /// Returns `None`, and says why, where the host lacks what this needs.
    fn with(package: Deb) -> Option<Self> {
        set_program(env!("CARGO_BIN_EXE_tinyroot"));
        if let Err(lacking) = host().fuse {
            skip(&format!("{} ({})", lacking.reason, lacking.remedy));
            return None;
        }
        let base = match base() {
            Ok(base) => base,
            Err(missing) => {
                skip(&missing);
                return None;
            }
        };
        let home = Home::new();
        let archive = MadeArchive::new("bookworm").add(base).add(package);
        let made = archive.write_with_pockets(&home.path("archive"));
        let server = Server::start(&home.path("archive"));
        Some(Shelf { home, made, server })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command();
        command.args(args).args(["--mirror", &self.server.url(), "--keyring", text(&self.made.keyring)]);
        command
    }

    fn done(&self, args: &[&str]) {
        let ended = end(&mut self.command(args));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

/// A program that serves on a port of its own, once its directories are there; it goes to the background unless told.
const TEAPOT: &str = r#"#!/usr/bin/perl
$| = 1;
my %options = map { /^--(\w+)=(.*)/ ? ($1, $2) : ($_, 1) } @ARGV;
fork and exit 0 unless $options{'-f'};
-d "/var/lib/teapot/leaves" or print "teapot: /var/lib/teapot/leaves does not exist\n" and exit 3;
open(F, ">", "/run/teapot/pot.pid") or print "teapot: cannot open /run/teapot/pot.pid: $!\n" and exit 4;
open(F, ">", "/etc/teapot/state") or print "teapot: /etc/teapot/state: $!\n" and exit 5;
socket(S, 2, 1, 0) or die "socket: $!";
setsockopt(S, 1, 2, pack("l", 1));
bind(S, pack("S n C4 x8", 2, 8384, 127, 0, 0, 1)) or die "bind: $!";
listen(S, 9);
$SIG{TERM} = sub { exit 0 };
while (accept(C, S)) {
    while (<C>) { last if /^\r?$/ }
    print C "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html><title>The pot, $options{kind}</title><a href=\"https://tea.example/\">more</a></html>";
    close C;
}
"#;

const UNIT: &str = "[Unit]\nDescription=Pot\n[Service]\nUser=teapot\nEnvironmentFile=-/etc/default/teapot\n\
                    ExecStart=/usr/bin/teapot $OPTIONS\n";

/// A package of a program whose unit says how it is started, and does not say all.
fn teapot(options: &str) -> Deb {
    deb("teapot")
        .file("usr/bin/teapot", 0o755, TEAPOT)
        .file("lib/systemd/system/teapot.service", 0o644, UNIT)
        .file("etc/default/teapot", 0o644, format!("OPTIONS=\"{options}\"\n"))
        .file("etc/teapot/conf", 0o644, "hot\n")
}

#[test]
fn a_package_becomes_a_recipe_that_responds() {
    let Some(world) = Shelf::with(teapot("-f --kind=brown")) else { return };
    let folder = world.home.path("teapot");
    let begun = end(&mut world.command(&["init", "teapot", "--output", text(&folder)]));
    assert_eq!(begun.code, Some(0), "{}{}", begun.stdout, begun.stderr);
    let mended = [
        "TODO: the port of teapot",
        "/var/lib/teapot/leaves does not exist",
        "mended: setup.sh makes /var/lib/teapot/leaves",
        "mended: a [[file]] makes /run/teapot at each start",
        "mended: a [[file]] moves /etc/teapot below /var",
        "it answers on port 8384, not on 8000",
        "mended: web.links_to has tea.example",
        "\"The pot, brown\"",
    ];
    assert_says(&begun.stderr, &mended);
    let recipe = fs::read_to_string(folder.join("recipe.toml")).expect("is written");
    let lines = [
        "# teapot: /lib/systemd/system/teapot.service:6.",
        "command = [\"/usr/bin/teapot\", \"-f\", \"--kind=brown\"]",
        "port = 8384",
        "contains = \"The pot, brown\"",
        "moved = \"/var/lib/own/etc/teapot\"",
    ];
    assert_says(&recipe, &lines);
    assert!(!recipe.contains("# TODO: the port"), "{recipe}");
    // From there it is traced, built and proven as any other.
    world.done(&["trace", text(&folder)]);
    let package = world.home.path("teapot.spk");
    world.done(&["build", text(&folder), "--output", text(&package)]);
    world.done(&["check", text(&package)]);
}

#[test]
fn what_cannot_be_mended_is_told_and_tried_again_after_an_edit() {
    let Some(world) = Shelf::with(teapot("--kind=red")) else { return };
    let folder = world.home.path("teapot");
    let begun = end(&mut world.command(&["init", "teapot", "--output", text(&folder)]));
    assert_eq!(begun.code, Some(1), "{}{}", begun.stdout, begun.stderr);
    assert_says(&begun.stderr, &["service teapot ended without a fault: it probably went to the background"]);
    assert_says(&begun.stderr, &["does not respond yet", "tinyroot init --again"]);
    let file = folder.join("recipe.toml");
    let recipe = fs::read_to_string(&file).expect("is written");
    fs::write(&file, recipe.replace("\"--kind=red\"", "\"-f\", \"--kind=red\"")).expect("writes");
    let again = end(&mut world.command(&["init", "--again", text(&folder)]));
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert_says(&again.stderr, &["it responds after", "The pot, red"]);
    // A folder that is there is not written over.
    let twice = end(&mut world.command(&["init", "teapot", "--output", text(&folder)]));
    assert_eq!(twice.code, Some(1));
    assert_says(&twice.stderr, &["already exists", "tinyroot init --again"]);
}
