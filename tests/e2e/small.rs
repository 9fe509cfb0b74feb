//! What makes packages small without being asked, and what is proposed.

use tinyroot::testing::deb;

use super::{World, support::assert_says, support::text};

#[test]
fn lock_names_what_is_of_the_apps_own_source() {
    let world = World::of(vec![
        deb("tea").field("Source", "tea-suite (1.2)").field("Depends", "tea-data, tea-doc, water"),
        deb("tea-data").field("Source", "tea-suite"),
        deb("tea-doc").field("Source", "tea-suite"),
        deb("tea-suite").field("Depends", "tea"),
        deb("water"),
    ]);
    let warning = "tea-data is of the app's own source and not in app.packages, so it is pruned to what the exercise uses; to \
                   keep it whole, write below [app]: packages = [\"tea\", \"tea-data\"]";
    assert_says(&world.done(&["lock", text(&world.recipe)]), &[warning]);
    assert_says(&world.done(&["lock", text(&world.recipe)]), &["is up to date", warning]);
    super::write_recipe(&world.home, r#"["tea", "tea-data"]"#, "");
    let said = world.done(&["lock", text(&world.recipe)]);
    assert!(!said.contains("own source"), "{said}");
}
