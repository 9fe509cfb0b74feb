use super::*;

/// A tar stream built member by member, without the care that a proper writer takes.
#[derive(Default)]
struct Stream(Vec<u8>);

impl Stream {
    fn add(
        mut self,
        kind: u8,
        name: &[u8],
        link: &[u8],
        contents: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name);
        old.linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(EntryType::new(kind));
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(9);
        header.set_size(contents.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, contents: &str) -> Self {
        self.add(b'0', name.as_bytes(), b"", contents.as_bytes(), |_| {})
    }

    fn link(self, kind: u8, name: &str, target: &str) -> Self {
        self.add(kind, name.as_bytes(), target.as_bytes(), b"", |_| {})
    }

    fn pax(self, records: &[u8]) -> Self {
        self.add(b'x', b"pax", b"", records, |_| {})
    }

    fn read(&self) -> Result<String, String> {
        self.read_as(Dialect::Dpkg)
    }

    fn read_as(&self, dialect: Dialect) -> Result<String, String> {
        self.read_within(dialect, Budget::new())
    }

    fn read_within(&self, dialect: Dialect, mut budget: Budget) -> Result<String, String> {
        let text = |error: TarError| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        read_tree(&self.0[..], dialect, &mut budget).map_err(text).map(|tree| tree.to_text())
    }
}

fn hi() -> String {
    format!("2 sha256:{}", Digest::of(b"hi"))
}

#[test]
fn reads_what_dpkg_reads() {
    let long = format!("./{}/{}", "d".repeat(90), "f".repeat(90));
    let cases = [
        ("names", Stream::default().file("./a", "hi").file("/b", "hi").file("c//./d", "hi"), {
            let hi = hi();
            format!("/a file 0644 0:0 9 {hi}\n/b file 0644 0:0 9 {hi}\n/c/d file 0644 0:0 9 {hi}\n")
        }),
        ("root", Stream::default().link(b'5', "./", ""), "/ dir 0644 0:0 9\n".into()),
        (
            "a directory as before types",
            Stream::default().add(0, b"./a/", b"", b"", |_| {}),
            "/a dir 0644 0:0 9\n".into(),
        ),
        (
            "directory twice",
            Stream::default().link(b'5', "a/", "").add(b'5', b"a", b"", b"", |h| h.set_mode(0o700)),
            { "/a dir 0700 0:0 9\n".into() },
        ),
        (
            "hard links",
            Stream::default().file("b", "hi").link(b'1', "a", "./b").link(b'1', "c", "/a"),
            format!(
                "/a file 0644 0:0 9 {hi}\n/b file 0644 0:0 9 {hi} link:/a\n/c file 0644 0:0 9 {hi} link:/a\n",
                hi = hi()
            ),
        ),
        (
            "the last name's metadata",
            Stream::default()
                .file("b", "hi")
                .link(b'1', "a", "b")
                .add(b'1', b"c", b"a", b"", |h| h.set_mode(0o4755)),
            format!(
                "/a file 4755 0:0 9 {hi}\n/b file 4755 0:0 9 {hi} link:/a\n/c file 4755 0:0 9 {hi} link:/a\n",
                hi = hi()
            ),
        ),
        (
            "links and nodes",
            Stream::default().link(b'2', "l", "../../etc").link(b'6', "p", "").add(
                b'3',
                b"n",
                b"",
                b"",
                |h| {
                    h.set_device_major(1).expect("gnu has it");
                    h.set_device_minor(3).expect("gnu has it");
                },
            ),
            "/l link 0777 0:0 9 ../../etc\n/n char 0644 0:0 9 1:3\n/p fifo 0644 0:0 9\n".into(),
        ),
        (
            "a hard link to a link",
            Stream::default().link(b'2', "b", "c").link(b'1', "a", "b"),
            "/a link 0777 0:0 9 c\n/b link 0777 0:0 9 c\n".into(),
        ),
        (
            "empty numbers",
            Stream::default().add(b'0', b"a", b"", b"hi", |h| {
                let fields = &mut h.as_mut_bytes()[..];
                fields[100..108].fill(0);
                fields[108..116].fill(0);
                fields[116..124].fill(b' ');
                fields[136..148].fill(0);
            }),
            format!("/a file 0000 0:0 0 {}\n", hi()),
        ),
        (
            "a directory with an empty size",
            Stream::default().add(b'5', b"a", b"", b"", |h| h.as_mut_bytes()[124..136].fill(0)),
            "/a dir 0644 0:0 9\n".into(),
        ),
        (
            "setuid and owners",
            Stream::default().add(b'0', b"a", b"", b"hi", |h| {
                h.set_mode(0o104_755);
                h.set_uid(33);
                h.set_gid(4_000_000_000);
            }),
            format!("/a file 4755 33:4000000000 9 {}\n", hi()),
        ),
        (
            "long names",
            Stream::default()
                .add(b'L', b"././@LongLink", b"", format!("{long}\0").as_bytes(), |_| {})
                .add(b'K', b"././@LongLink", b"", format!("{long}\0").as_bytes(), |_| {})
                .link(b'2', "cut", "cut"),
            format!("/{} link 0777 0:0 9 {long}\n", &long[2..]),
        ),
        (
            "pax",
            Stream::default()
                .pax(b"10 path=b\n13 uid=70000\n15 mtime=-8.50\n39 SCHILY.xattr.security.capability=\n\0\n")
                .file("a", "hi"),
            format!("/b file 0644 70000:0 -9 {} xattr:security.capability=0a00\n", hi()),
        ),
        (
            "global comment",
            Stream::default().add(b'g', b"g", b"", b"13 comment=x\n", |_| {}).file("a", "hi"),
            { format!("/a file 0644 0:0 9 {}\n", hi()) },
        ),
    ];
    for (summary, stream, expected) in cases {
        assert_eq!(stream.read().as_deref(), Ok(&*expected), "{summary}");
    }
}

#[test]
fn refuses_what_is_hostile() {
    let end = "cannot read the tar stream";
    let entry = "the tar stream has an impossible entry";
    let cases = [
        ("up", Stream::default().file("../a", "hi"), format!("{entry}: path `../a` has a `..` component")),
        (
            "up inside",
            Stream::default().file("a/../../b", ""),
            format!("{entry}: path `a/../../b` has a `..` component"),
        ),
        (
            "long name with NUL at heart",
            Stream::default().pax(b"13 path=a\0bc\n").file("a", ""),
            format!("{entry}: path `a\\x00bc` has a NUL byte"),
        ),
        ("twice", Stream::default().file("a", "").file("./a", ""), "tar entry /a is there twice".into()),
        (
            "file over directory",
            Stream::default().link(b'5', "a", "").file("a", ""),
            "tar entry /a is there twice".into(),
        ),
        (
            "below an earlier link",
            Stream::default().link(b'2', "a", "/etc").file("a/b/passwd", ""),
            "tar entry /a/b/passwd lies below another entry that is not a directory".into(),
        ),
        (
            "below a later link",
            Stream::default().file("a/passwd", "").link(b'2', "a", "/etc"),
            "tar entry /a/passwd lies below another entry that is not a directory".into(),
        ),
        (
            "hard link outside",
            Stream::default().link(b'1', "a", "../../etc/shadow"),
            format!("{entry}: path `../../etc/shadow` has a `..` component"),
        ),
        (
            "hard link to what is not there",
            Stream::default().link(b'1', "a", "/etc/shadow"),
            "tar entry /a is a hard link to nothing that is before it in the archive".into(),
        ),
        (
            "hard link to a directory",
            Stream::default().link(b'5', "b", "").link(b'1', "a", "b"),
            "tar entry /a is a hard link to nothing that is before it in the archive".into(),
        ),
        (
            "empty target",
            Stream::default().link(b'2', "a", ""),
            "tar entry /a has an impossible link target".into(),
        ),
        (
            "directory with contents",
            Stream::default().add(b'5', b"a", b"", b"x", |_| {}),
            "tar entry /a has contents but is not a file".into(),
        ),
        (
            "below too many directories",
            Stream::default()
                .add(b'L', b"x", b"", "d/".repeat(256).as_bytes(), |_| {})
                .link(b'5', "x", "")
                .add(b'L', b"x", b"", "d/".repeat(258).as_bytes(), |_| {})
                .link(b'5', "x", ""),
            format!(
                "tar entry /{}…{} lies below more than 256 directories",
                "d/".repeat(60),
                "/d".repeat(40)
            ),
        ),
        ("root as file", Stream::default().file("./.", "x"), "tar entry / is not a directory".into()),
        (
            "sparse",
            Stream::default().link(b'S', "a", ""),
            "tar entry /a is of a kind that is not read".into(),
        ),
        (
            "unknown kind",
            Stream::default().link(b'Z', "a", ""),
            "tar entry /a is of a kind that is not read".into(),
        ),
        (
            "sparse by pax",
            Stream::default().pax(b"22 GNU.sparse.major=1\n").file("a", ""),
            "a tar extension header describes a sparse file".into(),
        ),
        (
            "two sizes",
            Stream::default().pax(b"9 size=1\n").file("a", "hi"),
            "tar entry /a has two sizes".into(),
        ),
        (
            "pax cut",
            Stream::default().pax(b"90 path=b\n").file("a", ""),
            "a tar extension header is damaged".into(),
        ),
        (
            "pax of nothing",
            Stream::default().pax(b"10 path=b\n"),
            "a tar extension header describes no entry".into(),
        ),
        (
            "pax length of many digits",
            Stream::default().pax(&b"9".repeat(400)).file("a", ""),
            "a tar extension header is damaged".into(),
        ),
        (
            "huge long name",
            Stream::default().add(b'L', b"x", b"", b"", |h| h.set_size(1 << 40)),
            "a tar extension header is too long".into(),
        ),
        (
            "owner beyond 32 bits",
            Stream::default().add(b'0', b"a", b"", b"", |h| h.set_uid(1 << 33)),
            "tar entry /a has an impossible owner".into(),
        ),
        (
            "time beyond time",
            Stream::default().add(b'0', b"a", b"", b"", |h| h.set_mtime(1 << 60)),
            "tar entry /a has an impossible time".into(),
        ),
        (
            "endless size",
            Stream::default().add(b'0', b"a", b"", b"", |h| h.set_size(1 << 62)),
            "it has more bytes of contents than allowed: 4294967296".into(),
        ),
        (
            "size that overflows",
            Stream::default().add(b'0', b"a", b"", b"", |h| h.set_size(u64::MAX)),
            format!("{end}: a header has an impossible size"),
        ),
        (
            "cut contents",
            Stream::default().add(b'0', b"a", b"", b"", |h| h.set_size(1 << 20)),
            format!("{end}: unexpected end of file"),
        ),
    ];
    for (summary, stream, expected) in cases {
        assert_eq!(stream.read(), Err(expected), "{summary}");
    }
}

/// A header with a sum of bytes that have signs.
fn signed(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: i64 = header[..512].iter().map(|byte| i64::from(byte.cast_signed())).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A sparse file of GNU tar's own kind: `parts`, and as many blocks of further ones as they need.
fn sparse(name: &str, parts: &[(u64, u64)], size_bytes: u64, stored: &[u8]) -> Stream {
    let numbers = |parts: &[(u64, u64)]| {
        parts.iter().map(|(at, len)| format!("{at:011o}\0{len:011o}\0")).collect::<String>()
    };
    let (own, further) = parts.split_at(parts.len().min(4));
    let mut stream = Stream::default().add(b'S', name.as_bytes(), b"", stored, |header| {
        let bytes = header.as_mut_bytes();
        bytes[386..386 + own.len() * 24].copy_from_slice(numbers(own).as_bytes());
        bytes[482] = u8::from(!further.is_empty());
        bytes[483..495].copy_from_slice(format!("{size_bytes:011o}\0").as_bytes());
    });
    let mut at = 512;
    for (index, parts) in further.chunks(21).enumerate() {
        let mut block = [0; 512];
        block[..parts.len() * 24].copy_from_slice(numbers(parts).as_bytes());
        block[504] = u8::from((index + 1) * 21 < further.len());
        stream.0.splice(at..at, block);
        at += 512;
    }
    stream
}

#[test]
fn reads_what_other_tars_hold() {
    let any = |stream: &Stream| stream.read_as(Dialect::Any);
    let contents = |bytes: &[u8]| format!("{} sha256:{}", bytes.len(), Digest::of(bytes));
    let mut old = Stream::default().add(b'0', "\u{e4}".as_bytes(), b"", b"hi", |_| {});
    signed(&mut old.0);
    let holes = [&[0; 5][..], b"hi", &[0; 2], b"there", &[0; 6]].concat();
    let many: Vec<(u64, u64)> = (0..60).map(|at| (at * 3, 1)).collect();
    let dotted = (0..180).map(|at| if at % 3 == 0 { b'x' } else { 0 }).collect::<Vec<u8>>();
    let map = "2\n5\n2\n9\n5\n";
    let body = format!("{map}{}hithere", "\0".repeat(512 - map.len()));
    let cases = [
        ("a sum with signs", old, format!("/\u{e4} file 0644 0:0 9 {}\n", hi())),
        ("a contiguous file", Stream::default().link(b'7', "a", ""), {
            format!("/a file 0644 0:0 9 {}\n", contents(b""))
        }),
        ("a label", Stream::default().link(b'V', "backup", "").link(b'5', "a", ""), {
            "/a dir 0644 0:0 9\n".into()
        }),
        (
            "what star says of the archive",
            Stream::default().add(b'g', b"g", b"", b"23 SCHILY.release=star\n", |_| {}).file("a", "hi"),
            format!("/a file 0644 0:0 9 {}\n", hi()),
        ),
        (
            "values that are taken back",
            Stream::default().pax(b"8 path=\n9 mtime=\n7 uid=\n").file("a", "hi"),
            format!("/a file 0644 0:0 9 {}\n", hi()),
        ),
        (
            "a later version",
            Stream::default().file("a", "old").link(b'2', "b", "a").file("a", "hi").file("b", "hi"),
            format!("/a file 0644 0:0 9 {hi}\n/b file 0644 0:0 9 {hi}\n", hi = hi()),
        ),
        (
            "a link to itself",
            Stream::default().file("a", "hi").link(b'1', "a", "a"),
            format!("/a file 0644 0:0 9 {}\n", hi()),
        ),
        (
            "sparse in a header",
            sparse("a", &[(5, 2), (9, 5)], 20, b"hithere"),
            format!("/a file 0644 0:0 9 {}\n", contents(&holes)),
        ),
        (
            "sparse in further blocks",
            sparse("a", &many, 180, &[b'x'; 60]).file("b", "hi"),
            format!("/a file 0644 0:0 9 {}\n/b file 0644 0:0 9 {}\n", contents(&dotted), hi()),
        ),
        (
            "sparse as PAX 0.0",
            Stream::default()
                .pax(
                    b"22 GNU.sparse.size=20\n26 GNU.sparse.numblocks=2\n23 GNU.sparse.offset=5\n\
                    25 GNU.sparse.numbytes=2\n23 GNU.sparse.offset=9\n25 GNU.sparse.numbytes=5\n",
                )
                .file("a", "hithere"),
            format!("/a file 0644 0:0 9 {}\n", contents(&holes)),
        ),
        (
            "sparse as PAX 0.1",
            Stream::default()
                .pax(b"22 GNU.sparse.size=20\n21 GNU.sparse.name=b\n26 GNU.sparse.map=5,2,9,5\n")
                .file("a", "hithere"),
            format!("/b file 0644 0:0 9 {}\n", contents(&holes)),
        ),
        (
            "sparse as PAX 1.0",
            Stream::default()
                .pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=b\n26 GNU.sparse.realsize=20\n")
                .file("a", &body),
            format!("/b file 0644 0:0 9 {}\n", contents(&holes)),
        ),
    ];
    for (summary, stream, expected) in cases {
        assert_eq!(any(&stream).as_deref(), Ok(&*expected), "{summary}");
    }
    let damaged = "a tar extension header has a damaged map of a sparse file";
    for (summary, stream, expected) in [
        ("parts over each other", sparse("a", &[(5, 2), (6, 5)], 20, b"hithere"), damaged),
        ("a part behind the end", sparse("a", &[(5, 2), (18, 5)], 20, b"hithere"), damaged),
        ("a part without end", sparse("a", &[(5, 2), (9, 0o77777777777)], 20, b"hithere"), damaged),
        (
            "less than the map says",
            sparse("a", &[(5, 2), (9, 5)], 20, b"hit"),
            "tar entry /a is a sparse file whose map does not fit its contents",
        ),
        (
            "a map without end",
            Stream::default()
                .pax(b"22 GNU.sparse.major=1\n26 GNU.sparse.realsize=20\n")
                .file("a", &"1".repeat(512)),
            damaged,
        ),
        (
            "a version to come",
            Stream::default().pax(b"22 GNU.sparse.major=2\n26 GNU.sparse.realsize=20\n").file("a", ""),
            "a tar extension header describes a sparse file in an unknown version",
        ),
        (
            "a later version of a file with two names",
            Stream::default().file("a", "old").link(b'1', "b", "a").file("b", "hi"),
            "tar entry /b is there twice",
        ),
        (
            "values for all",
            Stream::default().add(b'g', b"g", b"", b"8 uid=5\n", |_| {}).file("a", "hi"),
            "a tar extension header sets values for all entries",
        ),
    ] {
        assert_eq!(any(&stream), Err(expected.to_owned()), "{summary}");
    }
}

#[test]
fn counts_and_sizes_are_bounded() {
    let within = |stream: &Stream, entries, content_bytes, held_bytes| {
        stream.read_within(Dialect::Any, Budget::of(Limits { entries, content_bytes, held_bytes }))
    };
    let held =
        |limit| Err(format!("it has more bytes of paths, link targets and attributes than allowed: {limit}"));
    let entries = |limit| Err(format!("it has more entries than allowed: {limit}"));
    let contents = |limit| Err(format!("it has more bytes of contents than allowed: {limit}"));
    let two = Stream::default().file("a", "hi").file("b", "hi");
    assert_eq!(within(&two, 1, 9, 9), entries(1));
    assert_eq!(within(&two, 9, 3, 9), contents(3));
    assert_eq!(within(&two, 9, 9, 1), held(1));
    assert!(within(&two, 2, 4, 2).is_ok());
    // What is read and not kept is charged as well.
    let comments = Stream::default().add(b'g', b"g", b"", b"13 comment=x\n", |_| {}).file("a", "hi");
    assert_eq!(within(&comments, 1, 99, 99), entries(1));
    assert_eq!(within(&comments, 9, 14, 99), contents(14));
    assert_eq!(within(&Stream::default().link(b'2', "a", "target"), 9, 9, 6), held(6));
    assert_eq!(within(&Stream::default().file("abc", "").link(b'1', "b", "abc"), 9, 9, 6), held(6));
    let attribute = Stream::default().pax(b"22 SCHILY.xattr.u.a=b\n").file("a", "");
    assert_eq!(within(&attribute, 9, 99, 4), held(4));
    assert_eq!(within(&sparse("a", &[(5, 2)], 2000, b"hi"), 9, 1999, 9), contents(1999));
    // A directory each time it comes, and parents that are left out, each once.
    assert_eq!(within(&Stream::default().link(b'5', "a", "").link(b'5', "a", ""), 1, 9, 9), entries(1));
    let deep = Stream::default().file("a/b/c", "").file("a/b/d", "");
    assert_eq!(within(&deep, 3, 9, 99), entries(3));
    assert_eq!(within(&deep, 4, 9, 13), held(13));
    assert!(within(&deep, 4, 9, 14).is_ok());
}

#[test]
fn a_tar_is_known_by_its_first_header() {
    let tar = Stream::default().add(b'0', b"a", b"", b"hi", |h| h.as_mut_bytes()[257..265].fill(0));
    assert!(begins(&tar.0) && tar.read().is_ok());
    let mut other = tar.0;
    other[3] = 1;
    assert!(!begins(&other) && !begins(&other[..511]) && !begins(&[0; 512]) && !begins(&[b' '; 512]));
}

#[test]
fn several_streams_have_one_budget() {
    let stream = Stream::default().file("a", "hi");
    let mut budget = Budget::of(Limits { entries: 3, content_bytes: 99, held_bytes: 99 });
    for _ in 0..3 {
        read_tree(&stream.0[..], Dialect::Any, &mut budget).expect("is allowed");
    }
    read_tree(&stream.0[..], Dialect::Any, &mut budget).expect_err("is one too many");
}

#[test]
fn an_error_shows_of_a_long_name_start_and_end() {
    let long = format!("start/{}/../end", "x".repeat(4000));
    let stream = Stream::default().pax(format!("{} path={long}\n", long.len() + 11).as_bytes()).file("a", "");
    let shown = stream.read().expect_err("is refused");
    assert!(shown.len() < 350 && shown.contains("start/") && shown.contains("/../end`"), "{shown}");
    let long = vec!["d".repeat(250); 16].join("/");
    let twice = || format!("{} path={long}\n", long.len() + 11);
    let stream =
        Stream::default().pax(twice().as_bytes()).file("a", "").pax(twice().as_bytes()).file("a", "");
    let shown = stream.read().expect_err("is refused");
    assert!(shown.len() < 300 && shown.ends_with("d is there twice"), "{shown}");
}

#[test]
fn offsets_are_those_of_the_contents() {
    let stream = Stream::default().pax(b"10 path=c\n").file("a", "one").file("b", "two");
    let mut seen = Vec::new();
    let read = read_tree_with(&stream.0[..], Dialect::Dpkg, &mut Budget::new(), |path, place, contents| {
        let place = place.start as usize..place.end as usize;
        seen.push((path.to_string(), String::from_utf8_lossy(&stream.0[place]).into_owned()));
        Ok(Digest::of_reader(contents)?.0)
    });
    assert!(read.is_ok());
    assert_eq!(seen, [("c".into(), "one".into()), ("b".into(), "two".into())]);
}

#[test]
fn no_damage_makes_it_panic() {
    let good = Stream::default()
        .pax(b"9 path=c\n")
        .file("a", "one")
        .link(b'2', "l", "x")
        .link(b'5', "d", "")
        .pax(b"22 GNU.sparse.major=1\n26 GNU.sparse.realsize=20\n")
        .file("s", &format!("1\n0\n2\n{}hi", "\0".repeat(506)))
        .0;
    let good = [good, sparse("b", &[(0, 1); 30], 60, &[b'x'; 30]).0].concat();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x81;
        for dialect in [Dialect::Dpkg, Dialect::Any] {
            let _ = read_tree(&bytes[..], dialect, &mut Budget::new());
            let _ = read_tree(&good[..at], dialect, &mut Budget::new());
        }
    }
}
