//! What `diff` compares besides packages: .debs, directories, tars, images of others.

use std::{fs, io::Write as _, os::unix::fs::symlink, path::PathBuf, process::Command};

use tinyroot::{
    digest::Digest,
    testing::{Compression, Deb, deb},
};

use super::{
    support::{Home, assert_says, end, text},
    traced_app::TracedApp,
};

fn tea(version: &str, leaf: &str) -> Deb {
    deb("tea")
        .version(version)
        .directory("usr/", 0o755)
        .directory("usr/share/", 0o755)
        .file("usr/share/leaf", 0o644, leaf)
        .symlink("usr/share/cup", "leaf")
}

/// Writes a .deb, the same as a directory, and the same as a compressed tar.
fn forms(home: &Home, deb: &Deb) -> [PathBuf; 3] {
    let [file, directory, tar] = ["tea.deb", "tea", "tea.tar.gz"].map(|name| home.path(name));
    fs::write(&file, deb.build()).expect("writes");
    fs::create_dir_all(directory.join("usr/share")).expect("makes");
    fs::write(directory.join("usr/share/leaf"), "green").expect("writes");
    symlink("leaf", directory.join("usr/share/cup")).expect("links");
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    archive.append_dir_all(".", &directory).expect("adds");
    let mut gzip =
        flate2::write::GzEncoder::new(fs::File::create(&tar).expect("creates"), Default::default());
    gzip.write_all(&archive.into_inner().expect("ends")).expect("writes");
    gzip.finish().expect("ends");
    [file, directory, tar]
}

#[test]
fn the_same_files_are_the_same_in_a_deb_a_directory_and_a_compressed_tar() {
    let home = Home::new();
    let forms = forms(&home, &tea("1.0", "green"));
    for before in &forms {
        for after in &forms {
            if before != after && [before, after].iter().any(|path| path.ends_with("tea")) {
                let said = home.done(&["diff", text(before), text(after)]).stdout;
                assert_says(&said, &["the contents are the same"]);
            }
        }
    }
    let document = home.done(&["diff", text(&forms[1]), text(&forms[2]), "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).expect("is JSON");
    assert_eq!(document["before_taken_for"], "directory");
    assert_eq!(document["after_taken_for"], "tar");
    assert!(document["artifact_before_bytes"].is_null() && document["after"].is_null());
    assert_eq!(document["artifact_after_bytes"], fs::metadata(&forms[2]).expect("is there").len());
}

/// What everything takes, files, metadata and container, is the size of each side's file.
fn assert_prices_are_sizes(document: &serde_json::Value, files: [&PathBuf; 2]) {
    for (side, file) in ["before", "after"].iter().zip(files) {
        let part = |what: &str| document[format!("{what}_{side}_bytes")].as_u64().expect("is known");
        let sum = part("packed") + part("metadata") + part("container");
        assert_eq!(sum, fs::metadata(file).expect("is there").len(), "{side}");
    }
}

#[test]
fn two_versions_of_a_deb_differ_by_their_files_and_a_limit_looks_at_the_files() {
    let home = Home::new();
    let [old, new] = ["old.deb", "new.deb"].map(|name| home.path(name));
    fs::write(&old, tea("1.0", "green").build()).expect("writes");
    fs::write(&new, tea("1.1", &"black ".repeat(1000)).build()).expect("writes");
    let said = home.done(&["diff", text(&old), text(&new)]).stdout;
    assert_says(&said, &["  file: ", "tea 1.0 -> 1.1 (1 changed)", "changed   /usr/share/leaf tea"]);
    let document = home.done(&["diff", text(&old), text(&new), "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).expect("is JSON");
    assert_prices_are_sizes(&document, [&old, &new]);
    let ended = home.run(&["diff", text(&old), text(&new), "--fail-over", "0"]);
    assert_eq!(ended.code, Some(3));
    assert_says(&ended.stderr, &["limit exceeded: the file grew by "]);
    // A directory has no file, so what is installed counts.
    let directory = home.path("tea");
    fs::create_dir_all(directory.join("usr/share")).expect("makes");
    let ended = home.run(&["diff", text(&directory), text(&new), "--fail-over", "100"]);
    assert_says(&ended.stderr, &["limit exceeded: the installed contents grew by 6.0 kB"]);
}

#[test]
fn two_debs_show_their_changelog_and_what_a_merged_usr_moved() {
    let home = Home::new();
    let [old, new] = ["old.deb", "new.deb"].map(|name| home.path(name));
    let entry = |version: &str, text: &str| {
        format!(
            "tea ({version}) unstable; urgency=medium\n\n  * {text}\n\n -- A <a@example.org>  Mon, 01 Jan 2024 00:00:00 +0000\n\n"
        )
    };
    let gzipped = |text: &str| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        gzip.write_all(text.as_bytes()).expect("takes");
        gzip.finish().expect("ends")
    };
    let [first, second] = [entry("1.0", "Pick it."), entry("1.1", "Brew it longer.")];
    let changelog = "usr/share/doc/tea/changelog.Debian.gz";
    let before = tea("1.0", "green").file(changelog, 0o644, gzipped(&first));
    let after = tea("1.1", "green").file(changelog, 0o644, gzipped(&(second + &first)));
    fs::write(&old, before.file("lib/systemd/system/tea.service", 0o644, "[Unit]\n").build())
        .expect("writes");
    fs::write(&new, after.file("usr/lib/systemd/system/tea.service", 0o644, "[Unit]\n").build())
        .expect("writes");
    let said = home.done(&["diff", text(&old), text(&new)]).stdout;
    assert_says(&said, &["  1.1 unstable: Brew it longer.\n", "renamed   /lib/systemd/system/tea.service"]);
    assert!(!said.contains("Pick it.") && !said.contains("  removed"), "{said}");
}

#[test]
fn an_operand_that_is_none_is_named_with_what_it_was_taken_for() {
    let home = Home::new();
    let whole = tea("1.0", "green").build();
    let [good, bad] = ["good.deb", "bad"].map(|name| home.path(name));
    fs::write(&good, &whole).expect("writes");
    let path = text(&bad);
    for (bytes, words) in [
        (
            b"hello".to_vec(),
            format!("error: cannot compare {path}: it begins as no package, image, tar or .deb"),
        ),
        (whole[..whole.len() - 9].to_vec(), format!("error: cannot read {path} as a .deb\n  cause: ")),
        (
            [b"\x1f\x8b\x08".to_vec(), vec![9; 99]].concat(),
            format!("error: cannot read {path} as a tar\n  cause: "),
        ),
    ] {
        fs::write(&bad, bytes).expect("writes");
        assert_says(&home.fails(&["diff", text(&good), path]), &[&words]);
    }
    assert_says(
        &home.fails(&["diff", text(&good), text(&home.path("none"))]),
        &["error: cannot open ", "none"],
    );
}

#[test]
fn a_recipe_is_what_it_would_give_now_and_a_revision_what_it_gave() {
    let Some(traced) = TracedApp::new() else { return };
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(args);
        let done =
            command.current_dir(&traced.recipe).env("HOME", traced.home.path("")).output().expect("runs");
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let run = |args: &[&str]| end(&mut traced.command(args));
    let done = |args: &[&str]| {
        let ended = run(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        ended
    };
    let recipe = text(&traced.recipe);
    let package = traced.home.path("tea.spk");
    done(&["build", recipe, "--no-proof", "--output", text(&package)]);
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "First"]);
    // Its papers alone differ: nobody signed it.
    let said = done(&["diff", text(&package), recipe, "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&said).expect("is JSON");
    assert_eq!(
        (&document["after_taken_for"], &document["artifact_after_bytes"]),
        (&"recipe".into(), &().into())
    );
    let paths = document["paths"].as_array().expect("a list").iter().map(|path| &path["path"]);
    assert_eq!(paths.collect::<Vec<_>>(), ["tinyroot/papers/proof.json"]);
    let same = "the contents are the same but for the proof, which a recipe has only when it is built\n";
    let said = done(&["diff", recipe, text(&package)]).stdout;
    assert_says(&said, &["  file of B: ", " (A is a recipe, not a file)\n"]);
    assert!(said.ends_with(same) && !said.contains("by path"), "{said}");
    assert_says(&done(&["diff", recipe, text(&package), "--format", "markdown"]).stdout, &[same]);

    let file = traced.recipe.join("recipe.toml");
    let was = fs::read_to_string(&file).expect("reads");
    fs::write(&file, format!("# Another line.\n{was}")).expect("writes");
    let revision = format!("{recipe}@HEAD");
    let said = done(&["diff", &revision, recipe]).stdout;
    assert_says(&said, &["+16 B", "changed   /tinyroot/papers/recipe/recipe.toml"]);
    git(&["commit", "-qam", "Second"]);
    assert_says(&done(&["diff", &revision, recipe]).stdout, &["the contents are the same"]);
    let ended = run(&["diff", &format!("{recipe}@HEAD~7"), recipe]);
    assert_says(&ended.stderr, &["error: `HEAD~7` is no commit of the repository of "]);
    symlink("/etc/passwd", traced.recipe.join("out")).expect("links");
    git(&["add", "-A"]);
    git(&["commit", "-qm", "Third"]);
    let ended = run(&["diff", &revision, recipe]);
    assert_says(&ended.stderr, &["error: `out` in commit ", " is a symbolic link"]);
}

/// Makes a tar of files, and of links where the second text says where to.
fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, text) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        if *kind == tar::EntryType::Regular {
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, name, text.as_bytes()).expect("adds");
        } else {
            archive.append_link(&mut header, name, text).expect("adds");
        }
    }
    archive.into_inner().expect("ends")
}

#[test]
fn an_image_that_docker_saved_is_its_layers_one_over_the_other() {
    use tar::EntryType::{Link, Regular, Symlink};
    let home = Home::new();
    let lower = [("etc/a", Regular, "x\n"), ("etc/b", Link, "etc/a"), ("usr/share/leaf", Regular, "green")];
    let upper = [
        ("etc/.wh.a", Regular, ""),
        ("usr/share/.wh..wh..opq", Regular, ""),
        ("usr/share/cup", Regular, "tea"),
    ];
    let layers = [tar_of(&lower), tar_of(&upper)].map(|layer| String::from_utf8(layer).expect("is text"));
    let ids: Vec<String> =
        [0, 1, 1].map(|at: usize| format!("sha256:{}", Digest::of(layers[at].as_bytes()))).to_vec();
    let config = serde_json::json!({ "rootfs": { "type": "layers", "diff_ids": ids } }).to_string();
    let names = ["0/layer.tar", "1/layer.tar", "2/layer.tar"];
    let manifest = serde_json::json!([{ "Config": "c.json", "Layers": names }]).to_string();
    let image = home.path("saved.tar");
    let saved = tar_of(&[
        ("c.json", Regular, &config),
        ("manifest.json", Regular, &manifest),
        ("0/layer.tar", Regular, &layers[0]),
        ("1/layer.tar", Regular, &layers[1]),
        ("2/layer.tar", Symlink, "../1/layer.tar"),
    ]);
    fs::write(&image, saved).expect("writes");
    let directory = home.path("tea");
    fs::create_dir_all(directory.join("etc")).expect("makes");
    fs::write(directory.join("etc/b"), "x\n").expect("writes");
    let said = home.done(&["diff", text(&directory), text(&image), "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&said).expect("is JSON");
    assert_eq!((&document["after_taken_for"], &document["after_bytes"]), (&"image".into(), &5.into()));
    let files = document["paths"].as_array().expect("a list").iter().map(|path| &path["path"]);
    let files: Vec<_> =
        files.filter(|path| path.as_str().is_some_and(|path| path.contains("/share/"))).collect();
    assert_eq!(files, ["usr/share/cup"]);

    let bad = tar_of(&[("a", Link, "../../etc/passwd")]);
    fs::write(home.path("bad.tar"), bad).expect("writes");
    let said = home.fails(&["diff", text(&directory), text(&home.path("bad.tar"))]);
    assert_says(&said, &["bad.tar as a tar\n", "path `../../etc/passwd` has a `..` component"]);
}

/// Makes a tar of an OCI image layout, whose image has these layers (compressed, and not) in this order.
pub(super) fn layout_of(layers: &[(&[u8], &[u8])], order: &[usize]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes).expect("adds");
        let digest = Digest::of(bytes);
        serde_json::json!({ "digest": format!("sha256:{digest}"), "size": bytes.len() })
    };
    let mut blob = |bytes: &[u8]| add(&format!("blobs/sha256/{}", Digest::of(bytes)), bytes);
    let packed: Vec<_> = layers.iter().map(|(packed, _)| blob(packed)).collect();
    let ids: Vec<_> = order.iter().map(|at| format!("sha256:{}", Digest::of(layers[*at].1))).collect();
    let config = blob(serde_json::json!({ "rootfs": { "diff_ids": ids } }).to_string().as_bytes());
    let layers: Vec<_> = order.iter().map(|at| packed[*at].clone()).collect();
    let manifest = blob(serde_json::json!({ "config": config, "layers": layers }).to_string().as_bytes());
    add("index.json", serde_json::json!({ "manifests": [manifest] }).to_string().as_bytes());
    add("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#);
    archive.into_inner().expect("ends")
}

#[test]
fn layers_are_read_however_they_are_compressed() {
    use tar::EntryType::Regular;
    let home = Home::new();
    let plain = ["a", "b"].map(|name| tar_of(&[(name, Regular, "tea")]));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    gzip.write_all(&plain[0]).expect("memory takes it");
    let gzip = gzip.finish().expect("memory takes it");
    let zstd = plain.clone().map(|plain| zstd::encode_all(&plain[..], 3).expect("encodes"));
    // As engines push them, with a table behind the frames (zstd:chunked).
    let chunked = [&zstd[1][..], &[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0], b"xyz"].concat();
    let paths = ["plain", "gzip", "zstd"].map(|name| home.path(name));
    for (path, layers) in paths.iter().zip([[&plain[0], &plain[1]], [&gzip, &plain[1]], [&zstd[0], &chunked]])
    {
        let layers = [(&layers[0][..], &plain[0][..]), (&layers[1][..], &plain[1][..])];
        fs::write(path, layout_of(&layers, &[0, 1])).expect("writes");
    }
    for path in &paths[1..] {
        let said = home.done(&["diff", text(&paths[0]), text(path)]).stdout;
        assert_says(&said, &["the contents are the same"]);
    }
}

#[test]
fn what_files_take_in_zstd_and_bzip2_is_the_size_of_the_file() {
    use tar::EntryType::Regular;
    let home = Home::new();
    let compared = |[old, new]: [&PathBuf; 2]| -> serde_json::Value {
        let document = home.done(&["diff", text(old), text(new), "--json"]).stdout;
        serde_json::from_str(&document).expect("is JSON")
    };
    let noise: String = (0..4000_u32).map(|n| Digest::of(&n.to_le_bytes()).to_string()).collect();
    let zeros = "0".repeat(1 << 20);
    let plain = [("noise", &noise), ("zeros", &zeros)].map(|(name, text)| tar_of(&[(name, Regular, text)]));
    // Several frames, and the table of zstd:chunked.
    let (head, rest) = plain[0].split_at(100_000);
    let table = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let frames = [head, rest].map(|part| zstd::encode_all(part, 3).expect("encodes"));
    let chunked = [&frames[0][..], &table, &frames[1], &table].concat();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&plain[1]).expect("memory takes it");
    let bzip2 = bzip2.finish().expect("memory takes it");

    let [old, new] = ["old", "new"].map(|name| home.path(name));
    let tea = tar_of(&[("leaf", Regular, "green")]);
    fs::write(&old, layout_of(&[(&zstd::encode_all(&tea[..], 3).expect("encodes"), &tea)], &[0]))
        .expect("writes");
    fs::write(&new, layout_of(&[(&chunked, &plain[0]), (&bzip2, &plain[1])], &[0, 1])).expect("writes");
    let document = compared([&old, &new]);
    assert_prices_are_sizes(&document, [&old, &new]);
    let taken = |name: &str| {
        let paths = document["paths"].as_array().expect("a list");
        let path = paths.iter().find(|path| path["path"] == name).expect("is listed");
        path["packed_after_bytes"].as_u64().expect("is known")
    };
    let frames_bytes = (frames[0].len() + frames[1].len()) as u64;
    // Less what the tar's own blocks have of it, by proportion.
    let least = frames_bytes * 98 / 100;
    assert!((least..frames_bytes).contains(&taken("noise")), "{} of {frames_bytes}", taken("noise"));
    assert!(taken("zeros") < bzip2.len() as u64 && taken("zeros") > 0, "{}", taken("zeros"));

    let [old, new] = [("1.0", "green"), ("1.1", &noise)].map(|(version, leaf)| {
        let path = home.path(&format!("{version}.deb"));
        fs::write(&path, self::tea(version, leaf).compression(Compression::Zstd).build()).expect("writes");
        path
    });
    assert_prices_are_sizes(&compared([&old, &new]), [&old, &new]);
    let [zstd, other] = ["tar.zst", "tar.bz2"].map(|name| home.path(name));
    fs::write(&zstd, &chunked).expect("writes");
    fs::write(&other, &bzip2).expect("writes");
    assert_prices_are_sizes(&compared([&zstd, &other]), [&zstd, &other]);
}
