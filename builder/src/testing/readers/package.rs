//! A package: its layers from the outside in, and the keys that sign it.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _},
    sync::LazyLock,
};

use super::assert_inside;
use crate::{
    digest::Digest,
    formats::{
        blocks,
        capnp::Piece,
        compression::Compression,
        deflate, key_file,
        manifest::{self, Manifest},
        spk::{self, Item, ItemKind},
        xz::{self, lzma2},
    },
    tree::{Entry, Tree, TreePath},
};

/// The archive message: read, written again, and read again.
pub(super) fn archive(bytes: &[u8]) {
    let Ok(items) = spk::read_archive(&bytes, 0) else { return };
    let contents = |item: &Item| match &item.kind {
        ItemKind::File { span, .. } => &bytes[span.offset as usize..][..span.size_bytes as usize],
        _ => &[],
    };
    let mut seen = BTreeMap::new();
    let mut sum_bytes = 0;
    for item in &items {
        assert_inside(item.path.as_bytes());
        let parent = item.path.parent().expect("the root is not an item");
        let is_placed = parent.is_root() || matches!(seen.get(&parent), Some(ItemKind::Directory));
        assert!(is_placed, "{} before its directory", item.path);
        sum_bytes += contents(item).len();
        assert!(seen.insert(item.path.clone(), item.kind.clone()).is_none(), "{} twice", item.path);
        if item.path.as_bytes() == manifest::FILE_NAME.as_bytes() {
            manifest(contents(item));
        }
    }
    assert!(sum_bytes <= bytes.len(), "more contents than bytes");
    let mut blobs: BTreeMap<Digest, &[u8]> = BTreeMap::new();
    let mut tree = Tree::new();
    for item in &items {
        let mtime_s = item.mtime_ns.div_euclid(1_000_000_000);
        let entry = match &item.kind {
            ItemKind::File { executable, .. } => {
                let digest = Digest::of(contents(item));
                blobs.insert(digest, contents(item));
                let mode = if *executable { 0o755 } else { 0o644 };
                Entry::file(digest, contents(item).len() as u64, mode, mtime_s)
            }
            ItemKind::Symlink(target) => Entry::symlink(target.clone(), mtime_s),
            ItemKind::Directory => Entry::directory(mtime_s),
        };
        tree.insert(item.path.clone(), entry);
    }
    let written = spk::write_archive(&tree, |late| u32::from(late.digest.0[0] & 3))
        .expect("what was read can be written");
    let mut again = Vec::new();
    for piece in &written.message.pieces {
        match piece {
            Piece::Bytes(bytes) => again.extend_from_slice(bytes),
            Piece::Content { id, .. } => again.extend_from_slice(blobs[&written.contents[*id]]),
        }
    }
    let read = spk::read_archive(&&again[..], 0).expect("what was written can be read");
    let mut expected: Vec<(TreePath, String)> =
        items.iter().map(|item| described(item, contents(item))).collect();
    let of_again = |item: &Item| match &item.kind {
        ItemKind::File { span, .. } => again[span.offset as usize..][..span.size_bytes as usize].to_vec(),
        _ => Vec::new(),
    };
    let mut found: Vec<(TreePath, String)> =
        read.iter().map(|item| described(item, &of_again(item))).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

/// An item as it comes back: without the part of its time that is lost.
fn described(item: &Item, contents: &[u8]) -> (TreePath, String) {
    let kind = match &item.kind {
        ItemKind::File { executable, .. } => format!("file {executable} {}", contents.escape_ascii()),
        other => format!("{other:?}"),
    };
    (item.path.clone(), format!("{} {kind}", item.mtime_ns.div_euclid(1_000_000_000).max(0)))
}

/// The signature message, with its length from its first bytes on.
pub(super) fn signature(bytes: &[u8]) {
    let whole = spk::signature_length(bytes);
    for end in 0..bytes.len().min(200) {
        match (spk::signature_length(&bytes[..end]), &whole) {
            (Ok(Some(early)), Ok(Some(late))) => assert_eq!(early, *late),
            (Ok(Some(_)), _) => panic!("a length that more bytes take back"),
            (Err(_), Ok(_)) => panic!("a fault that more bytes take back"),
            _ => {}
        }
    }
    let _ = spk::read_signature(bytes);
}

/// A manifest: read, written and read again.
pub(super) fn manifest(bytes: &[u8]) {
    let Ok(mut read) = Manifest::read(bytes) else { return };
    // A proof of authorship is told and never written.
    read.metadata.author_signed = false;
    let written = read.to_bytes();
    assert!(written.len() <= 64 * bytes.len() + 1024, "{} bytes out of {}", written.len(), bytes.len());
    // A message whose parts are used many times can be larger when it is written than what is allowed to be
    // read.
    if let Ok(again) = Manifest::read(&written) {
        assert_eq!(again, read);
    } else {
        assert!(written.len() > bytes.len(), "what was written cannot be read");
    }
}

/// What the compression may give here: enough for what follows, and soon done.
const PLAIN_BYTES: u64 = 4 << 20;

/// The .xz layer: bytes as they are, and whole parts of streams in the order that the bytes say, as sums
/// allow nothing else.
pub(super) fn xz(bytes: &[u8]) {
    stream(bytes);
    static PARTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let block = |plain: &[u8], filter| {
            xz::encode_block(plain, plain.len() as u64, filter, xz::Effort::Best).expect("memory takes it")
        };
        let blocks = [block(b"one of two", &xz::Filter::TEXT), block(&[7; 300], &xz::Filter::X86)];
        let end =
            |of: &[&xz::Block]| xz::stream_end(&of.iter().map(|block| block.record()).collect::<Vec<_>>());
        let ends =
            [end(&[]), end(&[&blocks[0]]), end(&[&blocks[0], &blocks[1]]), end(&[&blocks[1], &blocks[1]])];
        let [one, two] = blocks.map(|block| block.bytes);
        [vec![xz::stream_header(), one, two, vec![0], vec![0; 4]], ends.to_vec()].concat()
    });
    let parts = bytes.iter().take(16).map(|byte| &PARTS[usize::from(*byte) % PARTS.len()][..]);
    stream(&parts.collect::<Vec<_>>().concat());
}

/// DEFLATE with accounting: what zlib reads yields as many bytes here, and takes no more bits than there are.
pub(super) fn deflate(bytes: &[u8]) {
    const LIMIT: usize = 1 << 20;
    type Account = fn(&[u8], &mut dyn FnMut(u64, u64)) -> bool;
    let sums = |packed: &[u8], account: Account| {
        let (mut count, mut price) = (0, 0);
        let is_good = account(packed, &mut |bytes, units| (count, price) = (count + bytes, price + units));
        assert!(price <= packed.len() as u64 * lzma2::UNITS_PER_BYTE && count <= LIMIT as u64);
        is_good.then_some(count)
    };
    sums(bytes, |packed, charge| deflate::account_gzip(packed, LIMIT as u64, charge).is_ok());
    let wrapped = [b"\x78\x9c", bytes].concat();
    let own = sums(&wrapped, |packed, charge| deflate::account_zlib(packed, LIMIT as u64, charge).is_ok());
    let mut plain = Vec::with_capacity(LIMIT);
    let mut zlib = flate2::Decompress::new(false);
    let status = zlib.decompress_vec(bytes, &mut plain, flate2::FlushDecompress::Finish);
    if matches!(status, Ok(flate2::Status::StreamEnd)) {
        assert_eq!(own, Some(plain.len() as u64));
    }
}

/// zstd and bzip2 with accounting: what the decoders of contents read yields as many bytes here, and takes no more
/// than there is.
pub(super) fn blocks(bytes: &[u8]) {
    const LIMIT: u64 = 1 << 20;
    let (mut count, mut price) = (0, 0);
    let charge = |bytes, units| (count, price) = (count + bytes, price + units);
    let Some(kind) = Compression::of(bytes) else { return };
    let read = match kind {
        Compression::Zstd => blocks::account_zstd(bytes, LIMIT, charge),
        Compression::Bzip2 => blocks::account_bzip2(bytes, LIMIT, charge),
        Compression::Gzip | Compression::Xz => return,
    };
    assert!(price <= bytes.len() as u64 * lzma2::UNITS_PER_BYTE && count <= LIMIT);
    let mut plain = Vec::new();
    let decoded = kind.reader(bytes).and_then(|reader| reader.take(LIMIT + 1).read_to_end(&mut plain));
    match (read, decoded) {
        (Ok(()), decoded) => assert_eq!(count, decoded.expect("the decoder takes it") as u64),
        (Err(error), Ok(plain_bytes)) => assert!(plain_bytes as u64 > LIMIT, "{error}: the decoder takes it"),
        (Err(_), Err(_)) => {}
    }
}

/// What is read with accounting and taken is what liblzma takes.
fn accounted(bytes: &[u8]) {
    let mut read = Vec::new();
    let mut take = |more: &[u8]| {
        read.extend_from_slice(more);
        if read.len() as u64 > PLAIN_BYTES { Err(()) } else { Ok(()) }
    };
    let Ok(mut stream) = xz::accounted::Stream::new::<()>(bytes) else { return };
    let mut price = 0;
    while match stream.block(&mut |_, more| price += more, &mut take) {
        Ok(is_block) => is_block,
        Err(_) => return,
    } {}
    assert!(price <= bytes.len() as u64 * lzma2::UNITS_PER_BYTE);
    let mut plain = Vec::new();
    xz::decode(bytes).and_then(|mut decoded| decoded.read_to_end(&mut plain)).expect("liblzma takes it");
    assert!(plain == read, "other contents than liblzma's");
}

/// A file of streams: if it is its last stream and nothing else, that is all that there is.
fn stream(bytes: &[u8]) {
    accounted(bytes);
    let last = xz::last_stream_bytes(&mut Cursor::new(bytes)).expect("memory can be read");
    let Ok(decoded) = xz::decode(bytes) else { return };
    let mut plain = Vec::new();
    if decoded.take(PLAIN_BYTES).read_to_end(&mut plain).is_err() || plain.len() as u64 == PLAIN_BYTES {
        return;
    }
    assert!(last.is_none_or(|last| last <= bytes.len() as u64), "a stream that begins before the file");
    if last == Some(bytes.len() as u64) {
        let mut one = liblzma::bufread::XzDecoder::new(bytes);
        let mut first = Vec::new();
        one.read_to_end(&mut first).expect("all of it could be read");
        assert_eq!((one.total_in(), first), (bytes.len() as u64, plain), "a file of several streams");
    }
}

/// A compressed block that the cache has kept.
pub(super) fn block(bytes: &[u8]) {
    let Ok(block) = xz::Block::from_bytes(bytes.to_vec()) else { return };
    assert_eq!(block.bytes, bytes);
    assert_eq!(block.unpadded_bytes.next_multiple_of(4), bytes.len() as u64);
    let _ = xz::stream_end(&[block.record(), block.record()]);
}

/// A keyring of apps.
pub(super) fn keys(bytes: &[u8]) {
    let Ok(keys) = key_file::read_any(bytes) else { return };
    let written: Vec<u8> = keys.iter().flat_map(|key| key.to_bytes()).collect();
    let again = key_file::read(&written).expect("what was written can be read");
    let of_text = key_file::read_any(key_file::to_text(&written).as_bytes());
    assert_eq!(of_text.expect("its text can be read"), again);
    let ids = |keys: &[key_file::Key]| keys.iter().map(|key| key.app_id().to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&keys));
    for id in ids(&keys) {
        assert!(id.parse::<crate::formats::app_id::AppId>().is_ok());
    }
}
