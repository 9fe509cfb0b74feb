//! What is pushed beside an image: bills of materials, provenance, a signature that cosign knows.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::{Value, json};
use tinyroot::{
    digest::Digest,
    formats::{key_file::Key, sigstore},
    testing::MadeRegistry,
};

use super::{
    signed_by::{other, package},
    support::{Home, assert_says, names, text},
};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Writes a keyring of one key.
fn ring(home: &Home, key: &Key) -> String {
    let path = home.path("ring");
    fs::write(&path, key.to_bytes()).expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("closes it");
    text(&path).to_owned()
}

fn pushed(home: &Home, args: &[&str]) -> Value {
    serde_json::from_str(&home.done(&[args, &["--json"]].concat()).stdout).expect("is JSON")
}

/// Returns the image's digest, and the kinds of what refers to it.
fn listed(registry: &MadeRegistry, digest: &str) -> Vec<String> {
    let index = registry.manifest(&format!("sha256-{digest}")).expect("is there");
    let index: Value = serde_json::from_slice(&index).expect("is JSON");
    let kinds = index["manifests"].as_array().expect("a list").iter();
    kinds.map(|one| one["artifactType"].as_str().expect("is there").to_owned()).collect()
}

#[test]
fn what_refers_to_an_image_is_pushed_once_and_checked() {
    let home = Home::new();
    let (spk, key) = package(&home);
    let ring = ring(&home, &key);
    let own = key.app_id().to_string();
    let registry = MadeRegistry::start();
    let image = format!("docker://{}/apps/tea:1", registry.host());
    let push = ["convert", &spk, "--push", &image, "--key-file", &ring];
    let first = pushed(&home, &push);
    let digest = first["pushed"]["sha256"].as_str().expect("is there").to_owned();
    let kinds = ["application/spdx+json", "application/vnd.cyclonedx+json", BUNDLE];
    assert_eq!(first["pushed"]["referrers"], json!(kinds));
    assert_eq!(listed(&registry, &digest), kinds);
    // The tag is the last that is put there.
    let calls: Vec<String> = registry.calls().into_iter().map(|(call, _)| call).collect();
    assert!(calls.last().expect("is there").ends_with("PUT /v2/apps/tea/manifests/1"), "{calls:?}");
    let again = pushed(&home, &push);
    assert!(again["pushed"]["sent_bytes"].as_u64() < Some(6000), "{again}");
    assert_eq!(listed(&registry, &digest), kinds);
    let calls: Vec<String> = registry.calls().into_iter().map(|(call, _)| call).collect();
    assert!(
        !calls
            .iter()
            .any(|call| call.starts_with("PATCH") || call.contains("PUT /v2/apps/tea/manifests/sha256-"))
    );

    let said = home.done(&["verify", &image, "--signed-by", &own]).stdout;
    assert_says(&said, &["cosign      by the same key, holds\n"]);
    let json = home.done(&["verify", &image, "--json"]).stdout;
    assert_says(&json, &[r#""own": 1"#]);

    // One by a key that is not asked for; then one by the own key, of another image.
    let rows = [
        (
            sigstore::sign(&Key::from_seed([8; 32]), &digest.parse().expect("is one")),
            Ok("; 1 by others, not checked\n"),
        ),
        (sigstore::sign(&key, &Digest::of(b"")), Err("it is about another image: sha256:")),
        (b"{}".to_vec(), Err("it is not a bundle of sigstore")),
    ];
    let before = registry.manifest(&format!("sha256-{digest}")).expect("is there");
    for (bundle, expected) in rows {
        registry.add_blob(&bundle);
        let layer = json!({ "mediaType": BUNDLE, "digest": format!("sha256:{}", Digest::of(&bundle)), "size": bundle.len() });
        let manifest = json!({
            "artifactType": BUNDLE, "layers": [layer],
            "subject": { "digest": format!("sha256:{digest}"), "size": 1 },
        });
        let manifest = manifest.to_string().into_bytes();
        let name = format!("sha256:{}", Digest::of(&manifest));
        registry.add_manifest("unused", &manifest);
        let mut index: Value = serde_json::from_slice(&before).expect("is JSON");
        let one = json!({ "digest": name, "size": manifest.len(), "artifactType": BUNDLE });
        index["manifests"].as_array_mut().expect("a list").push(one);
        registry.add_manifest(&format!("sha256-{digest}"), index.to_string().as_bytes());
        for command in ["verify", "kube"] {
            let ended = home.run(&[command, &image, "--signed-by", &own]);
            match expected {
                Ok(_) if command == "kube" => assert_eq!(ended.code, Some(0), "{}", ended.stderr),
                Ok(said) => assert_says(&ended.stdout, &[said]),
                Err(why) => {
                    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
                    assert_says(
                        &ended.stderr,
                        &[&format!("the signature {name} that refers to it is false"), why],
                    );
                }
            }
        }
    }
}

#[test]
fn an_image_that_was_fetched_once_is_asked_for_by_its_manifest_alone() {
    let home = Home::new();
    let (spk, _) = package(&home);
    let registry = MadeRegistry::start();
    let image = format!("docker://{}/apps/tea:1", registry.host());
    home.done(&["convert", &spk, "--push", &image]);
    let fetch = |image: &str| {
        registry.calls();
        let copy = home.path("copy.spk");
        let ended = home.run(&["convert", image, text(&copy)]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(fs::read(&copy).expect("reads") == fs::read(&spk).expect("reads"));
        fs::remove_file(&copy).expect("removes");
        let calls: Vec<String> = registry.calls().into_iter().map(|(call, _)| call).collect();
        (calls, ended.stderr)
    };
    assert!(fetch(&image).0.len() > 2);
    assert_eq!(fetch(&image).0, ["GET /v2/apps/tea/manifests/1"]);
    // A digest cannot come to name anything else.
    let digest = Digest::of(&registry.manifest("1").expect("is there"));
    let by_digest = format!("docker://{}/apps/tea@sha256:{digest}", registry.host());
    assert_eq!(fetch(&by_digest).0, [""; 0]);
    let offline = home.path("offline.spk");
    home.done(&["convert", &by_digest, text(&offline), "--offline"]);
    // What was changed in the cache comes anew.
    let images = home.path("cache/images");
    let layer = names(&images).into_iter().map(|name| images.join(name));
    let layer = layer.max_by_key(|path| fs::metadata(path).expect("is there").len()).expect("is there");
    fs::write(&layer, "changed").expect("writes");
    let name = format!("GET /v2/apps/tea/blobs/{}", file_name(&layer).replace('-', ":"));
    let (calls, _) = fetch(&image);
    assert_eq!(calls, ["GET /v2/apps/tea/manifests/1".to_owned(), name]);
    let listed = home.done(&["cache", "list"]).stdout;
    assert_says(&listed, &["downloaded images"]);
    home.done(&["cache", "trim", "--keep", "0 B"]);
    assert_eq!(names(&images), [""; 0]);
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("has one").to_string_lossy().into_owned()
}

#[test]
fn a_registry_that_lists_what_refers_keeps_no_list_under_a_tag() {
    let home = Home::new();
    let (spk, key) = package(&home);
    let ring = ring(&home, &key);
    let registry = MadeRegistry::start();
    registry.know_referrers();
    let image = format!("docker://{}/apps/tea:1", registry.host());
    let document = pushed(&home, &["convert", &spk, "--push", &image, "--key-file", &ring]);
    let digest = document["pushed"]["sha256"].as_str().expect("is there");
    assert_eq!(registry.manifest(&format!("sha256-{digest}")), None);
    let said = home.done(&["verify", &image]).stdout;
    assert_says(&said, &["cosign      by the same key, holds\n"]);
}

#[test]
fn an_image_is_signed_by_the_key_of_its_app_alone() {
    let home = Home::new();
    let (spk, _) = package(&home);
    let others = ring(&home, &Key::from_seed([8; 32]));
    let registry = MadeRegistry::start();
    let image = format!("docker://{}/apps/tea:1", registry.host());
    let push = ["convert", &spk, "--push", &image, "--key-file", &others];
    let unsigned = home.run(&push);
    assert_eq!(unsigned.code, Some(0), "{}", unsigned.stderr);
    assert_says(&unsigned.stderr, &["warning: the image is pushed without a signature for cosign"]);
    let said = home.done(&["verify", &image]).stdout;
    assert_says(&said, &["cosign      none by this key\n"]);
    let pem = home.done(&["key", "public", &other()]).stdout;
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA"), "{pem}");
    let other = other();
    let refused = home.run(&[&push[..], &["--key", &other]].concat());
    assert_eq!(refused.code, Some(1));
    assert_says(&refused.stderr, &[&format!("cannot sign the image with the key {other}")]);
}
