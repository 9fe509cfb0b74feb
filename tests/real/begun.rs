//! From a package's name to an app that responds, without an edit: one package of each family.

use std::fs;

use super::{
    alone, give_debs, share_debs,
    support::{Home, assert_says, text},
};

/// A family, its package, what else is named, and what `init` says of the app's first page.
const FAMILIES: [(&str, &[&str], &str); 6] = [
    ("PHP with a database", &["phpmyadmin"], "it responds after"),
    ("Python, by WSGI", &["bepasty"], "\"Bepasty\""),
    ("Perl, by CGI", &["awstats"], "it responds after"),
    ("a daemon in C++", &["transmission-daemon"], "\"Transmission Web Interface\""),
    ("a daemon in Go", &["syncthing"], "it responds after"),
    ("Java, servlets", &["tomcat10-examples"], "\"Apache Tomcat Examples\""),
];

#[test]
fn a_package_of_each_family_is_started_by_init_alone() {
    let _turn = alone();
    for (family, packages, says) in FAMILIES {
        let home = Home::new();
        share_debs(&home);
        let folder = home.path("begun");
        let said = home.done(&[&["init"], packages, &["--output", text(&folder)]].concat()).stderr;
        assert_says(&said, &["it responds after", says]);
        let recipe = tinyroot::recipe::read(&folder).unwrap_or_else(|error| panic!("{family}: {error}"));
        assert_eq!(recipe.app.name, packages[0], "{family}");
        // What was found is told with its place.
        assert!(recipe.text.contains(": /") || recipe.text.contains(" /usr/"), "{family}:\n{}", recipe.text);
        assert!(fs::exists(folder.join("recipe.lock")).expect("looks"), "{family} has no lock");
        give_debs(&home);
    }
}
