//! `tinyroot kube`: the limits of the manifest.

use super::{
    signed_by::{RECIPE, package, package_of},
    support::{Home, schemas, text},
};

/// Returns the lines of a manifest on what the grain may take.
fn limits(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines().map(str::trim).skip_while(|line| *line != "limits:").skip(1);
    lines.take_while(|line| *line != "volumeMounts:").collect()
}

#[test]
fn as_json_it_is_a_list_of_the_same_objects() {
    let home = Home::new();
    let (spk, _) = package(&home);
    for (kind, expected) in [
        ("pod", &["PersistentVolumeClaim", "Pod", "NetworkPolicy"][..]),
        ("statefulset", &["StatefulSet", "NetworkPolicy"]),
    ] {
        let document = home.done(&["kube", &spk, "--kind", kind, "--json"]).stdout;
        let document: serde_json::Value = serde_json::from_str(&document).expect("is JSON");
        schemas::hold_to("kube", &document);
        assert_eq!((&document["apiVersion"], &document["kind"]), (&"v1".into(), &"List".into()));
        let kinds = document["items"].as_array().expect("a list").iter().map(|item| &item["kind"]);
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        let manifest = home.done(&["kube", &spk, "--kind", kind]).stdout;
        let kinds = manifest.lines().filter_map(|line| line.strip_prefix("kind: "));
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn limits_are_those_of_the_packages_recipe_in_any_format() {
    let home = Home::new();
    let recipe = format!("{RECIPE}[limits]\nmemory = \"256 MiB\"\ncpu = 0.25\n");
    let (spk, _) = package_of(&home, &recipe);
    for format in ["spk", "oci", "oci-dir", "squashfs", "erofs", "tar"] {
        let path = home.path(&format!("package-{format}"));
        home.done(&["convert", &spk, text(&path), "--format", format]);
        for kind in ["pod", "statefulset"] {
            let manifest = home.done(&["kube", text(&path), "--kind", kind]).stdout;
            assert_eq!(limits(&manifest), ["memory: \"256Mi\"", "cpu: \"250m\""], "{format}, {kind}");
        }
    }
    let manifest = home.done(&["kube", &spk, "--memory", "1Gi", "--cpu", "1.5"]).stdout;
    assert_eq!(limits(&manifest), ["memory: \"1Gi\"", "cpu: \"1500m\""]);
}

#[test]
fn without_limits_in_the_recipe_memory_has_one_and_processors_have_none() {
    let home = Home::new();
    let (spk, _) = package(&home);
    let manifest = home.done(&["kube", &spk]).stdout;
    assert_eq!(limits(&manifest), ["memory: \"512Mi\""]);
}
