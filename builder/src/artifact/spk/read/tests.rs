use std::{fs, path::Path};

use sha2::{Digest as _, Sha512};

use super::*;
use crate::artifact::{self, Papers, sizes_by, unpack};
use crate::formats::{
    capnp::{Piece, Value, message_bytes, write},
    key_file::Key,
    spk::{MAGIC, sign, write_archive},
    xz::{Block, Effort, Filter, encode_block, stream_end, stream_header},
};

fn key() -> Key {
    Key::from_seed(std::array::from_fn(|i| i as u8))
}

fn manifest() -> Vec<u8> {
    let manifest = Manifest {
        app_version: 1,
        marketing_version: "1.0".into(),
        title: "Demo".into(),
        ..Manifest::default()
    };
    manifest.to_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn compress(stream: &[u8]) -> Vec<u8> {
    let block: Block =
        encode_block(stream, stream.len() as u64, &Filter::TEXT, Effort::Best).expect("encodes");
    [&MAGIC[..], &stream_header(), &block.bytes, &stream_end(&[block.record()])].concat()
}

fn signed(archive: &[u8]) -> Vec<u8> {
    [sign(&key(), &Sha512::digest(archive).into()), archive.to_vec()].concat()
}

fn package(archive: &[u8]) -> Vec<u8> {
    compress(&signed(archive))
}

/// The data and pointers of a struct in a list.
type Element = (Vec<u64>, Vec<Value>);

/// An entry as its struct: tag, time, name as it is, content.
fn file(tag: u64, name: &[u8], content: Value) -> Element {
    (vec![tag, 0], vec![Value::Text(name.to_vec()), content])
}

fn list(elements: Vec<Element>) -> Value {
    Value::StructList { data_words: 2, pointer_words: 2, elements }
}

/// An archive of a manifest and more.
fn archive(more: Vec<Element>) -> Vec<u8> {
    let mut elements = vec![file(0, b"sandstorm-manifest", Value::Data(manifest()))];
    elements.extend(more);
    message_bytes(&Value::Struct { data: vec![], pointers: vec![list(elements)] })
}

struct Place {
    directory: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("cache")).expect("opens");
        Place { directory, store }
    }

    fn open(&self, bytes: &[u8]) -> Result<Artifact, ArtifactError> {
        let path = self.directory.path().join("app.spk");
        fs::write(&path, bytes).expect("writes");
        artifact::open(&path, &self.store, &Progress::silent())
    }

    /// Returns why a file is refused, with all causes, or "accepted".
    fn verdict(&self, bytes: &[u8]) -> String {
        match self.open(bytes) {
            Ok(_) => "accepted".into(),
            Err(ArtifactError::Refused { source, .. }) => {
                let mut text = source.to_string();
                let mut cause = std::error::Error::source(&source);
                while let Some(error) = cause {
                    text += &format!(": {error}");
                    cause = error.source();
                }
                text
            }
            Err(other) => format!("{other:?}"),
        }
    }
}

/// The two files of the known-answer vector.
fn known_tree(store: &Store) -> Tree {
    let mut tree = Tree::new();
    let mut add = |name: &[u8], bytes: &[u8], mode, mtime_s| {
        let entry = Entry::file(store.put(bytes), bytes.len() as u64, mode, mtime_s);
        tree.insert(TreePath::new(name).expect("a good path"), entry);
    };
    add(b"a", b"hi\n", 0o755, 1);
    add(b"sandstorm-manifest", &manifest(), 0o644, 0);
    tree
}

fn known_archive(store: &Store) -> Vec<u8> {
    let written = write_archive(&known_tree(store), |_| 0).expect("writes");
    let mut out = Vec::new();
    for piece in &written.message.pieces {
        match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::Content { id, .. } => out.extend(store.read(&written.contents[*id]).expect("reads")),
        }
    }
    assert_eq!(out.len() as u64, written.message.size_bytes);
    out
}

#[test]
fn gives_the_known_answer() {
    let place = Place::new();
    let archive = known_archive(&place.store);
    let words = "000000001f000000 0000000000000100 0100000047000000 0800000002000200 0100000000000000 \
        00ca9a3b00000000 1500000012000000 150000001a000000 0000000000000000 0000000000000000 \
        0d0000009a000000 15000000c2030000 6100000000000000 68690a0000000000 73616e6473746f72 \
        6d2d6d616e696665 7374000000000000 000000000e000000";
    assert_eq!(archive.len(), 256);
    assert_eq!(hex(&archive[..144]), words.replace(' ', ""));
    let sha512 = "bf33a3026dbd5b1079e10b7d6f74319575ed092f3222710aff69c2fb0449ef17\
        6d4f2e602b8ea54e3e427cda312fce0a52daf1e96c33a04fae8519a2530646f4";
    assert_eq!(hex(&Sha512::digest(&archive)), sha512);
    let stream = signed(&archive);
    assert_eq!(
        hex(&stream[..32]),
        "00000000170000000000000000000200050000000201000011000000020400 00".replace(' ', "")
    );
    let ed25519 = "7e25030a5f5566577e5966e50bc812f9098d16d8b8fff56a25435f6c054c0be0\
        ee81dc5d89687d142c4fdde2d8f933e114c1cc578898530f45999efa12f8b901";
    assert_eq!(hex(&stream[64..128]), ed25519);
    let whole = "0e9e27af5ff017c6b6660df297921c512fd0d992985cf9837ca84f9e0a443701";
    assert_eq!(Digest::of(&stream).to_string(), whole);

    let opened = place.open(&compress(&stream)).expect("opens");
    let Details::Spk(spk) = &opened.details else { panic!("is an .spk") };
    assert_eq!(spk.app_id.to_string(), "0fhhggzmts8cw7chvndffky0m5my9pjhmfkhursxvk3684kp66w0");
    assert_eq!((opened.title(), opened.release()), ("Demo", 1));
    let mut tree = known_tree(&place.store);
    tree.add_parents(0);
    assert_eq!(opened.tree, tree);
    assert_eq!(spk.archive_bytes, 256);
}

#[test]
fn every_flipped_bit_is_refused() {
    let place = Place::new();
    let text: Vec<u8> = (0..40).flat_map(|n| format!("line {n} of a file\n").into_bytes()).collect();
    let mut bytes = package(&archive(vec![
        file(1, b"program", Value::Data(text)),
        file(3, b"d", list(vec![file(2, b"link", Value::Text(b"../program".to_vec()))])),
    ]));
    assert_eq!(place.verdict(&bytes), "accepted");
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(place.verdict(&bytes), "accepted", "bit {} of byte {}", bit % 8, bit / 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn refuses_what_cannot_be_installed() {
    let nested = |directories: usize, innermost: Option<Value>| {
        let mut content = innermost.map_or(Value::Null, |bytes| list(vec![file(0, b"f", bytes)]));
        for _ in 1..directories {
            content = list(vec![file(3, b"d", content)]);
        }
        vec![file(3, b"d", content)]
    };
    let data = || Value::Data(b"x".to_vec());
    let mut unterminated = file(0, b"", data());
    unterminated.1[0] = Value::Data(b"name".to_vec());
    let rows: Vec<(&str, Vec<Element>, &str)> = vec![
        ("nothing odd", vec![file(0, b"newline \n, \\, \xff", data())], "accepted"),
        (
            "null contents",
            vec![file(0, b"a", Value::Null), file(1, b"b", Value::Null), file(3, b"c", Value::Null)],
            "accepted",
        ),
        ("no name", vec![file(0, b"", data())], "`` has an entry without a name in it"),
        ("dot", vec![file(0, b".", data())], "`.` is named as a directory's own or parent entry"),
        ("two dots", vec![file(3, b"..", Value::Null)], "`..` is named as a directory's own or parent entry"),
        ("a slash", vec![file(0, b"a/b", data())], "`a/b` has a slash or NUL in its name"),
        ("a NUL", vec![file(0, b"a\0b", data())], "`a\\x00b` has a slash or NUL in its name"),
        ("255 bytes", vec![file(0, &[b'n'; 255], data())], "accepted"),
        (
            "below",
            vec![file(3, b"d", list(vec![file(0, b"/", data())]))],
            "`d//` has a slash or NUL in its name",
        ),
        ("twice", vec![file(0, b"a", data()), file(3, b"a", Value::Null)], "`a` is there twice"),
        (
            "a link, then a directory",
            vec![
                file(2, b"a", Value::Text(b"/etc".to_vec())),
                file(3, b"a", list(vec![file(0, b"x", data())])),
            ],
            "`a` is there twice",
        ),
        ("unknown kind", vec![file(4, b"a", Value::Null)], "`a` is of unknown kind 4"),
        ("no target", vec![file(2, b"a", Value::Null)], "`a` is a symbolic link without a target"),
        ("empty target", vec![file(2, b"a", Value::Text(vec![]))], "`a` is a symbolic link without a target"),
        ("a file below 62", nested(62, Some(data())), "accepted"),
        ("63 empty directories", nested(63, None), "accepted"),
        ("64 empty directories", nested(64, None), "lies below more than 62 directories"),
        ("a file below 63", nested(63, Some(data())), "lies below more than 62 directories"),
        (
            "no NUL",
            vec![unterminated],
            "cannot read the entry after `sandstorm-manifest`: a text does not end in NUL",
        ),
    ];
    let place = Place::new();
    for (summary, more, expected) in rows {
        let found = place.verdict(&package(&archive(more)));
        let expected = match expected {
            "accepted" => "accepted".to_owned(),
            rule => format!("its archive cannot be installed: {rule}"),
        };
        if summary.contains("6") {
            assert!(
                found.ends_with(expected.trim_start_matches("its archive cannot be installed: ")),
                "{summary}: {found}"
            );
        } else {
            assert_eq!(found, expected, "{summary}");
        }
    }
    let long = package(&archive(vec![file(0, &[b'n'; 256], data())]));
    assert!(place.verdict(&long).ends_with("has a name longer than 255 bytes"));
}

#[test]
fn refuses_what_is_not_signed_so() {
    let place = Place::new();
    let good = archive(vec![]);
    let stream = signed(&good);
    let other = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = stream.clone();
        change(&mut changed);
        compress(&changed)
    };
    let signature = |public: Vec<u8>, signature: Vec<u8>| {
        let pointers = vec![Value::Data(public), Value::Data(signature)];
        compress(&[message_bytes(&Value::Struct { data: vec![], pointers }), good.clone()].concat())
    };
    let (public, combined) = (stream[32..64].to_vec(), stream[64..192].to_vec());
    let mut magic = compress(&stream);
    magic[7] ^= 1;
    let unsigned = "its signature does not hold";
    let rows: [(&str, Vec<u8>, String); 13] = [
        ("as it should be", compress(&stream), "accepted".into()),
        ("the parts put together again", signature(public.clone(), combined.clone()), "accepted".into()),
        ("trailing signed bytes", package(&[&good[..], b"12345"].concat()), "accepted".into()),
        (
            "another magic",
            magic,
            "it does not begin as a package does: .spk, OCI layout, squashfs, EROFS or tar".into(),
        ),
        (
            "no bytes",
            vec![],
            "it does not begin as a package does: .spk, OCI layout, squashfs, EROFS or tar".into(),
        ),
        (
            "a short key",
            signature(public[1..].to_vec(), combined.clone()),
            format!("{unsigned}: the public key is invalid"),
        ),
        (
            "a detached signature",
            signature(public.clone(), combined[..64].to_vec()),
            format!("{unsigned}: the signature has not the form of one"),
        ),
        (
            "another key",
            signature(Key::from_seed([1; 32]).app_id().0.to_vec(), combined),
            format!("{unsigned}: the signature is not by the key that is named beside it"),
        ),
        (
            "another digest",
            other(&|s| s[130] ^= 1),
            format!("{unsigned}: the signature is not by the key that is named beside it"),
        ),
        (
            "other contents",
            other(&|s| *s.last_mut().expect("not empty") ^= 1),
            "its contents are not those that were signed".into(),
        ),
        ("unsigned tail", other(&|s| s.push(0)), "its contents are not those that were signed".into()),
        (
            "a stray word",
            other(&|s| drop(s.splice(192..192, [0; 8]))),
            "its contents are not those that were signed".into(),
        ),
        ("a signature alone", compress(&stream[..100]), "it ends before its signature does".into()),
    ];
    for (summary, bytes, expected) in rows {
        assert_eq!(place.verdict(&bytes), expected, "{summary}");
    }
    let mut cut = compress(&stream);
    cut.truncate(cut.len() - 3);
    assert!(place.verdict(&cut).starts_with("it cannot be decompressed"));
    let half_stream = &cut[MAGIC.len()..];
    for tail in [&b"\n"[..], b"tail", b"\0\0\0", half_stream] {
        let count =
            if tail.len() == 1 { "1 byte follows".into() } else { format!("{} bytes follow", tail.len()) };
        let bytes = [&compress(&stream)[..], tail].concat();
        assert_eq!(place.verdict(&bytes), format!("{count} the end of its compressed stream"));
    }
}

#[test]
fn refuses_without_a_good_manifest() {
    let place = Place::new();
    let with =
        |entries| package(&message_bytes(&Value::Struct { data: vec![], pointers: vec![list(entries)] }));
    let name = b"sandstorm-manifest";
    let mut bad_url = Manifest::for_init("t", "1", 1, "n");
    bad_url.metadata.website = "ftp://example.org/".into();
    let rows: [(&str, Vec<u8>, &str); 6] = [
        (
            "no files",
            package(&message_bytes(&Value::Struct { data: vec![], pointers: vec![Value::Null] })),
            "it has no manifest",
        ),
        ("another name", with(vec![file(0, b"manifest", Value::Data(manifest()))]), "it has no manifest"),
        (
            "a program",
            with(vec![file(1, name, Value::Data(manifest()))]),
            "its manifest is not a regular file",
        ),
        ("a directory", with(vec![file(3, name, Value::Null)]), "its manifest is not a regular file"),
        (
            "an empty file",
            with(vec![file(0, name, Value::Null)]),
            "its manifest cannot be used: the manifest is empty",
        ),
        (
            "another address",
            with(vec![file(0, name, Value::Data(bad_url.to_bytes()))]),
            "its manifest cannot be used: the manifest's website is not an http or https address: `ftp://example.org/`",
        ),
    ];
    for (summary, bytes, expected) in rows {
        assert_eq!(place.verdict(&bytes), expected, "{summary}");
    }
}

#[test]
fn refuses_bytes_that_are_used_twice() {
    // Two files whose pointers lead to the same word.
    let mut bytes =
        archive(vec![file(0, b"a", Value::Data(b"x".to_vec())), file(0, b"b", Value::Data(b"x".to_vec()))]);
    // The elements are at words 4, 8 and 12 (after table, root, list pointer and tag); their contents'
    // pointers at 11 and 15.
    let pointer =
        |word: usize, bytes: &[u8]| u64::from_le_bytes(bytes[8 * word..][..8].try_into().expect("a word"));
    let first = pointer(11, &bytes);
    let target = 11 + 1 + (first as u32 >> 2) as usize;
    let shared = (first & !0xffff_ffff) | ((target - 16) as u64) << 2 | 1;
    bytes[15 * 8..16 * 8].copy_from_slice(&shared.to_le_bytes());
    let place = Place::new();
    // The word that no one uses now pays for the one that is used twice; more than that must not be.
    assert_eq!(place.verdict(&package(&bytes)), "accepted");
    let many: Vec<_> = (0..8).map(|n| file(0, format!("{n}").as_bytes(), Value::Null)).collect();
    let mut elements = vec![file(0, b"a", Value::Data(vec![7; 800]))];
    elements.extend(many);
    let mut bytes = archive(elements);
    let first = pointer(11, &bytes);
    let target = 11 + 1 + (first as u32 >> 2) as usize;
    let shared = (first & !0xffff_ffff) | ((target - 16) as u64) << 2 | 1;
    bytes[15 * 8..16 * 8].copy_from_slice(&shared.to_le_bytes());
    let found = place.verdict(&package(&bytes));
    assert!(found.ends_with("the same bytes are used more than once"), "{found}");
}

#[test]
fn refuses_few_bytes_that_would_be_many_in_memory() {
    // 60 directories of long names, one in the other, and in the last one 20 000 files of 16 bytes each: 80
    // MB of paths.
    let files: Vec<_> = (0..20_000).map(|n| file(0, format!("{n}").as_bytes(), Value::Null)).collect();
    let mut inner = list(files);
    for _ in 0..60 {
        inner = list(vec![file(3, &[b'd'; 64], inner)]);
    }
    let place = Place::new();
    let found = place.verdict(&package(&archive(vec![file(3, b"top", inner)])));
    assert!(found.contains("too many entries, or too long paths"), "{found}");
    // A manifest with a list of a million actions that have no size: three words.
    let mut bytes = manifest();
    let root = u64::from_le_bytes(bytes[8..16].try_into().expect("a word"));
    let (offset, data) = ((root as u32 >> 2) as usize, (root >> 32 & 0xffff) as usize);
    let pointer = 2 + offset + data;
    let end = bytes.len() / 8;
    let to = |from: usize, at: usize| ((at - from - 1) as u64) << 2 | 1;
    bytes[pointer * 8..][..8].copy_from_slice(&(to(pointer, end) | 7 << 32).to_le_bytes());
    bytes.extend((1_000_000_u64 << 2).to_le_bytes());
    bytes[4..8].copy_from_slice(&(end as u32).to_le_bytes());
    let elements = vec![file(0, b"sandstorm-manifest", Value::Data(bytes))];
    let bytes = message_bytes(&Value::Struct { data: vec![], pointers: vec![list(elements)] });
    let found = place.verdict(&package(&bytes));
    assert!(found.contains("manifest cannot be used"), "{found}");
}

/// Writes an archive as Sandstorm's packer does: a small first segment, far pointers, and each large file in
/// a segment of its own behind a double-far pointer; an empty file is a segment of no words.
fn many_segments(contents: &[(&str, &[u8])]) -> Vec<u8> {
    let words = |bytes: &[u8]| {
        let mut out = bytes.to_vec();
        out.resize(bytes.len().next_multiple_of(8), 0);
        out
    };
    let far = |segment: u64, word: u64, double: u64| 2 | double << 2 | word << 3 | segment << 32;
    let count = contents.len() as u64;
    // Segment 0: the root and the list. Segment 1: names. Segment 2: landing pads. Segment 3…: contents.
    let mut first = vec![1 << 48, 1 | 7 << 32 | (4 * count) << 35, count << 2 | 2 << 32 | 2 << 48];
    let (mut names, mut pads) = (Vec::new(), Vec::new());
    let mut segments = Vec::new();
    for (index, (name, content)) in contents.iter().enumerate() {
        let name = [name.as_bytes(), &[0]].concat();
        let name_pad = names.len() as u64 / 8;
        names.extend((1_u64 | 2 << 32 | (name.len() as u64) << 35).to_le_bytes());
        names.extend(words(&name));
        first.extend([0, 0, far(1, name_pad, 0), far(2, 2 * index as u64, 1)]);
        pads.extend(far(3 + index as u64, 0, 0).to_le_bytes());
        pads.extend((1_u64 | 2 << 32 | (content.len() as u64) << 35).to_le_bytes());
        segments.push(words(content));
    }
    let first: Vec<u8> = first.iter().flat_map(|w| w.to_le_bytes()).collect();
    let all: Vec<Vec<u8>> = [first, names, pads].into_iter().chain(segments).collect();
    let mut out = (all.len() as u32 - 1).to_le_bytes().to_vec();
    all.iter().for_each(|segment| out.extend((segment.len() as u32 / 8).to_le_bytes()));
    out.resize(out.len().next_multiple_of(8), 0);
    out.extend(all.concat());
    out
}

#[test]
fn accepts_what_sandstorms_packer_writes() {
    let large = vec![b'l'; 200_001];
    let manifest = manifest();
    let contents: [(&str, &[u8]); 4] =
        [("empty", b""), ("large", &large), ("sandstorm-manifest", &manifest), ("small", b"hi\n")];
    let place = Place::new();
    let archive = many_segments(&contents);
    let opened = place.open(&package(&archive)).expect("opens");
    for (name, content) in contents {
        let (digest, size_bytes) =
            opened.tree.get(name.as_bytes()).expect("is there").kind.content().expect("a file");
        assert_eq!(size_bytes, content.len() as u64);
        assert!(place.store.read(&digest).expect("reads") == content, "{name}");
    }
    // As the xz program writes it: default preset, and several streams with padding.
    let stream = signed(&archive);
    let mut encoder = liblzma::read::XzEncoder::new(&stream[..1000], 6);
    let (mut one, mut two) = (MAGIC.to_vec(), Vec::new());
    encoder.read_to_end(&mut one).expect("encodes");
    liblzma::read::XzEncoder::new(&stream[1000..], 0).read_to_end(&mut two).expect("encodes");
    let several = [&one[..], &[0; 4], &two].concat();
    let is_one_stream = |bytes: &[u8]| {
        let Details::Spk(spk) = place.open(bytes).expect("opens").details else { panic!("is an .spk") };
        spk.is_one_stream
    };
    assert!(!is_one_stream(&several));
    assert!(is_one_stream(&package(&archive)));
    // One of ours has one form.
    let papers = file(3, b"papers", list(vec![file(0, b"lock", Value::Null)]));
    let ours = self::archive(vec![file(3, b"tinyroot", list(vec![papers]))]);
    assert_eq!(place.verdict(&package(&ours)), "accepted");
    let found = place.verdict(&[&package(&ours)[..], &[0; 4]].concat());
    assert!(found.contains("something that no signature covers"), "{found}");
    // A thousand segments.
    let names: Vec<String> = (0..1000).map(|n| format!("{n:04}")).collect();
    let mut contents: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    contents.push(("sandstorm-manifest", &manifest));
    assert_eq!(place.verdict(&package(&many_segments(&contents))), "accepted");
}

#[test]
fn a_larger_struct_than_ours_is_read() {
    let element =
        (vec![0, 0, 9], vec![Value::text("sandstorm-manifest"), Value::Data(manifest()), Value::text("new")]);
    let files = Value::StructList { data_words: 3, pointer_words: 3, elements: vec![element] };
    let written = write(&Value::Struct { data: vec![1], pointers: vec![files, Value::text("more")] });
    let [Piece::Bytes(archive)] = &written.pieces[..] else { panic!("one piece") };
    assert_eq!(Place::new().verdict(&package(archive)), "accepted");
}

#[test]
fn unpacks_what_was_packed_or_nothing() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let place = Place::new();
    let mut odd = file(1, b"program", Value::Data(b"#!\n".to_vec()));
    odd.0[1] = 1_500_000_000_123_456_789;
    let mut directory = file(3, b"d", list(vec![file(2, b"l", Value::Text(b"/no/where".to_vec())), odd]));
    directory.0[1] = 7_000_000_000;
    let opened = place.open(&package(&archive(vec![directory, file(0, b"z", Value::Null)]))).expect("opens");
    let target = place.directory.path().join("out");
    unpack(&opened, &place.store, &target).expect("unpacks");
    let program = fs::metadata(target.join("d/program")).expect("is there");
    assert_eq!((program.mtime(), program.mtime_nsec()), (1_500_000_000, 123_456_789));
    assert_eq!(program.permissions().mode() & 0o100, 0o100);
    assert_eq!(fs::read(target.join("d/program")).expect("reads"), b"#!\n");
    assert_eq!(fs::metadata(target.join("z")).expect("is there").permissions().mode() & 0o111, 0);
    assert_eq!(fs::read_link(target.join("d/l")).expect("a link"), Path::new("/no/where"));
    assert_eq!(fs::metadata(target.join("d")).expect("is there").mtime(), 7);
    assert!(matches!(unpack(&opened, &place.store, &target), Err(ArtifactError::Exists(_))));
    let left: Vec<_> =
        fs::read_dir(place.directory.path()).expect("lists").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 3, "the cache, the package, the directory: {left:?}");
}

#[test]
fn papers_name_owners() {
    let store = Place::new();
    let mut tree = Tree::new();
    let mut add = |name: &str, bytes: &[u8]| {
        let entry = Entry::file(store.store.put(bytes), bytes.len() as u64, 0o644, 0);
        tree.insert(TreePath::new(name.as_bytes()).expect("good"), entry);
    };
    add("tinyroot/var/lib/dpkg/info/libc6:amd64.list", b"/.\n/lib/x/libc.so.6\n");
    add("var/lib/dpkg/info/php.md5sums", b"d41d8cd98f00b204e9800998ecf8427e  usr/bin/php\n");
    add("tinyroot/var/lib/dpkg/status", b"Package: libc6\nVersion: 2.36-9\n\nPackage: php\nVersion: 8\n");
    add("usr/lib/x/libc.so.6", b"1234");
    add("usr/bin/php", b"12");
    add("etc/made", b"1");
    add("tinyroot/var/lib/app/x", b"12345");
    let list = "tinyroot prune.list 1\n/var/lib/app/x app kept is the app's own\n";
    add("tinyroot/papers/prune.list", list.as_bytes());
    let papers = Papers::read(&tree, &store.store);
    assert_eq!(papers.owner(b"usr/lib/x/libc.so.6"), Some("libc6"));
    assert_eq!(papers.owner(b"bin/php"), Some("php"));
    assert_eq!(papers.owner(b"etc/made"), None);
    assert_eq!(papers.version("libc6"), Some("2.36-9"));
    let sums = sizes_by(&tree, |path| papers.heading(path));
    assert_eq!((sums["libc6"], sums["php"], sums["app"]), ((4, 1), (2, 1), (5, 1)));
    assert_eq!(sums["(no package)"], (186, 5), "without our first process, nothing is ours");
    assert_eq!(Papers::read(&Tree::new(), &store.store), Papers::default());

    let path = |name: &str| TreePath::new(name.as_bytes()).expect("good");
    let (manifest, paper) = (path("sandstorm-manifest"), path("tinyroot/papers/bom.json"));
    assert_eq!([papers.heading(&manifest), papers.heading(&paper)], ["(no package)", "(no package)"]);
    tree.insert(path("tinyroot/init"), Entry::file(Digest::of(b""), 0, 0o755, 0));
    let papers = Papers::read(&tree, &store.store);
    assert_eq!([papers.heading(&manifest), papers.heading(&paper)], ["(tinyroot)", "(tinyroot)"]);
}
