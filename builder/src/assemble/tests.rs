use super::*;
use crate::{
    digest::Digest,
    fetch::{Fetched, FetchedDeb},
    lock::LockedPackage,
    progress::Progress,
    store::Store,
    testing::{Deb, deb},
    unpack::unpack,
};

pub(super) fn unpacked(debs: &[Deb]) -> Unpacked {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("store")).expect("opens");
    let mut fetched = Fetched::default();
    for deb in debs {
        let bytes = deb.build();
        let package = LockedPackage {
            name: deb.get("Package").into(),
            version: deb.get("Version").into(),
            architecture: deb.get("Architecture").into(),
            suite: "bookworm".into(),
            path: deb.file_name(),
            size_bytes: bytes.len() as u64,
            checksum: Digest::of(&bytes).into(),
            because: "asked for".into(),
        };
        let path = directory.path().join(deb.file_name());
        std::fs::write(&path, &bytes).expect("writes");
        fetched.debs.push(FetchedDeb { package, path, digest: Digest::of(&bytes) });
    }
    unpack(&fetched, &store, &Progress::silent()).expect("unpacks")
}

/// Returns the tree below `usr/share`, `PATH KIND MODE OWNER TARGET` or contents' first letters.
fn show(debs: &[Deb]) -> Result<String, String> {
    let unpacked = unpacked(debs);
    let assembled = assemble(&unpacked).map_err(|error| error.to_string())?;
    let mut reversed = unpacked.clone();
    reversed.packages.reverse();
    let other = assemble(&reversed).expect("as before");
    assert_eq!(other.tree.to_text(), assembled.tree.to_text(), "the order of the input shows");
    let mut out = String::new();
    for (path, entry) in assembled.tree.iter() {
        let owners: Vec<&str> = assembled.owners.owners(path.as_bytes()).collect();
        let what = match &entry.kind {
            Kind::Directory => format!("dir {:04o}", entry.mode),
            Kind::Symlink { target } => format!("-> {}", String::from_utf8_lossy(target)),
            Kind::File { hard_link: Some(first), .. } => format!("= {first}"),
            Kind::File { size_bytes, .. } => format!("file {size_bytes}"),
            other => format!("{other:?}"),
        };
        if owners.is_empty() || !path.is_at_or_below(b"usr") && path.as_bytes() != b"lib64" {
            continue;
        }
        out += &format!("{path} {what} [{}]\n", owners.join(" "));
    }
    for decision in &assembled.decisions {
        out += &format!("({decision})\n");
    }
    Ok(out)
}

#[test]
fn clashes_are_decided_as_dpkg_does() {
    let cases = [
        (
            "shared directories; the first one's mode",
            vec![
                deb("a").directory("usr/d", 0o750).file("usr/d/x", 0o644, "1"),
                deb("b").directory("usr/d", 0o700),
            ],
            "usr dir 0755 [a b]\nusr/d dir 0750 [a b]\nusr/d/x file 1 [a]\n",
        ),
        (
            "a link where a directory lies",
            vec![
                deb("lib").file("usr/d/x", 0o644, "1"),
                deb("app").field("Depends", "lib").symlink("usr/d", "/etc/d"),
            ],
            "usr dir 0755 [app lib]\nusr/d dir 0755 [app lib]\nusr/d/x file 1 [lib]\n\
             (/usr/d stays the directory of lib; app has a link there)\n",
        ),
        (
            "a directory where a link to one lies",
            vec![
                deb("a").file("usr/real/y", 0o644, "1").symlink("usr/d", "real"),
                deb("b").file("usr/d/x", 0o644, "12"),
            ],
            "usr dir 0755 [a b]\nusr/d -> real [a b]\nusr/real dir 0755 [a]\nusr/real/x file 2 [b]\n\
             usr/real/y file 1 [a]\n(/usr/d stays the link of a; b has a directory there)\n",
        ),
        (
            "one link in two packages to one directory",
            vec![
                deb("a").file("usr/real/y", 0o644, "1").symlink("usr/d", "real"),
                deb("b").symlink("usr/d", "/usr/real"),
            ],
            "usr dir 0755 [a b]\nusr/d -> real [a b]\nusr/real dir 0755 [a]\nusr/real/y file 1 [a]\n",
        ),
        (
            "the later one replaces",
            vec![
                deb("a").file("usr/x", 0o644, "1"),
                deb("b").field("Replaces", "a (<< 2)").file("usr/x", 0o644, "12"),
            ],
            "usr dir 0755 [a b]\nusr/x file 2 [b]\n(/usr/x is that of b, which replaces files of a)\n",
        ),
        (
            "the earlier one replaces",
            vec![
                deb("a").field("Replaces", "c, b").file("usr/x", 0o644, "1"),
                deb("b").file("usr/x", 0o644, "12"),
            ],
            "usr dir 0755 [a b]\nusr/x file 1 [a]\n(/usr/x is that of a, which replaces files of b)\n",
        ),
        (
            "a diversion",
            vec![
                deb("a").file("usr/x", 0o644, "1"),
                deb("b").script("preinst", "dpkg-divert --add --package b /usr/x").file("usr/x", 0o644, "12"),
            ],
            "usr dir 0755 [a b]\nusr/x file 2 [a b]\n(/usr/x is that of b until a diversion settles it with a)\n",
        ),
        (
            "hard links below /usr and across it",
            vec![
                deb("a")
                    .file("bin/x", 0o755, "1")
                    .hard_link("usr/bin/y", "bin/x")
                    .hard_link("sbin/a", "bin/x"),
            ],
            "usr dir 0755 [a]\nusr/bin dir 0755 [a]\nusr/bin/x file 1 [a]\nusr/bin/y = usr/bin/x [a]\n\
             usr/sbin/a = usr/bin/x [a]\n",
        ),
        (
            "hard links outlive a replaced first name",
            vec![
                deb("a").file("usr/x", 0o755, "1").hard_link("usr/y", "usr/x").hard_link("usr/z", "usr/x"),
                deb("b").field("Replaces", "a").file("usr/x", 0o644, "12"),
            ],
            "usr dir 0755 [a b]\nusr/x file 2 [b]\nusr/y file 1 [a]\nusr/z = usr/y [a]\n\
             (/usr/x is that of b, which replaces files of a)\n",
        ),
    ];
    for (summary, debs, expected) in cases {
        assert_eq!(show(&debs), Ok(expected.into()), "{summary}");
    }
}

#[test]
fn what_cannot_be_is_listed() {
    let cases = [
        (
            "one file in two packages",
            vec![
                deb("a").file("usr/x", 0o644, "1").file("bin/y", 0o644, "1"),
                deb("b").file("usr/x", 0o644, "1").symlink("usr/bin/y", "z").field("Replaces", "a (<< 1.0)"),
            ],
            "packages clash\n  /usr/bin/y is in a 1.0 and in b 1.0, and neither replaces the other\n  \
             /usr/x is in a 1.0 and in b 1.0, and neither replaces the other",
        ),
        (
            "a file where a directory lies",
            vec![
                deb("a").file("usr/d/x", 0o644, "1"),
                deb("b").field("Replaces", "a").file("usr/d", 0o644, "1"),
            ],
            "packages clash\n  /usr/d is a directory in a 1.0 and another kind of file in b 1.0",
        ),
        (
            "a directory where a file lies",
            vec![deb("a").file("usr/d", 0o644, "1"), deb("b").directory("usr/d", 0o755)],
            "packages clash\n  /usr/d is a directory in b 1.0 and another kind of file in a 1.0",
        ),
        (
            "something else where /usr is merged",
            vec![deb("a").symlink("bin", "/nowhere"), deb("b").file("sbin", 0o755, "1")],
            "packages clash\n  /bin is a directory in every root and another kind of file in a 1.0\n  \
             /sbin is a directory in every root and another kind of file in b 1.0",
        ),
        (
            "below a link that leads nowhere",
            vec![deb("a").symlink("usr/d", "/nowhere"), deb("b").file("usr/d/x", 0o644, "1")],
            "packages clash\n  /usr/d is a directory in b 1.0 and another kind of file in a 1.0\n  \
             /usr/d/x of b 1.0 cannot lie below /usr/d, which is not a directory",
        ),
    ];
    for (summary, debs, expected) in cases {
        assert_eq!(show(&debs), Err(expected.into()), "{summary}");
    }
}

#[test]
fn links_never_lead_out_of_the_root() {
    let debs = [
        deb("a").directory("etc", 0o755).symlink("usr/d", "../../../../etc"),
        deb("b").file("usr/d/passwd", 0o644, "1"),
    ];
    let assembled = assemble(&unpacked(&debs)).expect("assembles");
    assert!(assembled.tree.get(b"etc/passwd").is_some());
    assert_eq!(assembled.owners.owner(b"etc/passwd"), Some("b"));
}

#[test]
fn usr_is_merged() {
    let bookworm = [
        deb("base-files").field("Essential", "yes").directory("bin", 0o755).directory("lib", 0o755),
        deb("dash").file("bin/sh", 0o755, "1"),
        deb("libc6").file("lib64/ld.so", 0o755, "1").file("lib/x/libc.so", 0o755, "1").file(
            "usr/lib/x/libm.so",
            0o644,
            "1",
        ),
    ];
    let trixie = [
        deb("base-files")
            .field("Essential", "yes")
            .symlink("bin", "usr/bin")
            .symlink("lib64", "usr/lib64")
            .mtime_s(1_700_000_000),
        deb("dash").file("usr/bin/sh", 0o755, "1"),
        deb("libc6").file("usr/lib64/ld.so", 0o755, "1").file("usr/lib/x/libc.so", 0o755, "1"),
    ];
    for debs in [&bookworm, &trixie] {
        let Assembled { tree, owners, decisions } = assemble(&unpacked(debs)).expect("assembles");
        for name in ["bin", "sbin", "lib", "lib64"] {
            let target = format!("usr/{name}").into_bytes();
            assert_eq!(tree.get(name.as_bytes()).expect(name).kind, Kind::Symlink { target });
        }
        assert!(tree.get(b"lib32").is_none());
        for path in ["usr/bin/sh", "usr/lib64/ld.so", "usr/lib/x/libc.so"] {
            assert!(tree.get(path.as_bytes()).is_some(), "{path}");
        }
        for path in [&b"bin/sh"[..], b"usr/bin/sh"] {
            assert_eq!(owners.owner(path), Some("dash"));
        }
        assert!(tree.iter().all(|(_, entry)| entry.mtime_s >= 1_600_000_000));
        assert_eq!(decisions, []);
    }
}

#[test]
fn diversions_move_owners() {
    let debs = [
        deb("a").file("usr/bin/x", 0o755, "1"),
        deb("b").script("preinst", "dpkg-divert").file("usr/bin/x", 0o755, "12"),
    ];
    let mut owners = assemble(&unpacked(&debs)).expect("assembles").owners;
    assert_eq!(owners.owner(b"bin/x"), None);
    let to = TreePath::new(b"bin/x.real").expect("good");
    owners.divert(b"bin/x", &to, Some("b"));
    assert_eq!(owners.owner(b"usr/bin/x"), Some("b"));
    assert_eq!(owners.owner(b"usr/bin/x.real"), Some("a"));
    let paths: Vec<String> = owners.paths("a").map(ToString::to_string).collect();
    assert_eq!(paths, ["", "usr", "usr/bin", "usr/bin/x.real"]);
}

#[test]
fn needs_come_first_and_essential_ones_before_all() {
    let debs = [
        deb("app").field("Depends", "zlib, mail-agent (>= 2) | none"),
        deb("bash").field("Essential", "yes").field("Pre-Depends", "libc6"),
        deb("libc6").field("Depends", "libgcc"),
        deb("libgcc").field("Depends", "libc6"),
        deb("mta-old").field("Provides", "mail-agent (= 1)"),
        deb("postfix").field("Provides", "mail-agent (= 2)").field("Depends", "zlib"),
        deb("zlib").field("Depends", "libc6 (>= 0.5)"),
    ];
    let unpacked = unpacked(&debs);
    let names = |indexes: Vec<usize>| -> Vec<String> {
        indexes.into_iter().map(|index| unpacked.packages[index].locked.name.clone()).collect()
    };
    assert_eq!(names(essential(&unpacked.packages)), ["libgcc", "libc6", "bash"]);
    assert_eq!(
        names(order(&unpacked.packages)),
        ["libgcc", "libc6", "bash", "zlib", "postfix", "app", "mta-old"]
    );
}

#[test]
fn what_a_preinst_counts_on_is_configured_before_it_runs() {
    let debs = [
        deb("adduser").field("Depends", "passwd"),
        deb("app").field("Depends", "database"),
        deb("base").field("Essential", "yes"),
        deb("database").field("Pre-Depends", "adduser, base").script("preinst", "#!/bin/sh\n"),
        deb("passwd").field("Depends", "zlib"),
        deb("plain").field("Pre-Depends", "adduser"),
        deb("tools"),
        deb("zlib"),
    ];
    let unpacked = unpacked(&debs);
    let names = |indexes: &[usize]| -> Vec<String> {
        indexes.iter().map(|index| unpacked.packages[*index].locked.name.clone()).collect()
    };
    let shown: Vec<_> = steps(&unpacked.packages)
        .iter()
        .map(|step| (names(&step.unpack).join(" "), names(&step.configure).join(" ")))
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        shown,
        [pair("zlib passwd adduser", "zlib passwd adduser"), pair("database app plain tools", ""),]
    );
}
