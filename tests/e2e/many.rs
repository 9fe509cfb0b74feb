//! `tinyroot build` of several recipes: side by side, past a failure, with one summary.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tinyroot::testing::Fault;

use super::{
    World, pool_file,
    support::{Ended, assert_says, end, names, text},
    traced_app::TracedApp,
};

/// Copies a recipe folder, with another name for its app and a change of its text.
fn copy(traced: &TracedApp, name: &str, change: [&str; 2]) -> PathBuf {
    let folder = traced.home.path("recipes").join(name);
    fs::create_dir_all(&folder).expect("makes");
    for file in ["recipe.lock", "used.list"] {
        fs::copy(traced.recipe.join(file), folder.join(file)).expect("copies");
    }
    let recipe = fs::read_to_string(traced.recipe.join("recipe.toml")).expect("reads");
    let recipe = recipe.replacen("name = \"tea\"", &format!("name = \"{name}\""), 1);
    fs::write(folder.join("recipe.toml"), recipe.replacen(change[0], change[1], 1)).expect("writes");
    folder
}

/// Three recipes of which the first fails, and what else lies beside recipes.
fn three(traced: &TracedApp) -> Vec<PathBuf> {
    let pot = copy(traced, "pot", ["contains = \"cup\"", "contains = \"coffee\""]);
    let [milk, tea] = ["milk", "tea"].map(|name| copy(traced, name, ["", ""]));
    let shared = traced.home.path("recipes/_shared");
    fs::create_dir_all(&shared).expect("makes");
    let gallery = traced.home.path("recipes/GALLERY.md");
    fs::write(&gallery, "# Recipes\n").expect("writes");
    vec![gallery, shared, pot, milk, tea]
}

fn build(traced: &TracedApp, recipes: &[PathBuf], more: &[&str]) -> Ended {
    let recipes: Vec<&str> = recipes.iter().map(|path| text(path)).collect();
    end(&mut traced.command(&[&["build"], &recipes[..], more].concat()))
}

#[test]
fn a_recipe_that_fails_does_not_stop_the_others_and_a_table_says_how_each_ended() {
    let Some(traced) = TracedApp::new() else { return };
    let recipes = three(&traced);
    let out = traced.home.path("out");
    let place = format!("{}/", text(&out));
    let ended = build(&traced, &recipes, &["--output", &place, "--jobs", "3"]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let rows: Vec<Vec<&str>> = ended.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["recipe", "size", "steps", "misses", "time", "result"]);
    assert_eq!((rows.len(), rows[1][..4].join(" ")), (4, "pot - - -".to_owned()));
    assert_says(ended.stdout.lines().nth(1).expect("a row"), &[" s  failed: "]);
    for (row, name) in rows[2..].iter().zip(["milk", "tea"]) {
        assert_eq!(
            (row[0], &row[2..5], row.last()),
            (name, &["MB", "1", "0"][..], Some(&"built")),
            "{row:?}"
        );
    }
    let [gallery, shared] = [&recipes[0], &recipes[1]].map(|path| path.display());
    assert_says(
        &ended.stderr,
        &[
            &format!("{gallery} is passed over: it is a file\n"),
            &format!("{shared} is passed over: its name begins with _\n"),
            "error: pot: the exercise fails on the ",
        ],
    );
    assert!(ended.stderr.ends_with("error: 1 of 3 recipes failed: pot\n"), "{}", ended.stderr);
    assert_eq!(names(&out), ["milk.spk", "tea.spk"]);

    // They are what each build alone makes.
    let alone = traced.home.path("alone.spk");
    traced.done(&["build", text(&recipes[4]), "--output", text(&alone)]);
    assert_eq!(fs::read(&alone).expect("reads"), fs::read(out.join("tea.spk")).expect("reads"));

    let ended = build(&traced, &recipes, &["--output", &place, "--json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
    let [pot, milk, tea] = [0, 1, 2].map(|index| &document["recipes"][index]);
    assert_eq!((&pot["name"], &pot["result"]["error"]["exit_status"]), (&"pot".into(), &1.into()));
    for (recipe, folder) in [(milk, &recipes[3]), (tea, &recipes[4])] {
        assert_eq!(
            (&recipe["recipe"], &recipe["result"]["up_to_date"]),
            (&text(folder).into(), &true.into())
        );
    }
    assert_eq!(document["error"]["message"], "1 of 3 recipes failed: pot");
}

#[test]
fn a_package_over_its_budget_gives_the_status_where_nothing_failed() {
    let Some(traced) = TracedApp::new() else { return };
    let budget = "[budget]\nartifact = \"10 kB\"\n[[file]]";
    let recipes = [copy(&traced, "cup", ["[[file]]", budget]), copy(&traced, "tea", ["", ""])];
    let ended = build(&traced, &recipes, &["--no-proof"]);
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    assert_says(&ended.stdout, &["  over budget\n", "  built\n"]);
    assert_says(
        &ended.stderr,
        &["limit exceeded: cup: ", "limit exceeded: 1 of 2 recipes made a package over its budget: cup\n"],
    );
    // A lock that has drifted is a failure with the same status.
    let recipe = recipes[1].join("recipe.toml");
    let drifted =
        fs::read_to_string(&recipe).expect("reads").replace("[debian]", "[debian]\nexclude = [\"rum\"]");
    fs::write(&recipe, drifted).expect("writes");
    let ended = build(&traced, &recipes, &["--no-proof", "--json"]);
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
    assert_eq!(document["error"]["kind"], "lock_drifted");
    assert_eq!(document["recipes"][0]["result"]["error"]["kind"], "limit_exceeded");
    let ended = build(&traced, &recipes, &["--no-proof", "--quiet"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(3), ""));
}

#[test]
fn what_only_one_recipe_can_have_is_refused_for_several() {
    let world = World::new();
    world.lock();
    let other = world.home.path("other");
    fs::create_dir(&other).expect("makes");
    for name in ["recipe.toml", "recipe.lock"] {
        fs::copy(world.recipe.join(name), other.join(name)).expect("copies");
    }
    let (file, out) = (world.home.path("tea.spk"), world.home.path("out/"));
    let recipes = ["build", text(&world.recipe), text(&other)];
    for (more, said) in [
        (&["--push", "docker://127.0.0.1:1/tea:1"][..], "--push names one image, and cannot be used with"),
        (&["--key", "-"], "--key - reads one key, and cannot be used with several recipes"),
        (&["--output", text(&file)], "tea.spk is not a directory, which several recipes need"),
        (&["--output", text(&out)], "/out/tea.spk"),
        (&["--jobs", "0"], "invalid value '0' for '--jobs <N>'"),
    ] {
        let ended = world.home.run(&[&recipes[..], more].concat());
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{more:?}: {}", ended.stderr);
        assert_says(&ended.stderr, &["error: ", said]);
    }
    assert_eq!(names(&out), Vec::<String>::new());
}

/// Waits until something is so.
fn wait_for(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come to that");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_stop_ends_all_of_them_and_leaves_nothing_behind() {
    let world = World::new();
    world.lock();
    let copies = ["one", "two"].map(|name| {
        let folder = world.home.path(name);
        fs::create_dir(&folder).expect("makes");
        for file in ["recipe.toml", "recipe.lock"] {
            fs::copy(world.recipe.join(file), folder.join(file)).expect("copies");
        }
        folder
    });
    world.server.fault(&pool_file(&world.made.directory, "tea"), Fault::Stall(1000));
    let url = world.server.url();
    let args = world.args(&["build", text(&copies[0]), text(&copies[1]), "--jobs", "2"], &url);
    let child = world.home.command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("starts");
    wait_for(|| world.server.requests().iter().filter(|request| request.path.contains("tea_")).count() > 0);
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0), "{said}");
    assert!(said.ends_with("stopped\n"), "{said}");
    assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new());
    for folder in &copies {
        assert_eq!(names(Path::new(folder)), ["recipe.lock", "recipe.toml"]);
    }
}
