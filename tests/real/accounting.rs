//! What `inspect` charges to files, packages and directories is a package's size, to the byte.
//!
//! Of every recipe where tests are long, else of some. Packages that `TINYROOT_TEST_PACKAGES` has are taken from there: they are packed as users have them. The others are
//! built in one home, so that what recipes share is made once; without a proof, which changes a paper of theirs
//! alone, and with `--fast`, since a sum holds for a stream of any effort.

use std::{fs, path::Path};

use serde_json::Value;
use tinyroot::testing::is_long;

use super::{
    alone, build_with, copy_recipe, kept, recipes, share_debs,
    support::{Home, names, text},
};

/// The recipe that is looked at in every format.
const IN_EVERY_FORMAT: &str = "cgit";

/// Those that differ from each other: a few programs, packages of npm, a file of modules.
const SOME: [&str; 3] = [IN_EVERY_FORMAT, "etherpad", "h2"];

/// The other formats, by their endings.
const OTHERS: [&str; 5] = ["oci.tar", "oci", "squashfs", "erofs", "tar"];

#[test]
fn sums_are_the_size_of_the_package_to_the_byte() {
    let _turn = alone();
    let home = Home::new();
    share_debs(&home);
    let is_due = |name: &String| is_long() || kept(name).is_some() || SOME.contains(&&name[..]);
    for name in recipes().iter().filter(|name| is_due(name)) {
        let package = kept(name).unwrap_or_else(|| {
            let package = home.path(&format!("{name}.spk"));
            let folder = copy_recipe(name, &home.path("recipes"));
            build_with(&home, &folder, &package, &["--no-proof", "--fast"]);
            package
        });
        hold(&home, name, &package);
        if name == IN_EVERY_FORMAT {
            for ending in OTHERS {
                let other = home.path(&format!("{name}.{ending}"));
                home.done(&["convert", text(&package), text(&other)]);
                hold(&home, name, &other);
            }
        }
    }
}

/// Adds up what `inspect` says of an artifact.
fn hold(home: &Home, name: &str, artifact: &Path) {
    let inside = home.done(&["inspect", text(artifact), "--files", "--json"]).stdout;
    let inside: Value = serde_json::from_str(&inside).expect("is JSON");
    let shown = format!("{name} as {}", inside["format"]);
    let packed = &inside["packed"];
    let [files, metadata, container] = ["files_bytes", "metadata_bytes", "container_bytes"]
        .map(|part| packed[part].as_u64().unwrap_or_else(|| panic!("{shown} has no {part}")));
    assert_eq!(files + metadata + container, size_bytes(artifact), "{shown}");
    assert_eq!(inside["size_bytes"], size_bytes(artifact), "{shown}");
    for list in ["files", "packages", "directories"] {
        let rows = inside[list].as_array().expect("is a list");
        let sum: u64 = rows.iter().filter_map(|row| row["packed_bytes"].as_u64()).sum();
        assert_eq!(sum, files, "{list} of {shown}");
    }
    // Not all to one: no file with contents is without a price.
    let rows = inside["files"].as_array().expect("is a list");
    let free = rows.iter().find(|row| row["kind"] == "file" && row["packed_bytes"].is_null());
    assert_eq!(free, None, "{shown}");
}

/// Returns the bytes of a file, or those of all files in a directory.
fn size_bytes(artifact: &Path) -> u64 {
    match artifact.is_dir() {
        true => names(artifact).into_iter().map(|name| size_bytes(&artifact.join(name))).sum(),
        false => fs::metadata(artifact).expect("is there").len(),
    }
}
