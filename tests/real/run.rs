//! A package as its user runs it: a URL, data that stay, and two grains that do not meet.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    alone, build, copy_recipe, kept, main_recipes, share_debs,
    support::{Home, text},
};

/// A grain in the foreground.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(home: &Home, package: &Path, grain: &str) -> Self {
        let mut command = home.command();
        command.args(["run", text(package), "--grain", grain]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("is piped")).read_line(&mut line).expect("prints a URL");
        let address = line.trim().strip_prefix("http://").expect("is a URL").trim_end_matches('/').to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{address} is not on the loopback");
        Running { child, address }
    }

    /// Returns a response with its head.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("listens");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address).expect("asks");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ctrl-C.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
        assert_eq!(self.child.wait().expect("ends").code(), Some(0));
    }
}

#[test]
fn grains_of_one_package_run_side_by_side_and_keep_their_data() {
    let _turn = alone();
    for name in &main_recipes() {
        let home = Home::new();
        share_debs(&home);
        let package = kept(name).unwrap_or_else(|| {
            let folder = copy_recipe(name, &home.path("recipes"));
            let package = home.path("out.spk");
            build(&home, &folder, &package);
            package
        });
        let (one, two) = (Running::start(&home, &package, "one"), Running::start(&home, &package, "two"));
        assert_ne!(one.address, two.address);
        for grain in [&one, &two] {
            let answer = grain.get("/");
            assert!(answer.contains("200 OK"), "{name} answers\n{answer}");
        }
        one.stop();
        two.stop();
        let again = Running::start(&home, &package, "one");
        assert!(again.get("/").contains("200 OK"));
        again.stop();
        let grains = home.path(".local/share/tinyroot/grains");
        let apps = super::support::names(&grains);
        assert_eq!(apps.len(), 1);
        assert_eq!(super::support::names(&grains.join(&apps[0])), ["one", "two"]);
    }
}
