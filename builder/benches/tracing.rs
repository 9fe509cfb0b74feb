//! What tracing a whole app costs: from its start through its exercise, untraced and in four ways of tracing.
//!
//! ```text
//! cargo bench --bench tracing -- $PWD/recipes/dokuwiki $PWD/recipes/wordpress $PWD/recipes/radicale
//! ```
//!
//! Each figure is the median of several runs, the ways taken in turn. *Plain* is the app on its whole root in
//! a directory; *view* is the same on the root that `tinyroot trace` serves. *strace* is the plain one under
//! `strace -f -e trace=%file`, *fanotify* the plain one with every open and execution on that file system
//! reported, each path asked for (needs root). A way that this host lacks is left out by name. Uses
//! tinyroot's cache: stage the recipes first.

#![allow(unsafe_code, clippy::print_stdout)]

use std::{
    env,
    error::Error,
    fs,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tinyroot::{
    cli,
    exercise::{self, Authority, Visit},
    grain::{Grain, GrainRoot, GrainSpec, GrainTarget, RootOptions},
    line::{self, Session, overlay},
    recipe,
    sandbox::{CHILD_ARGUMENT, child_main},
    store::Store,
    trace,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Says that this process is to run an app once; its way and recipe follow.
const ONCE: &str = "--once";

/// How often each way is taken.
const ROUNDS: usize = 5;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [first, ..] if *first == CHILD_ARGUMENT => child_main(),
        [first, way, folder] if *first == ONCE => {
            let took = once(way, Path::new(folder))?;
            println!("{} {}", took.0.as_secs_f64(), took.1.as_secs_f64());
            Ok(())
        }
        [] => {
            println!("name recipe folders: cargo bench --bench tracing -- $PWD/recipes/dokuwiki");
            Ok(())
        }
        folders => folders.iter().try_for_each(|folder| bench(folder)),
    }
}

fn cache() -> Outcome<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache/tinyroot"));
    Ok(env::var_os("TINYROOT_CACHE").map(PathBuf::from).or_else(home).ok_or("set TINYROOT_CACHE")?)
}

fn bench(folder: &str) -> Outcome<()> {
    let mut ways = vec!["plain", "view"];
    match Command::new("strace").arg("-V").output() {
        Ok(_) => ways.push("strace"),
        Err(_) => println!("strace is not installed here"),
    }
    match Watch::new(&cache()?) {
        Ok(_) => ways.push("fanotify"),
        Err(error) => println!("fanotify is not allowed here: {error}"),
    }
    let mut times: Vec<Vec<(f64, f64)>> = vec![Vec::new(); ways.len()];
    for round in 0..=ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            let took = in_a_process(way, folder)?;
            // The first only fills caches.
            if round > 0 {
                times.push(took);
            }
        }
    }
    let name = Path::new(folder).file_name().unwrap_or_default().to_string_lossy();
    println!("{name:12} {:>9} {:>10} {:>9} {:>7}", "ready", "exercise", "sum", "ratio");
    let median = |times: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = times.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let plain = median(&times[0], |took| took.0 + took.1);
    for (way, times) in ways.iter().zip(&times) {
        let (ready, talked) = (median(times, |took| took.0), median(times, |took| took.1));
        let sum = median(times, |took| took.0 + took.1);
        println!("  {way:10} {ready:>7.3} s {talked:>8.3} s {sum:>7.3} s {:>7.2}", sum / plain);
    }
    Ok(())
}

/// Runs an app once, in a process of its own, since a trace by strace begins with one.
fn in_a_process(way: &str, folder: &str) -> Outcome<(f64, f64)> {
    let itself = env::current_exe()?;
    let mut command = match way {
        "strace" => {
            let mut command = Command::new("strace");
            command
                .args(["-f", "-qq", "-e", "trace=%file", "-o"])
                .arg(env::temp_dir().join("tracing.strace"));
            command.arg(itself);
            command
        }
        _ => Command::new(itself),
    };
    let watch = if way == "fanotify" { Some(Watch::new(&cache()?)?) } else { None };
    let root = if way == "view" { "view" } else { "plain" };
    let output = command.args([ONCE, root, folder]).output()?;
    let seen = watch.map(Watch::finish);
    if !output.status.success() {
        return Err(format!("{way}: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    if seen == Some(0) {
        return Err("fanotify saw nothing".into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (ready, talked) = text.trim().split_once(' ').ok_or("two times are printed")?;
    Ok((ready.parse()?, talked.parse()?))
}

/// Starts an app on its whole root and takes it through its exercise. Returns how long each took.
fn once(way: &str, folder: &Path) -> Outcome<(Duration, Duration)> {
    let session = Session::silent(Arc::new(Store::open_sealed(&cache()?, cli::seal()?.0)?));
    let overlaid = overlay(recipe::read(folder)?, &session)?;
    let (recipe, store) = (&overlaid.sources.recipe, &session.store);
    if way == "view" {
        let owner = |_: &[u8]| None;
        let inputs =
            trace::Inputs { tree: overlaid.tree(), owner: &owner, recipe, epoch_s: overlaid.epoch_s() };
        let traced = trace::trace(&inputs, store, &session.progress)?;
        return Ok((traced.ready_after, traced.driven_for));
    }
    let base = GrainRoot::new(
        Arc::new(line::baseline(&overlaid, &session)),
        store,
        RootOptions::default().as_directory(),
    )?;
    let scratch = store.scratch("bench-")?;
    let options = GrainSpec::of(recipe, &scratch.path().join("var"));
    let began = Instant::now();
    let mut grain = Grain::start(Arc::new(base), options)?;
    let ready = began.elapsed();
    let began = Instant::now();
    exercise::run(&Visit::of(recipe, &Authority::of_run(recipe)), &mut GrainTarget::new(&mut grain, None))?;
    let talked = began.elapsed();
    grain.stop()?;
    Ok((ready, talked))
}

/// A program that is told by fanotify(7) of each file opened or executed on a file system, as a tracer would
/// be.
struct Watch {
    ended: Arc<AtomicBool>,
    seen: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn new(on: &Path) -> std::io::Result<Self> {
        let flags =
            libc::FAN_CLASS_NOTIF | libc::FAN_UNLIMITED_QUEUE | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        // SAFETY: no memory is passed.
        let group = unsafe { libc::fanotify_init(flags, libc::O_RDONLY as u32 | libc::O_CLOEXEC as u32) };
        if group < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: it was just opened, and nobody else has it.
        let group = unsafe { OwnedFd::from_raw_fd(group) };
        let path = std::ffi::CString::new(on.as_os_str().as_encoded_bytes())?;
        let (mark, mask) =
            (libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM, libc::FAN_OPEN | libc::FAN_OPEN_EXEC);
        // SAFETY: the path ends with a NUL and outlives the call.
        if unsafe { libc::fanotify_mark(group.as_raw_fd(), mark, mask, libc::AT_FDCWD, path.as_ptr()) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let (ended, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ended_there, seen_there) = (ended.clone(), seen.clone());
        let thread = std::thread::spawn(move || listen(&group, &ended_there, &seen_there));
        Ok(Watch { ended, seen, thread })
    }

    /// Returns how many paths it was told of.
    fn finish(self) -> usize {
        self.ended.store(true, Ordering::Release);
        let _ = self.thread.join();
        self.seen.load(Ordering::Acquire)
    }
}

/// Reads events and asks for the path of each, until told to end.
fn listen(group: &OwnedFd, ended: &AtomicBool, seen: &AtomicUsize) {
    const EVENT_BYTES: usize = size_of::<libc::fanotify_event_metadata>();
    let mut buffer = vec![0_u8; 1 << 16];
    while !ended.load(Ordering::Acquire) {
        let mut poll = [rustix::event::PollFd::new(group, rustix::event::PollFlags::IN)];
        let wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let _ = rustix::event::poll(&mut poll, Some(&wait));
        let Ok(length) = rustix::io::read(group, &mut buffer[..]) else { continue };
        for event in buffer[..length].chunks_exact(EVENT_BYTES) {
            // The descriptor stands at bytes 16 to 19 of an event (fanotify(7)).
            let fd = i32::from_ne_bytes(event[16..20].try_into().expect("four bytes"));
            if fd < 0 {
                continue;
            }
            // SAFETY: the kernel opened it for this event, and nobody else has it.
            let file = unsafe { OwnedFd::from_raw_fd(fd) };
            if fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).is_ok() {
                seen.fetch_add(1, Ordering::Release);
            }
        }
    }
}
