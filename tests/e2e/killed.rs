//! Kills at any moment of the whole line: what is there is whole, what is not is made by the next run.

use std::{
    fs,
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use rustix::process::{Pid, Signal, kill_process_group};
use tinyroot::testing::{deb, is_long, skip};

use super::{
    World,
    base::base,
    noise,
    support::{end, names, text},
};

/// How many runs are killed, and how many at full length.
const KILLS: [usize; 2] = [10, 50];

/// Says when to kill, unless `TINYROOT_TEST_SEED` does: a run that fails does so again.
const SEED: u64 = 7;

/// A server in the perl that [`base`] brings.
const SERVER: &str = r#"use Socket;
socket(ALL, PF_INET, SOCK_STREAM, 0) && bind(ALL, sockaddr_in(8000, INADDR_LOOPBACK)) && listen(ALL, 9) or die;
while (accept(ONE, ALL)) {
    while (<ONE>) { last if /^\s*$/ }
    print ONE "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntea\n";
    close ONE;
}
"#;

const RECIPE: &str = r#"[app]
name = "tea"
version = "1"
packages = ["tea"]
[debian]
suite = "bookworm"
[[service]]
name = "pot"
command = ["/usr/bin/perl", "/usr/share/tea/server.pl"]
ready = { http = "/" }
[web]
port = 8000
[[exercise]]
get = "/"
status = 200
contains = "tea"
"#;

/// A made archive of an app that runs, with lock and evidence.
fn world() -> Option<World> {
    let base = match base() {
        Ok(base) => base,
        Err(why) => {
            skip(&why);
            return None;
        }
    };
    let postinst = "#!/bin/sh\nset -e\necho warm > /etc/tea\nchown 0:8 /etc/tea\nmkdir -p -m 2750 /var/lib/tea\n\
                    chown 8:8 /var/lib/tea\n";
    let tea = deb("tea").field("Depends", "water").file("usr/share/tea/server.pl", 0o644, SERVER);
    let water =
        deb("water").file("usr/share/water", 0o644, noise(1 << 20)).script("postinst", "#!/bin/sh\n:\n");
    let world = World::of(vec![base, tea.script("postinst", postinst), water]);
    fs::write(world.recipe.join("recipe.toml"), RECIPE).expect("writes");
    world.lock();
    let ended = world.home.run(&world.args(&["trace", text(&world.recipe)], &world.server.url()));
    if ended.code != Some(0) && ended.stderr.contains("/dev/fuse") {
        skip(&ended.stderr);
        return None;
    }
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let keys = world.home.path("keys");
    fs::write(&keys, tinyroot::formats::key_file::Key::from_seed([7; 32]).to_bytes()).expect("writes");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).expect("closes it");
    Some(world)
}

impl World {
    /// Begins a build with a cache, in a process group of its own.
    fn build(&self, cache: &Path, output: &Path) -> Child {
        let (url, keys) = (self.server.url(), self.home.path("keys"));
        let args = ["build", text(&self.recipe), "--output", text(output), "--key-file", text(&keys)];
        let mut command = self.home.command();
        command.args(self.args(&args, &url)).arg("--cache").arg(cache);
        // By this place its processes are known; it is not theirs any more once they are in their root.
        command.current_dir(self.home.path("")).process_group(0);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
    }

    /// Builds undisturbed and returns the package.
    fn builds(&self, cache: &Path, output: &Path) -> Vec<u8> {
        let ended = self.build(cache, output).wait_with_output().expect("ends");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(names(&cache.join("tmp")), Vec::<String>::new());
        assert_eq!(names(output.parent().expect("is in a directory")), ["tea.spk"]);
        fs::read(output).expect("was written")
    }

    /// What is left of runs: processes that were started in the home or have something of it mounted.
    fn left(&self) -> Vec<String> {
        let home = self.home.path("");
        let home = text(&home).trim_end_matches('/');
        let processes = fs::read_dir("/proc").expect("lists").flatten().map(|entry| entry.path());
        let is_of_home = |process: &PathBuf| {
            fs::read_link(process.join("cwd")).is_ok_and(|path| path.starts_with(home))
                || fs::read_to_string(process.join("mountinfo")).is_ok_and(|mounts| mounts.contains(home))
        };
        processes.filter(is_of_home).map(|process| process.display().to_string()).collect()
    }

    fn assert_nothing_left(&self, when: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.left().is_empty() {
            assert!(Instant::now() < deadline, "{when}: still there: {:?}", self.left());
            sleep(Duration::from_millis(10));
        }
    }
}

/// Takes a part of the cache away, so that there is work for the next run at any stage of the line.
fn forget(cache: &Path, random: &mut StdRng) {
    let parts: &[&str] = match random.gen_range(0..3) {
        0 => &["debs", "bundles", "packs", "notes"],
        1 => &["bundles", "notes"],
        _ => &["bundles/layer", "notes"],
    };
    for part in parts {
        let _ = fs::remove_dir_all(cache.join(part));
    }
}

#[test]
fn kills_at_any_moment_leave_what_is_whole_or_nothing() {
    let Some(world) = world() else { return };
    let seed = std::env::var("TINYROOT_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let least = KILLS[usize::from(is_long())];
    let mut random = StdRng::seed_from_u64(seed);
    let began = Instant::now();
    let (fresh, output) = (world.home.path("fresh/tea.spk"), world.home.path("killed/tea.spk"));
    for path in [&fresh, &output] {
        fs::create_dir(path.parent().expect("is in a directory")).expect("makes");
    }
    let right = world.builds(&world.home.path("fresh-cache"), &fresh);
    let whole = began.elapsed();
    let cache = world.home.path("killed-cache");
    let (mut kills, mut runs) = (0, 0);
    while kills < least {
        runs += 1;
        // One that has less to do than the first may end before its time.
        assert!(runs < 10 * least, "{kills} of {runs} runs were killed");
        // Packing takes most of a run; the power gives each stage its share of kills.
        let delay = whole.mul_f64(random.r#gen::<f64>().powi(3));
        let when = format!("TINYROOT_TEST_SEED={seed}, kill {kills}, after {delay:?} of {whole:?}");
        let child = world.build(&cache, &output);
        sleep(delay);
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let ended = child.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        let killed = ended.status.signal().is_some();
        assert!(killed || ended.status.success(), "{when}: {said}");
        kills += usize::from(killed);
        world.assert_nothing_left(&when);
        if output.exists() {
            assert!(fs::read(&output).expect("reads") == right, "{when}: another package");
            let verified = end(world.home.command().args(["verify", text(&output)]));
            assert_eq!(verified.code, Some(0), "{when}: {}", verified.stderr);
        } else {
            assert!(killed, "{when}: no package");
        }
        if killed && kills % 5 == 0 {
            assert!(world.builds(&cache, &output) == right, "{when}: the next run makes another package");
        }
        let _ = fs::remove_file(&output);
        if random.gen_bool(0.5) {
            forget(&cache, &mut random);
        }
    }
}
