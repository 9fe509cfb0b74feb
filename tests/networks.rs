//! Networks in which nothing is but a remote cache.

use std::{fs, path::Path, process::Command};

use tinyroot::testing::skip;

use super::support::{Ended, assert_says, end, text};

/// A server of a directory that takes files, too.
const SERVER: &str = r#"
use IO::Socket::INET; use File::Basename; use File::Path;
my ($root, $port) = @ARGV;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 30, ReuseAddr => 1) or die;
open(R, ">", "$root/ready") or die; close R;
while (my $c = $l->accept) {
    binmode $c;
    my ($method, $path) = <$c> =~ m{^(\S+) /(\S+)};
    my $length = 0;
    while (<$c>) { last if /^\r?$/; $length = $1 if /^content-length: (\d+)/i }
    my ($status, $body) = ("404 Missing", "");
    if ($method eq "PUT") {
        read($c, my $sent, $length);
        File::Path::make_path(dirname("$root/$path"));
        open(F, ">", "$root/$path") or die; binmode F; print F $sent; close F;
        $status = "201 Created";
    } elsif (open(F, "<", "$root/$path")) {
        binmode F; local $/; $body = <F>; close F;
        $status = "200 OK";
    }
    print $c "HTTP/1.1 $status\r\nConnection: close\r\nContent-Length: ", length $body, "\r\n\r\n";
    print $c $body if $method eq "GET";
    close $c;
}
"#;

/// Runs a command in a network of its own, in which nothing is but a remote cache: a server of a directory.
/// Returns `None`, and says why, where there can be no such network.
pub fn in_a_network(command: &Command, directory: &Path) -> Option<Ended> {
    let server = directory.with_file_name("server.pl");
    fs::write(&server, SERVER).expect("writes");
    let script = r#"
        command -v perl > /dev/null && ip link set lo up || exit 77
        echo "links: $(ip -o link | wc -l), routes: $(ip route | wc -l)"
        rm -f "$2/ready"
        perl "$1" "$2" 8000 & server=$!
        for _ in $(seq 100); do [ -e "$2/ready" ] && break; sleep 0.1; done
        shift 2
        "$@"; code=$?
        kill $server
        exit $code
    "#;
    let mut outer = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        outer.args(["--user", "--map-root-user"]);
    }
    outer.args(["--net", "sh", "-c", script, "sh", text(&server), text(directory)]);
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    let ended = end(outer.env("TINYROOT_REMOTE_CACHE", "http://127.0.0.1:8000/cache"));
    if ended.code == Some(77) || ended.stderr.contains("unshare failed") {
        skip(&format!("a network of its own cannot be made: {}", ended.stderr));
        return None;
    }
    assert_says(&ended.stdout, &["links: 1, routes: 0"]);
    Some(ended)
}
