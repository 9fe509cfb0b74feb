//! Tars and images of others that are small, and would be large once they are read.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use tar::EntryType;

use super::{super::operands::layout_of, limited, text};
use crate::support::{Home, assert_says};

/// A tar without end, to which members are added.
#[derive(Default)]
struct Members(Vec<u8>);

impl Members {
    fn add(&mut self, kind: EntryType, name: &str, body: &[u8]) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_path(name).expect("is short");
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(body.len() as u64);
        if kind == EntryType::Symlink {
            header.set_link_name("x").expect("is short");
        }
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn records(&mut self, records: &[(&str, &[u8])]) {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..).map(|digits| rest + digits).find(|all| rest + all.to_string().len() == *all);
            body.extend_from_slice(format!("{} {key}=", length.expect("there is one")).as_bytes());
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        self.add(EntryType::XHeader, "pax", &body);
    }
}

/// Files with an attribute of almost a megabyte each.
fn attributes(count: usize) -> Vec<u8> {
    let (mut members, value) = (Members::default(), vec![0; 1_000_000]);
    for index in 0..count {
        members.records(&[("SCHILY.xattr.user.a", &value)]);
        members.add(EntryType::Regular, &index.to_string(), b"");
    }
    members.0
}

/// Links whose paths and targets have some 4000 bytes each.
fn links(count: usize) -> Vec<u8> {
    let (mut members, long) = (Members::default(), vec!["d".repeat(250); 15].join("/"));
    for index in 0..count {
        members.records(&[("path", format!("{long}/{index}").as_bytes()), ("linkpath", long.as_bytes())]);
        members.add(EntryType::Symlink, "x", b"");
    }
    members.0
}

/// Files below 250 directories with long names each, of which the tar has none.
fn depths(first: impl Fn(usize) -> usize, count: usize) -> Vec<u8> {
    let (mut members, deep) = (Members::default(), format!("/{}", "d".repeat(14)).repeat(250));
    for index in 0..count {
        members.records(&[("path", format!("{}{deep}/{index}", first(index)).as_bytes())]);
        members.add(EntryType::Regular, "x", b"");
    }
    members.0
}

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain).expect("memory takes it");
    gzip.finish().expect("memory takes it")
}

/// Returns what a cache has of images.
fn kept(home: &Home) -> Vec<PathBuf> {
    let files = |at: &Path| fs::read_dir(at).into_iter().flatten().flatten().map(|entry| entry.path());
    ["cache/bundles/image", "cache/packs"].iter().flat_map(|name| files(&home.path(name))).collect()
}

#[test]
fn what_others_made_takes_memory_by_its_budget_and_leaves_nothing_where_it_is_refused() {
    let home = Home::new();
    let too_many = "it has more bytes of paths, link targets and attributes than allowed: 41943040";
    let once: &[usize] = &[0];
    for (what, plain, order, expected) in [
        ("attributes", attributes(48), once, too_many),
        ("links", links(6_000), once, too_many),
        ("depths", depths(|index| index, 100), once, too_many),
        ("a layer again and again", links(40), &[0; 300], too_many),
    ] {
        let tar = packed(&plain);
        let layout = layout_of(&[(&tar, &plain)], order);
        let [tar_at, layout_at] = ["tar.gz", "oci.tar"].map(|name| home.path(name));
        fs::write(&tar_at, tar).expect("writes");
        fs::write(&layout_at, layout).expect("writes");
        let tar = text(&tar_at);
        let layout = text(&layout_at);
        let mut commands = vec![vec!["verify", layout], vec!["diff", layout, layout]];
        if order.len() == 1 {
            commands.push(vec!["diff", tar, tar]);
        }
        for args in commands {
            let ended = limited(&home, &args);
            assert_eq!(ended.code, Some(1), "{what}: {args:?}\n{}", ended.stderr);
            assert_says(&ended.stderr, &[expected]);
            assert_eq!(kept(&home), Vec::<PathBuf>::new(), "{what}: {args:?}");
        }
    }
    // What is allowed is read, and kept if it is accepted.
    for plain in [links(4_000), depths(|_| 0, 6_000)] {
        let layout = home.path("oci.tar");
        fs::write(&layout, layout_of(&[(&packed(&plain), &plain)], once)).expect("writes");
        let ended = limited(&home, &["verify", text(&layout)]);
        assert_says(&ended.stderr, &["it is not a package of tinyroot's: it holds no signature"]);
        assert_eq!(kept(&home), Vec::<PathBuf>::new());
    }
    let ended = limited(&home, &["diff", text(&home.path("oci.tar")), text(&home.path("oci.tar"))]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(kept(&home).len(), 2);
}
