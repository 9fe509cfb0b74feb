//! The whole root, as dpkg itself judges it.

use std::process::Command;

use super::{
    alone, copy_recipe, main_recipes, share_debs,
    support::{Home, end, text},
};

#[test]
fn dpkg_finds_nothing_wrong_with_the_whole_root() {
    let _turn = alone();
    if end(Command::new("dpkg").arg("--version")).code != Some(0) {
        return tinyroot::testing::skip("this host has no dpkg to judge a root");
    }
    for name in &main_recipes() {
        let home = Home::new();
        share_debs(&home);
        let folder = copy_recipe(name, &home.path("recipes"));
        let root = home.path("root");
        home.done(&["stage", text(&folder), "--output", text(&root)]);
        for check in ["--audit", "--verify"] {
            let said = end(Command::new("dpkg").arg(format!("--root={}", root.display())).arg(check));
            assert_eq!(
                (said.code, said.stdout.as_str()),
                (Some(0), ""),
                "dpkg {check} of {name}: {}",
                said.stderr
            );
        }
        for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib")] {
            assert_eq!(std::fs::read_link(root.join(link)).expect("is a link"), std::path::Path::new(target));
        }
        assert!(home.fails(&["stage", text(&folder), "--output", text(&root)]).contains("already exists"));

        let (one, two) = (home.path("one.tar"), home.path("two.tar"));
        home.done(&["stage", text(&folder), "--output", text(&one)]);
        std::fs::remove_dir_all(home.path("cache/bundles/layer")).expect("the layer was kept");
        home.done(&["stage", text(&folder), "--output", text(&two)]);
        assert!(
            std::fs::read(one).expect("reads") == std::fs::read(two).expect("reads"),
            "{name} is staged otherwise"
        );
    }
}
