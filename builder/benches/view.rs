//! What a traced root costs: the same programs in the same sandbox, on a plain directory and on the view.
//!
//! Takes Python, find and tar from this host. `cargo bench --bench view`; needs what tracing needs.

#![allow(clippy::print_stdout)]

use std::{
    collections::HashSet,
    error::Error,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use tinyroot::{
    render::scan,
    sandbox::{CHILD_ARGUMENT, Program, Root, Running, Sandbox, child_main},
    store::Store,
    tree::Tree,
    view::{Options, View, fuse::serve},
};

/// What is run, and how often.
const CASES: [(&str, &str, usize); 5] = [
    ("sh -c true", "true", 20),
    ("python3 -c pass", "exec python3 -I -c pass", 20),
    ("python3, 5 imports", "exec python3 -I -c 'import json, http.server, email, asyncio, argparse'", 10),
    ("find -ls", "find usr -ls > /dev/null", 5),
    ("tar", "tar -cf - usr | cat > /dev/null", 5),
];

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == CHILD_ARGUMENT) {
        child_main();
    }
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().join("root");
    copy_host(&root)?;
    let store = Arc::new(Store::open(&scratch.path().join("store"))?);
    let mut bundle = store.begin_bundle("bench", "view")?;
    let tree = Arc::new(scan(&root, &mut bundle, &HashSet::new(), &|_, _| (0, 0))?);
    bundle.finish(&tree)?;
    println!("{} paths, {:.0} MB", tree.len(), tree.size_bytes() as f64 / 1e6);

    let plain = measure(Root::Directory { path: root, writable: false }, None)?;
    let view = measure(Root::View, Some((tree, store)))?;
    println!("{:20} {:>20} {:>20} {:>14}", "", "plain: first, then", "view: first, then", "ratio");
    for ((name, ..), (plain, view)) in CASES.iter().zip(plain.iter().zip(&view)) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let ratio = |a: Duration, b: Duration| ms(a) / ms(b);
        println!(
            "{name:20} {:9.1} {:7.1} ms {:9.1} {:7.1} ms {:6.2} {:6.2}",
            ms(plain.0),
            ms(plain.1),
            ms(view.0),
            ms(view.1),
            ratio(view.0, plain.0),
            ratio(view.1, plain.1)
        );
    }
    Ok(())
}

/// Copies some programs with their libraries and data.
fn copy_host(root: &Path) -> Result<(), Box<dyn Error>> {
    let programs = ["sh", "cat", "find", "tar", "sleep", "python3"];
    let mut files: Vec<PathBuf> = Vec::new();
    for name in programs {
        let program = fs::canonicalize(Path::new("/usr/bin").join(name))?;
        let needs = Command::new("ldd").arg(&program).output()?;
        for word in String::from_utf8(needs.stdout)?.split_whitespace().filter(|word| word.starts_with('/')) {
            files.push(word.into());
        }
        let at = root.join("usr/bin").join(name);
        fs::create_dir_all(at.parent().ok_or("no parent")?)?;
        fs::copy(program, at)?;
    }
    for file in files {
        let at = root.join(file.strip_prefix("/")?);
        fs::create_dir_all(at.parent().ok_or("no parent")?)?;
        fs::copy(file, at)?;
    }
    let library = Command::new("/usr/bin/python3")
        .args(["-c", "import os; print(os.path.dirname(os.__file__))"])
        .output()?;
    let library = String::from_utf8(library.stdout)?.trim().to_owned();
    let at = root.join(library.trim_start_matches('/'));
    fs::create_dir_all(at.parent().ok_or("no parent")?)?;
    Command::new("cp").args(["-a", &library]).arg(&at).status()?;
    for mount in ["dev", "proc", "run", "tmp", "var"] {
        fs::create_dir_all(root.join(mount))?;
    }
    Ok(())
}

/// Returns for each case the time of the first run and the median of the others.
fn measure(
    root: Root,
    served: Option<(Arc<Tree>, Arc<Store>)>,
) -> Result<Vec<(Duration, Duration)>, Box<dyn Error>> {
    let mut prepared = Sandbox::grain(root, ["/usr/bin/sleep", "1000"]).prepare()?;
    let mut server = None;
    if let Some((tree, store)) = served {
        let view = Arc::new(View::new(tree, store, Options { owner: (1000, 1000), ..Options::default() }));
        let fuse = prepared.fuse().ok_or("a view has a connection")?;
        server = Some((serve(fuse, view.clone())?, view));
    }
    prepared.set_up()?;
    if let Some((_, view)) = &server {
        view.start_recording();
    }
    let running = prepared.start()?;
    let mut out = Vec::new();
    for (_, script, rounds) in CASES {
        let first = time(&running, script)?;
        let mut others = (0..rounds).map(|_| time(&running, script)).collect::<Result<Vec<_>, _>>()?;
        others.sort();
        out.push((first, others[rounds / 2]));
    }
    running.kill();
    running.wait();
    if let Some((server, view)) = server {
        server.stop()?;
        println!("{} paths used", view.uses().len());
    }
    Ok(out)
}

fn time(running: &Running, script: &str) -> Result<Duration, Box<dyn Error>> {
    let mut program = Program::new(["/usr/bin/sh", "-c", script].map(OsStr::new));
    program.env = vec![("PATH".into(), "/usr/bin".into())];
    let start = Instant::now();
    let (exit, output) = running.exec_output(&program)?;
    let took = start.elapsed();
    if !exit.success() {
        return Err(format!("{script}: {exit:?}: {}", String::from_utf8_lossy(&output)).into());
    }
    Ok(took)
}
