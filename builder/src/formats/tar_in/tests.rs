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
        self.read_within(&Limits::default())
    }

    fn read_within(&self, limits: &Limits) -> Result<String, String> {
        let text = |error: TarError| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        read_tree(&self.0[..], limits).map_err(text).map(|tree| tree.to_text())
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
            "tar entry /a is a hard link to no file before it".into(),
        ),
        (
            "hard link to a link",
            Stream::default().link(b'2', "b", "c").link(b'1', "a", "b"),
            "tar entry /a is a hard link to no file before it".into(),
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
            "the tar stream has more bytes than allowed".into(),
        ),
        (
            "size that overflows",
            Stream::default().add(b'0', b"a", b"", b"", |h| h.set_size(u64::MAX)),
            format!("{end}: size overflow"),
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

#[test]
fn counts_and_sizes_are_bounded() {
    let stream = Stream::default().file("a", "hi").file("b", "hi");
    let few = Limits { entries: 1, ..Limits::default() };
    assert_eq!(stream.read_within(&few), Err("the tar stream has more entries than allowed".into()));
    let small = Limits { total_bytes: 3, ..Limits::default() };
    assert_eq!(stream.read_within(&small), Err("the tar stream has more bytes than allowed".into()));
    assert!(stream.read_within(&Limits { entries: 2, total_bytes: 4, ..Limits::default() }).is_ok());
}

#[test]
fn offsets_are_those_of_the_contents() {
    let stream = Stream::default().pax(b"10 path=c\n").file("a", "one").file("b", "two");
    let mut seen = Vec::new();
    let read = read_tree_with(&stream.0[..], &Limits::default(), |path, offset, size, contents| {
        let from = usize::try_from(offset).expect("small");
        seen.push((
            path.to_string(),
            String::from_utf8_lossy(&stream.0[from..from + size as usize]).into_owned(),
        ));
        Ok(Digest::of_reader(contents)?.0)
    });
    assert!(read.is_ok());
    assert_eq!(seen, [("c".into(), "one".into()), ("b".into(), "two".into())]);
}

#[test]
fn no_damage_makes_it_panic() {
    let good =
        Stream::default().pax(b"10 path=c\n").file("a", "one").link(b'2', "l", "x").link(b'5', "d", "").0;
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x81;
        let _ = read_tree(&bytes[..], &Limits::default());
        let _ = read_tree(&good[..at], &Limits::default());
    }
}
