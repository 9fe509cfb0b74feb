//! An app that lists a directory, as PostgreSQL does with its extensions: what the listing lacks it never
//! asks for.

use std::fs;

use tinyroot::testing::deb;

use super::{
    noise,
    serve::Page,
    support::{assert_says, end, text},
    traced_app::{TracedApp, with_code},
};

/// A server that opens an extension only if the directory of extensions has it.
const EXTENSIONS: &str = r#"if ($path =~ m{^/extension/(\w+)}) {
        my ($name, $at) = ($1, "/usr/share/tea-extensions");
        opendir(D, $at);
        my $is_there = grep { $_ eq "$name.control" } readdir(D);
        closedir(D);
        my $text = "extension $name is not available";
        if ($is_there && open(F, "<", "$at/$name.control")) { $text = <F> }
        print C "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n$text";
        close C;
        next;
    }"#;

const FIRST: &str = "[[exercise]]\nget = \"/extension/milk\"\ncontains = \"milk is ready\"\n";
const SECOND: &str = "[[exercise]]\nget = \"/extension/sugar\"\ncontains = \"sugar is ready\"\n";

/// The kitchen, whose exercise uses one of three extensions; they are too large to be kept as the directory
/// lists.
fn traced() -> Option<TracedApp> {
    let control = |name: &str| [format!("{name} is ready\n").into_bytes(), noise(20_000)].concat();
    let extensions = ["milk", "sugar", "lemon"].into_iter().fold(deb("tea-extensions"), |deb, name| {
        deb.file(&format!("usr/share/tea-extensions/{name}.control"), 0o644, control(name))
    });
    let recipe = format!("{}{FIRST}", with_code(EXTENSIONS));
    TracedApp::of(&recipe, |tea| vec![tea.field("Depends", "tea-extensions"), extensions])
}

#[test]
fn a_page_of_a_grain_shows_listings_that_lack_names_and_merging_adds_nothing_for_them() {
    let Some(traced) = traced() else { return };
    let page = Page::of(traced, &[]);
    let grain = page.make("a");
    assert_eq!(grain.get("/extension/sugar"), "extension sugar is not available");
    let shown = page.get(&format!("/grain/{}", grain.name())).body;
    let listing = "<li>listed /usr/share/tea-extensions, 2 names pruned, by /usr/bin/perl";
    assert_says(
        &shown,
        &["Directories that it listed without their pruned names", listing, "Nothing that was pruned"],
    );
    assert!(!shown.contains("sugar.control"), "{shown}");
    // The report on disk says the same, and holds nothing that could be traced.
    let before = page.traced.used();
    let found = find(&page.traced.home.path(""), "misses").expect("a report");
    assert_says(&fs::read_to_string(&found).expect("reads"), &["/usr/share/tea-extensions ", " listed:2\n"]);
    page.traced.done(&["trace", text(&page.traced.recipe), &format!("--merge={}", text(&found))]);
    assert_eq!(page.traced.used(), before);
    page.close();
}

#[test]
fn fix_finds_what_an_app_looks_for_in_a_listing() {
    let Some(traced) = traced() else { return };
    let recipe = traced.recipe.join("recipe.toml");
    let more = fs::read_to_string(&recipe).expect("reads") + SECOND;
    fs::write(&recipe, more).expect("writes");
    let artifact = traced.home.path("tea.spk");
    let build = ["build", text(&traced.recipe), "--output", text(&artifact)];
    let failed = end(&mut traced.command(&build));
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert_says(&failed.stderr, &["/usr/share/tea-extensions/sugar.control"]);
    let fixed = end(&mut traced.command(&[&build[..], &["--fix"]].concat()));
    assert_eq!(fixed.code, Some(0), "{}", fixed.stderr);
    let mended = fs::read_to_string(&recipe).expect("reads");
    assert_says(&mended, &["/usr/share/tea-extensions/sugar.control"]);
    assert!(!mended.contains("lemon"), "{mended}");
}

/// Returns the first file of a name below a directory.
fn find(directory: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    let here =
        entries.iter().find(|path| path.file_name().is_some_and(|found| found == name) && path.is_file());
    here.cloned().or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find(path, name)))
}
