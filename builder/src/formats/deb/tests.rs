use super::*;
use crate::testing::{Compression, deb};

/// Name and contents.
type Member = (&'static str, &'static [u8]);

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for (name, contents) in members {
        out.extend_from_slice(&header(name, contents.len() as u64));
        out.extend_from_slice(contents);
        if contents.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// Returns both parts of a .deb.
fn read(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let text = |error: DebError| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let mut reader = Deb::open(io::Cursor::new(bytes.to_vec())).map_err(text)?;
    let mut parts = [Vec::new(), Vec::new()];
    for (part, bytes) in [Part::Control, Part::Data].into_iter().zip(&mut parts) {
        let mut reader = reader.part(part).map_err(text)?;
        reader.read_to_end(bytes).map_err(|error| format!("{part}: {error}"))?;
    }
    reader.finish().map_err(text)?;
    let [control, data] = parts;
    Ok((control, data))
}

#[test]
fn reads_each_compression() {
    let made = deb("hello").file("usr/bin/hello", 0o755, "hi\n");
    let plain = read(&made.clone().compression(Compression::None).build()).expect("reads");
    assert!(plain.1.windows(13).any(|w| w == b"usr/bin/hello"));
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
        assert_eq!(
            read(&made.clone().compression(compression).build()),
            Ok(plain.clone()),
            "{compression:?}"
        );
    }
}

#[test]
fn reads_what_dpkg_deb_reads() {
    let cases: [(&str, &[Member]); 5] = [
        ("plain", &[("debian-binary", b"2.0\n"), ("control.tar", b"c"), ("data.tar", b"data")]),
        (
            "newer minor, more lines",
            &[("debian-binary", b"2.17\nmore\n"), ("control.tar", b"c"), ("data.tar", b"data")],
        ),
        ("slashes", &[("debian-binary/", b"2.0\n"), ("control.tar/", b"c"), ("data.tar/", b"data")]),
        (
            "private members",
            &[
                ("debian-binary", b"2.0\n"),
                ("_a", b"odd"),
                ("control.tar", b"c"),
                ("_b", b""),
                ("data.tar", b"data"),
            ],
        ),
        (
            "more behind",
            &[("debian-binary", b"2.0\n"), ("control.tar", b"c"), ("data.tar", b"data"), ("x", b"y")],
        ),
    ];
    for (summary, members) in cases {
        assert_eq!(read(&archive(members)), Ok((b"c".to_vec(), b"data".to_vec())), "{summary}");
    }
}

#[test]
fn refuses_what_is_damaged_or_strange() {
    let head: Member = ("debian-binary", b"2.0\n");
    let good = archive(&[head, ("control.tar", b"c"), ("data.tar", b"data")]);
    let huge = {
        let mut bytes = archive(&[head]);
        bytes.extend_from_slice(&header("//", MEMBER_BYTES_MAX));
        bytes
    };
    let cases = [
        ("empty", Vec::new(), "the .deb is not an ar archive"),
        ("other magic", b"!<arch>\r0000000000".to_vec(), "the .deb is not an ar archive"),
        ("nothing inside", MAGIC.to_vec(), "the .deb has nothing where debian-binary should be"),
        ("version 3", archive(&[("debian-binary", b"3.0\n")]), "the .deb has format version `3.0`, not 2"),
        ("no version", archive(&[("debian-binary", b"2.\n")]), "the .deb has format version `2.`, not 2"),
        ("order", archive(&[head, ("data.tar", b"")]), "the .deb has `data.tar` where control.tar should be"),
        (
            "twice",
            archive(&[head, ("control.tar", b""), ("control.tar", b"")]),
            "the .deb has `control.tar` where data.tar should be",
        ),
        ("unknown", archive(&[head, ("x", b"")]), "the .deb has `x` where control.tar should be"),
        ("no data", archive(&[head, ("control.tar", b"")]), "the .deb has nothing where data.tar should be"),
        ("name table", huge, "the .deb has `/` where control.tar should be"),
        (
            "bzip2",
            archive(&[head, ("control.tar", b""), ("data.tar.bz2", b"")]),
            "the .deb is compressed in a way that is not read: data.tar.bz2",
        ),
        (
            "odd name",
            archive(&[head, ("control.tar.\x01", b"")]),
            "the .deb has `control.tar.\\x01` where control.tar should be",
        ),
        ("cut header", good[..good.len() - 30].to_vec(), "cannot read the .deb: unexpected end of file"),
        ("cut contents", good[..good.len() - 2].to_vec(), "data.tar: unexpected end of file"),
    ];
    for (summary, bytes, expected) in cases {
        assert_eq!(read(&bytes), Err(expected.into()), "{summary}");
    }
}

#[test]
fn cut_or_damaged_streams_are_errors() {
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
        let text: String = (0..5000).map(|n| format!("{} ", n * n)).collect();
        let bytes = deb("hello").file("a", 0o644, text).compression(compression).build();
        assert!(read(&bytes).is_ok());
        for end in (0..bytes.len() - 1).step_by(97) {
            assert!(read(&bytes[..end]).is_err(), "{compression:?} cut at {end}");
        }
        for at in (0..bytes.len()).step_by(61) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x41;
            // Not each flip is seen here (a time in a header); the .deb's digest sees all.
            let _ = read(&bytes);
        }
    }
}

#[test]
fn sizes_must_be_digits() {
    let mut bytes = archive(&[("debian-binary", b"2.0\n"), ("control.tar", b"c")]);
    let at = 8 + 60 + 4 + 48;
    bytes[at..at + 2].copy_from_slice(b"-1");
    assert_eq!(read(&bytes), Err("the .deb has a member of impossible size".into()));
}
