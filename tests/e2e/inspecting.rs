//! What takes space in a package, and what would go with it.

use serde_json::Value;
use tinyroot::{digest::Digest, testing::deb};

use super::{
    support::{assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

/// The kitchen with a spoon, which the exercise uses and which brings a fork, which the recipe keeps.
fn built() -> Option<(TracedApp, String)> {
    let recipe = RECIPE.replacen("suite = \"bookworm\"", "suite = \"bookworm\"\npackages = [\"spoon\"]", 1)
        + "[[exercise]]\nget = \"/usr/share/spoon/spoon\"\n[prune]\nkeep = [\"/usr/share/fork/*\"]\n";
    let traced = TracedApp::of(&recipe, |tea| {
        let spoon = deb("spoon").field("Essential", "yes").field("Depends", "fork");
        let spoon = spoon.file("usr/share/spoon/spoon", 0o644, "a spoon\n");
        let fork = deb("fork").file("usr/share/fork/large", 0o644, "a large fork\n").file(
            "usr/share/fork/small",
            0o644,
            "a small fork\n",
        );
        vec![tea, spoon, fork]
    })?;
    let package = text(&traced.home.path("tea.spk")).to_owned();
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--output", &package]);
    Some((traced, package))
}

fn document(traced: &TracedApp, args: &[&str]) -> Value {
    let ended = end(&mut traced.command(args));
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("is JSON")
}

fn found<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let mut all = list.as_array().expect("a list").iter();
    all.find(|one| one[key] == value).unwrap_or_else(|| panic!("{value} is not in {list:#}"))
}

#[test]
fn retained_sizes_are_those_of_what_nothing_else_needs() {
    let Some((traced, package)) = built() else { return };
    let all = document(&traced, &["inspect", &package, "--retained", "--json"]);
    let retained = &all["retained"];
    assert_eq!(retained["missing"], Value::Array(Vec::new()));
    let spoon = found(&retained["packages"], "name", "spoon");
    assert_eq!((&spoon["own"]["files"], &spoon["retained"]["files"]), (&1.into(), &3.into()));
    let fork = found(&spoon["brings"], "package", "fork");
    assert_eq!((&fork["whole"], &fork["sum"]["size_bytes"]), (&true.into(), &26.into()));
    let packed = |sum: &Value| sum["packed_bytes"].as_u64().expect("is known");
    assert_eq!(packed(&spoon["retained"]), packed(&spoon["own"]) + packed(&fork["sum"]));
    assert_eq!(spoon["asked_by"], serde_json::json!(["requested"]));
    let keep = found(&retained["rules"], "text", "prune.keep \"/usr/share/fork/*\"");
    assert_eq!(keep["retained"]["files"], 2);
    let step = found(&retained["steps"], "step", "GET:/usr/share/spoon/spoon");
    assert_eq!(step["retained"]["size_bytes"], 8);
    let said = traced.home.done(&["inspect", &package, "--retained"]).stdout;
    assert_says(
        &said,
        &["  spoon: itself, fork (requested)\n", "recipe: prune.keep \"/usr/share/fork/*\" (2 files)"],
    );
}

#[test]
fn changes_are_weighed_without_a_build() {
    let Some((traced, package)) = built() else { return };
    let weighed = |change: &str| {
        let all = document(&traced, &["inspect", &package, "--what-if", change, "--json"]);
        all["what_if"].clone()
    };
    let spoon = weighed("drop package spoon");
    assert_eq!((&spoon["saved"]["files"], &spoon["following"]["files"]), (&3.into(), &2.into()));
    assert_eq!(spoon["packages"], serde_json::json!(["fork", "spoon"]));
    let large = found(&spoon["files"], "path", "/usr/share/fork/large");
    assert_eq!((&large["follows"], &large["size_bytes"]), (&true.into(), &13.into()));
    assert_eq!(found(&spoon["risk"]["steps"], "step", "GET:/usr/share/spoon/spoon")["files"], 1);
    let fork = weighed("drop /usr/share/fork/*");
    assert_eq!((&fork["saved"]["size_bytes"], &fork["risk"]["fatal"]), (&26.into(), &false.into()));
    // A library that perl does not start without.
    let libc = weighed("drop /**/libc.so.6");
    assert_eq!(libc["risk"]["fatal"], true);
    assert_eq!(found(&libc["risk"]["broken"], "by", "/usr/bin/perl")["by"], "/usr/bin/perl");
    let said = traced.home.done(&["inspect", &package, "--what-if", "drop package spoon"]).stdout;
    assert_says(&said, &["saves ", "follows, as nothing else keeps it\n", "all of fork (2 files)"]);

    let refused = |change: &str| traced.home.run(&["inspect", &package, "--what-if", change]);
    let nothing = refused("drop /usr/share/milk");
    assert_eq!(nothing.code, Some(1));
    assert_says(
        &nothing.stderr,
        &["error: `/usr/share/milk` matches nothing", "hint: `tinyroot inspect --files`"],
    );
    let own = refused("drop /tinyroot/init");
    assert_says(&own.stderr, &["`/tinyroot/init` matches nothing", "cannot be dropped"]);
    for change in ["spoon", "drop spoon", "drop package", "drop /["] {
        assert_eq!(refused(change).code, Some(2), "{change}");
    }
}

#[test]
fn contents_that_another_path_has_save_nothing() {
    // Nothing compresses this: a byte of it is a byte of the package.
    let noise: Vec<u8> = (0_u32..400).flat_map(|at| Digest::of(&at.to_le_bytes()).0).collect();
    let recipe = RECIPE.replacen("suite = \"bookworm\"", "suite = \"bookworm\"\npackages = [\"spoon\"]", 1)
        + "[prune]\nkeep = [\"/usr/share/spoon/*\"]\n";
    let traced = TracedApp::of(&recipe, |tea| {
        let spoon = deb("spoon").field("Essential", "yes");
        vec![tea, spoon.file("usr/share/spoon/a", 0o644, &*noise).file("usr/share/spoon/b", 0o644, &*noise)]
    });
    let Some(traced) = traced else { return };
    let package = text(&traced.home.path("tea.spk")).to_owned();
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--output", &package]);
    let weighed = |changes: &[&str]| {
        let mut args = vec!["inspect", &package, "--json"];
        changes.iter().for_each(|change| args.extend(["--what-if", change]));
        document(&traced, &args)["what_if"].clone()
    };
    let packed = |of: &Value| of["packed_bytes"].as_u64().expect("is known");
    for (one, other) in [("a", "b"), ("b", "a")] {
        let [one, other] = [one, other].map(|name| format!("/usr/share/spoon/{name}"));
        let alone = weighed(&[&format!("drop {one}")]);
        assert!(packed(&alone["saved"]) < 1000, "{one}: {alone:#}");
        assert_eq!(found(&alone["files"], "path", &one)["stays_as"], other.as_str());
        let both = weighed(&[&format!("drop {one}"), &format!("drop {other}")]);
        assert!(packed(&both["saved"]) > 12_000, "{both:#}");
        assert_eq!(found(&both["files"], "path", &one)["stays_as"], Value::Null);
    }
    let said = traced.home.done(&["inspect", &package, "--what-if", "drop /usr/share/spoon/a"]).stdout;
    assert_says(
        &said,
        &["note: contents that another path has stay", "/usr/share/spoon/a: as /usr/share/spoon/b\n"],
    );
    let all = document(&traced, &["inspect", &package, "--retained", "--json"]);
    let spoon = found(&all["retained"]["packages"], "name", "spoon");
    assert!(packed(&spoon["retained"]) > 12_000, "{spoon:#}");
}

#[test]
fn the_largest_things_that_could_go_are_named_with_their_risk() {
    let Some((traced, package)) = built() else { return };
    let all = document(&traced, &["inspect", &package, "--why-big", "--json"]);
    let things = all["why_big"]["things"].as_array().expect("a list");
    let subject = |name: &str, value: &str| things.iter().find(|thing| thing["subject"][name] == value);
    let spoon = subject("package", "spoon").expect("is there");
    assert_eq!((&spoon["saves"]["files"], &spoon["risk"]["fatal"]), (&3.into(), &false.into()));
    assert_eq!(spoon["asked_by"], serde_json::json!(["requested"]));
    // The app, and what the recipe starts, cannot go.
    assert!(subject("package", "tea").is_none() && things.len() <= 10, "{things:#?}");
    let said = traced.home.done(&["inspect", &package, "--why-big"]).stdout;
    assert_says(
        &said,
        &["  package spoon (3 files)\n", "risk: the exercise used 1 file of it, first in GET:/"],
    );
    assert!(all["duplicates"]["equal"].is_array() && all["budget_bytes"].is_null());
}

#[test]
fn another_format_is_weighed_as_well() {
    let Some((traced, package)) = built() else { return };
    let image = traced.home.path("tea.tar");
    traced.done(&["convert", &package, text(&image)]);
    let all = document(&traced, &["inspect", text(&image), "--retained", "--json"]);
    let spoon = found(&all["retained"]["packages"], "name", "spoon");
    assert_eq!(spoon["retained"]["size_bytes"], 34);
}

#[test]
fn the_list_of_files_has_what_each_takes_compressed_and_as_it_is() {
    let Some((traced, package)) = built() else { return };
    let listed = traced.home.done(&["inspect", &package, "--files"]).stdout;
    let (head, lines) = listed.split_once('\n').expect("has a head");
    assert_eq!(head, "compressed       bytes  package  path");
    let all = document(&traced, &["inspect", &package, "--json"]);
    let column = |at: usize| -> u64 {
        let cells = lines.lines().map(|line| line.split_whitespace().nth(at).expect("has four columns"));
        cells.filter_map(|cell| cell.parse::<u64>().ok()).sum()
    };
    assert_eq!(column(0), all["packed"]["files_bytes"]);
    let bytes: u64 =
        all["packages"].as_array().into_iter().flatten().filter_map(|sum| sum["size_bytes"].as_u64()).sum();
    assert_eq!(column(1), bytes);
    assert_says(lines, &["         8  spoon  /usr/share/spoon/spoon\n"]);
}

#[test]
fn one_page_shows_what_is_there_why_and_what_could_go() {
    let Some((traced, package)) = built() else { return };
    let page = traced.home.done(&["inspect", &package, "--format", "html"]).stdout;
    assert_says(
        &page,
        &[
            "<title>Tea &amp; milk ",
            "Content-Security-Policy",
            "The largest things that could go",
            "<a href=\"#by=package&amp;in=spoon\">package spoon</a>",
            "recipe: prune.keep &quot;/usr/share/fork/*&quot;",
        ],
    );
    let (_, data) = page.split_once("id=\"data\">").expect("is there");
    let data: Value = serde_json::from_str(data.split_once("</script>").expect("ends").0).expect("is JSON");
    let files = data["files"].as_array().expect("a list");
    let place = files.iter().position(|file| file[0] == "usr/share/fork/large").expect("is there");
    let cause = data["why"]["causes"][place][0].as_u64().expect("is no file") as usize;
    assert_eq!(data["why"]["texts"][cause], "recipe: prune.keep \"/usr/share/fork/*\"");
    assert_eq!(page, traced.home.done(&["inspect", &package, "--format", "html"]).stdout);
    let refused = traced.home.run(&["inspect", &package, "--format", "html", "--retained"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}
