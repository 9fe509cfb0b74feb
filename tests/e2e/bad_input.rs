//! What is wrong is named, nothing half-written stays, and once it is mended the next run just works.

use std::fs;

use tinyroot::testing::{Fault, Key};

use super::{
    World, pool_file,
    support::{assert_says, names, text},
    write_recipe,
};

#[test]
fn a_wrong_key_of_a_recipe_is_shown_with_its_place_and_the_nearest() {
    let world = World::new();
    write_recipe(&world.home, r#"["tea"]"#, "pakages = [\"water\"]");
    let said = world.fails(&["lock", text(&world.recipe)]);
    assert_says(&said, &["recipe.toml:7:1", "pakages", "packages"]);
    assert_eq!(names(&world.recipe), ["recipe.toml"]);
}

#[test]
fn a_package_that_does_not_exist_is_answered_with_the_nearest() {
    let world = World::new();
    write_recipe(&world.home, r#"["tae"]"#, "");
    assert_says(&world.fails(&["lock", text(&world.recipe)]), &["tae", "tea"]);
    assert_says(&world.fails(&["resolve", "watre", "--suite", "bookworm"]), &["watre", "water"]);
}

#[test]
fn a_clash_is_told_with_the_requirement_and_whose_it_is() {
    let world = World::new();
    write_recipe(&world.home, r#"["tea", "coffee"]"#, "");
    let said = world.fails(&["lock", text(&world.recipe)]);
    assert_says(&said, &["coffee", "Conflicts", "tea"]);
    assert_eq!(names(&world.recipe), ["recipe.toml"]);
}

#[test]
fn a_signature_of_a_key_that_is_not_trusted_is_refused() {
    let world = World::new();
    let other = world.home.path("other.asc");
    fs::write(&other, Key::new(2).armored()).expect("writes");
    let url = world.server.url();
    let said = world.home.fails(&["lock", text(&world.recipe), "--mirror", &url, "--keyring", text(&other)]);
    assert_says(&said, &["InRelease", "sign"]);
    assert_eq!(names(&world.recipe), ["recipe.toml"]);
    world.lock();
}

#[test]
fn a_lock_of_another_request_is_refused() {
    let world = World::new();
    world.lock();
    write_recipe(&world.home, r#"["water"]"#, "");
    let ended = world.home.run(&world.args(&["build", text(&world.recipe)], &world.server.url()));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_says(&ended.stderr, &["recipe.lock was made for other packages", "tinyroot lock"]);
}

#[test]
fn a_deb_with_other_bytes_never_gets_into_the_cache() {
    let world = World::new();
    world.lock();
    let path = pool_file(&world.made.directory, "water");
    world.server.fault(&path, Fault::WrongBytes);
    let said = world.fails(&["build", text(&world.recipe), "--retry-time", "0"]);
    assert_says(&said, &["water"]);
    assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new());
    world.server.heal();
    world.fetches();
}

#[test]
fn a_locked_deb_that_has_left_the_mirror_is_named_with_what_moves_the_lock() {
    let world = World::new();
    world.lock();
    let path = world.made.directory.join(pool_file(&world.made.directory, "water"));
    let kept = fs::read(&path).expect("reads");
    fs::remove_file(&path).expect("removes");
    let said = world.fails(&["build", text(&world.recipe)]);
    assert_says(&said, &["water", &format!("`tinyroot lock {} --update water`", text(&world.recipe))]);
    fs::write(&path, kept).expect("writes");
    world.fetches();
}

#[test]
fn mirrors_that_refuse_cut_off_or_lie_about_lengths_are_named() {
    let world = World::new();
    world.server.fault("*", Fault::Status(404));
    assert_says(
        &world.fails(&["lock", text(&world.recipe)]),
        &["InRelease: it is not there", &world.server.url()],
    );
    assert_eq!(names(&world.recipe), ["recipe.toml"]);
    world.server.heal();
    world.lock();

    let path = pool_file(&world.made.directory, "tea");
    for fault in [Fault::Status(404), Fault::CutOff(1000), Fault::Short(1000)] {
        world.server.fault(&path, fault);
        assert_says(&world.fails(&["build", text(&world.recipe), "--retry-time", "0"]), &["tea"]);
        assert_eq!(names(&world.home.path("cache/tmp")), Vec::<String>::new());
    }
    world.server.heal();
    // A connection that breaks once is no fault.
    world.server.fault_times(&path, Fault::CutOff(1000), 1);
    world.fetches();
}

#[test]
fn offline_says_what_is_not_at_hand() {
    let world = World::new();
    world.lock();
    let said = world.fails(&["build", text(&world.recipe), "--offline"]);
    assert_says(&said, &["tea", "offline"]);
    world.fetches();
    let requests = world.server.requests().len();
    assert!(requests > 0);
    let said = world.fails(&["build", text(&world.recipe), "--offline"]);
    assert_says(&said, &["without dpkg"]);
    assert_eq!(world.server.requests(), []);
}
