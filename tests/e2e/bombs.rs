//! Small files of every format that claim or yield far too much: refused in bounded memory and time, with the part
//! that is too much, and without a trace in the cache.

use std::{fs, io::Read as _, process::Command};

use flate2::{
    Compression, Crc,
    read::{GzEncoder, ZlibEncoder},
};
use serde_json::json;
use sha2::{Digest as _, Sha256, Sha512};
use tinyroot::formats::{
    key_file::Key,
    manifest::Manifest,
    spk::{MAGIC, sign},
};

use super::support::{Home, assert_says, end, names, text};

/// What a command may take of address space, as in `costly`, and how many seconds of a processor: in a debug build,
/// where the worst takes some seconds.
const LIMITS: &str = "ulimit -v 400000; ulimit -t 30; exec \"$@\"";

/// Runs a command within the limits; returns its status and what it says.
fn run(home: &Home, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LIMITS, "sh", env!("CARGO_BIN_EXE_tinyroot")]).args(args);
    command.env("HOME", home.path("")).env("TINYROOT_CACHE", home.path("cache")).env("MALLOC_ARENA_MAX", "1");
    let ended = end(&mut command);
    (ended.code, ended.stderr)
}

/// Asserts that `verify` refuses a file with these words, and keeps nothing of it.
fn refused(home: &Home, what: &str, bytes: &[u8], words: &[&str]) {
    let file = home.path(what);
    fs::write(&file, bytes).expect("writes");
    let (code, said) = run(home, &["verify", text(&file)]);
    assert_eq!(code, Some(1), "{what}\n{said}");
    assert_says(&said, words);
    assert_says(&said, &[&format!("{what} is refused")]);
    assert!(said.len() < 1000, "{what} has too much said of it\n{said}");
    let cache = home.path("cache");
    for kept in ["packs", "tmp"] {
        assert!(names(&cache.join(kept)).is_empty(), "{what} left something in {kept}");
    }
    fs::remove_file(file).expect("removes");
}

/// Asserts that `diff` looks at a file in bounded memory and time, and finds nothing wrong.
fn taken(home: &Home, what: &str, bytes: &[u8]) {
    let file = home.path(what);
    fs::write(&file, bytes).expect("writes");
    let (code, said) = run(home, &["diff", text(&file), text(&file)]);
    assert_eq!(code, Some(0), "{what}\n{said}");
    fs::remove_file(file).expect("removes");
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    ZlibEncoder::new(plain, Compression::best()).read_to_end(&mut packed).expect("encodes");
    packed
}

fn xz(plain: impl std::io::Read) -> Vec<u8> {
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new(plain, 0).read_to_end(&mut packed).expect("encodes");
    packed
}

/// Little-endian numbers, each with its length in bytes.
fn fields(numbers: &[(u64, usize)]) -> Vec<u8> {
    numbers.iter().flat_map(|(number, length)| number.to_le_bytes()[..*length].to_vec()).collect()
}

/// Names of a few letters, each another.
fn short_names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("{n:x}"))
}

const SUPERBLOCK_BYTES: usize = 96;
const GZIP: u64 = 1;
const XZ: u64 = 4;
/// How long a metadata block is in the file that is stored plain and full.
const STORED_BYTES: usize = 8194;

/// A squashfs image, as it is put together.
struct Squashfs {
    compression: u64,
    block_log: u32,
    /// How many fragments there are said to be, if not as many as there are.
    claimed: Option<u64>,
    data: Vec<u8>,
    inodes: Vec<u8>,
    listings: Vec<u8>,
    /// Where the blocks of the table of fragments are listed, if not behind it.
    list: Option<u64>,
    /// Where each lies, and its size.
    fragments: Vec<(u64, u64)>,
    /// Stands where the inode table would.
    inode_table: Option<Vec<u8>>,
}

/// Where an inode or a listing lies in its table.
#[derive(Clone, Copy)]
struct Place {
    block: u64,
    offset: u64,
}

impl Squashfs {
    fn new() -> Self {
        Squashfs {
            compression: GZIP,
            block_log: 17,
            claimed: None,
            list: None,
            data: Vec::new(),
            inodes: Vec::new(),
            listings: Vec::new(),
            fragments: Vec::new(),
            inode_table: None,
        }
    }

    /// Adds data; returns where it lies.
    fn data(&mut self, bytes: &[u8]) -> u64 {
        self.data.extend_from_slice(bytes);
        (SUPERBLOCK_BYTES + self.data.len() - bytes.len()) as u64
    }

    fn place(table: &[u8]) -> Place {
        let block = table.len() / 8192 * STORED_BYTES;
        Place { block: block as u64, offset: (table.len() % 8192) as u64 }
    }

    fn inode(&mut self, kind: u64, rest: &[u8]) -> Place {
        let place = Self::place(&self.inodes);
        self.inodes.extend(fields(&[(kind, 2), (0o755, 2), (0, 2), (0, 2), (0, 4), (1, 4)]));
        self.inodes.extend_from_slice(rest);
        place
    }

    fn link(&mut self, target: &str) -> Place {
        self.inode(3, &[&fields(&[(1, 4), (target.len() as u64, 4)])[..], target.as_bytes()].concat())
    }

    /// A file of blocks alone.
    fn file(&mut self, start: u64, size_bytes: u64, blocks: &[u32]) -> Place {
        let head = fields(&[
            (start, 8),
            (size_bytes, 8),
            (0, 8),
            (1, 4),
            (0xffff_ffff, 4),
            (0, 4),
            (0xffff_ffff, 4),
        ]);
        let sizes = blocks.iter().flat_map(|size| size.to_le_bytes());
        self.inode(9, &head.into_iter().chain(sizes).collect::<Vec<u8>>())
    }

    /// A file that lies in a fragment.
    fn end(&mut self, fragment: u64, size_bytes: u64) -> Place {
        self.inode(2, &fields(&[(0, 4), (fragment, 4), (0, 4), (size_bytes, 4)]))
    }

    fn listing(&mut self, entries: impl IntoIterator<Item = (String, Place)>) -> (Place, u64) {
        let start = Self::place(&self.listings);
        let before = self.listings.len();
        for (name, inode) in entries {
            // A header for each.
            self.listings.extend(fields(&[(0, 4), (inode.block, 4), (1, 4)]));
            self.listings.extend(fields(&[(inode.offset, 2), (0, 2), (2, 2), (name.len() as u64 - 1, 2)]));
            self.listings.extend_from_slice(name.as_bytes());
        }
        (start, (self.listings.len() - before) as u64)
    }

    fn listed(&mut self, (start, size): (Place, u64)) -> Place {
        self.inode(
            8,
            &fields(&[(2, 4), (size + 3, 4), (start.block, 4), (1, 4), (0, 2), (start.offset, 2), (0, 4)]),
        )
    }

    fn directory(&mut self, entries: impl IntoIterator<Item = (String, Place)>) -> Place {
        let listing = self.listing(entries);
        self.listed(listing)
    }

    /// Puts the image together.
    fn finish(self, root: Place) -> Vec<u8> {
        let table = |plain: &[u8]| -> Vec<u8> {
            plain
                .chunks(8192)
                .flat_map(|b| [&fields(&[(b.len() as u64 | 1 << 15, 2)])[..], b].concat())
                .collect()
        };
        let count = self.fragments.len() as u64;
        let mut out = vec![0; SUPERBLOCK_BYTES];
        out.extend(self.data);
        let inode_table = out.len() as u64;
        out.extend(self.inode_table.unwrap_or_else(|| table(&self.inodes)));
        let directory_table = out.len() as u64;
        out.extend(table(&self.listings));
        let entry = |(start, size): &(u64, u64)| fields(&[(*start, 8), (*size, 4), (0, 4)]);
        let entries: Vec<u8> = self.fragments.iter().flat_map(entry).collect();
        let blocks = out.len();
        out.extend(table(&entries));
        let fragment_table = self.list.unwrap_or(out.len() as u64);
        for block in 0..entries.len().div_ceil(8192) {
            out.extend(((blocks + block * STORED_BYTES) as u64).to_le_bytes());
        }
        let ids = out.len() as u64;
        out.extend(table(&[0; 4]));
        let id_table = out.len() as u64;
        out.extend(ids.to_le_bytes());
        let mut head = b"hsqs".to_vec();
        head.extend(fields(&[(1, 4), (0, 4), (1 << self.block_log, 4), (self.claimed.unwrap_or(count), 4)]));
        head.extend(fields(&[
            (self.compression, 2),
            (u64::from(self.block_log), 2),
            (0, 2),
            (1, 2),
            (4, 2),
            (0, 2),
        ]));
        head.extend(fields(&[(root.block << 16 | root.offset, 8), (out.len() as u64, 8), (id_table, 8)]));
        head.extend(fields(&[(u64::MAX, 8), (inode_table, 8), (directory_table, 8), (fragment_table, 8)]));
        head.extend(u64::MAX.to_le_bytes());
        out[..SUPERBLOCK_BYTES].copy_from_slice(&head);
        out
    }
}

/// The words of a file that has more of something than any.
const NAMES: &str = "more bytes of paths, link targets and attributes than allowed";
const CONTENTS: &str = "more bytes of contents than allowed";
const TABLES: &str = "more bytes of tables than allowed";
const BLOCKS: &str = "more bytes in the blocks of files than allowed";
const TWICE: &str = "is a directory that lies in two places";

#[test]
fn a_squashfs_with_more_entries_than_it_has_inodes_is_refused() {
    let home = Home::new();
    let mut image = Squashfs::new();
    let link = image.link(&"t/".repeat(2000));
    let root = image.directory(short_names(300_000).map(|name| (name, link)));
    refused(&home, "links.squashfs", &image.finish(root), &["is beyond what an image may have", NAMES]);

    let mut image = Squashfs::new();
    let link = image.link("t");
    let mut below = image.directory(short_names(20_000).map(|name| (name, link)));
    for _ in 0..15 {
        below = image.directory([("d".repeat(255), below)]);
    }
    refused(&home, "paths.squashfs", &image.finish(below), &["/ddd", NAMES]);

    // It is signed as a package, and a package has fewer entries.
    let mut image = Squashfs::new();
    let signature = sign(&Key::from_seed([3; 32]), &Sha512::digest(b"another").into());
    let start = image.data(&signature);
    let block = signature.len() as u32 | 1 << 24;
    let signature = image.file(start, signature.len() as u64, &[block]);
    let directory = image.directory([("signature".to_owned(), signature)]);
    let manifest = Manifest::for_init("Dear", "1", 1, "thing").to_bytes();
    let start = image.data(&manifest);
    let manifest = image.file(start, manifest.len() as u64, &[manifest.len() as u32 | 1 << 24]);
    let link = image.link("t");
    let entries = short_names(210_000).map(|name| (name, link));
    let entries =
        entries.chain([("sandstorm-manifest".to_owned(), manifest), ("tinyroot".to_owned(), directory)]);
    let root = image.directory(entries);
    refused(&home, "signed.squashfs", &image.finish(root), &["too many entries", "200000 entries"]);

    let mut image = Squashfs::new();
    let data = image.data(&zlib(&[0; 1 << 17]));
    let blocks = [(image.data.len()) as u32; 8];
    let file = image.file(data, 1 << 20, &blocks);
    let root = image.directory(short_names(5000).map(|name| (name, file)));
    refused(&home, "one-file.squashfs", &image.finish(root), &[CONTENTS]);
}

#[test]
fn a_squashfs_whose_directories_share_or_loop_is_refused() {
    let home = Home::new();
    let mut image = Squashfs::new();
    let root = Place { block: 0, offset: 0 };
    let root = image.directory([("again".to_owned(), root)]);
    refused(&home, "loop.squashfs", &image.finish(root), &["/again", TWICE]);

    // Each directory has two in its listing which have the same listing.
    let mut image = Squashfs::new();
    let (mut one, mut two) = (image.directory([]), image.directory([]));
    for _ in 0..50 {
        let listing = image.listing([("1".to_owned(), one), ("2".to_owned(), two)]);
        (one, two) = (image.listed(listing), image.listed(listing));
    }
    refused(&home, "doubled.squashfs", &image.finish(one), &[TWICE]);

    let mut image = Squashfs::new();
    let mut below = image.directory([]);
    for _ in 0..70 {
        below = image.directory([("d".to_owned(), below)]);
    }
    refused(&home, "deep.squashfs", &image.finish(below), &["lies below more than 62 directories"]);
}

#[test]
fn a_squashfs_with_too_many_metadata_blocks_is_refused() {
    let home = Home::new();
    // Each inode has a block of its own, of zeros.
    let mut image = Squashfs::new();
    let link =
        [fields(&[(3, 2), (0, 2), (0, 2), (0, 2), (0, 4), (1, 4), (1, 4), (1, 4), (0x74, 1)]), vec![0; 8159]];
    let block = zlib(&link.concat());
    let block = [&fields(&[(block.len() as u64, 2)])[..], &block].concat();
    let place = |n: usize| Place { block: (n * block.len()) as u64, offset: 0 };
    let listing = image.listing(short_names(60_000).enumerate().map(|(n, name)| (name, place(n))));
    image.listed(listing);
    let (inode, head) = (image.inodes.clone(), fields(&[(1 << 15 | image.inodes.len() as u64, 2)]));
    image.inode_table = Some([block.repeat(60_000), head, inode].concat());
    refused(&home, "blocks.squashfs", &image.finish(place(60_000)), &["the inode of /", TABLES]);

    let mut image = Squashfs::new();
    image.inode_table = Some(fields(&[(1 << 15, 2)]).repeat(1000));
    refused(&home, "empty.squashfs", &image.finish(Place { block: 0, offset: 0 }), &["has an empty block"]);
}

#[test]
fn a_squashfs_that_claims_too_many_fragments_is_refused() {
    let home = Home::new();
    // A list that names the same metadata block again and again.
    let mut image = Squashfs::new();
    let block = [&fields(&[(8192 | 1 << 15, 2)])[..], &[0; 8192]].concat();
    let block = image.data(&block);
    image.list = Some(image.data(&block.to_le_bytes().repeat(300_000)));
    image.claimed = Some(300_000 * 512);
    let root = image.directory([]);
    let said = ["the superblock has more fragments than the image has bytes"];
    refused(&home, "claim.squashfs", &image.finish(root), &said);

    // As many as its length allows; none is there but that of the first block.
    let mut image = Squashfs::new();
    image.fragments = vec![(0, 0); 1];
    image.claimed = Some(2_000_000);
    image.data = vec![0; 2_400_000];
    let file = image.end(1_999_999, 1);
    let root = image.directory([("file".to_owned(), file)]);
    refused(&home, "claimed.squashfs", &image.finish(root), &["the table of fragments"]);
}

#[test]
fn a_squashfs_whose_blocks_yield_too_much_is_refused() {
    let home = Home::new();
    let bomb = xz(std::io::repeat(0).take(50 << 20));
    let mut image = Squashfs::new();
    image.compression = XZ;
    let start = image.data(&bomb);
    image.fragments = vec![(start, bomb.len() as u64); 512];
    let root = image.directory([]);
    // Nobody looks at fragments in which no file lies.
    taken(&Home::new(), "unused.squashfs", &image.finish(root));

    let mut image = Squashfs::new();
    image.compression = XZ;
    let start = image.data(&bomb);
    image.fragments = vec![(start, bomb.len() as u64); 512];
    let files: Vec<Place> = (0..512).map(|n| image.end(n, 1)).collect();
    let root = image.directory(short_names(512).zip(files));
    refused(
        &home,
        "used.squashfs",
        &image.finish(root),
        &["/0 cannot be read", "a block is longer than it may be"],
    );

    // Each is as long as it may be; together they are not.
    let mut image = Squashfs::new();
    image.block_log = 20;
    let block = zlib(&vec![0; 1 << 20]);
    let start = image.data(&block);
    image.fragments = vec![(start, block.len() as u64); 5000];
    let files: Vec<Place> = (0..5000).map(|n| image.end(n, 1)).collect();
    let root = image.directory(short_names(5000).zip(files));
    refused(&home, "fragments.squashfs", &image.finish(root), &[BLOCKS]);

    // Packed longer than they are plain.
    let mut image = Squashfs::new();
    image.block_log = 12;
    let start = image.data(&vec![0; 1 << 20]);
    let files: Vec<Place> = (0..50_000).map(|_| image.file(start, 1, &[1 << 20])).collect();
    let root = image.directory(short_names(50_000).zip(files));
    refused(&home, "long.squashfs", &image.finish(root), &["has a block that is longer than it may be"]);
}

#[test]
fn a_squashfs_whose_files_claim_too_much_is_refused() {
    let home = Home::new();
    for (what, size_bytes) in
        [("most.squashfs", u64::MAX), ("tera.squashfs", 1 << 40), ("giga.squashfs", 3 << 30)]
    {
        let mut image = Squashfs::new();
        image.block_log = 20;
        // Nothing is stored for a block of zeros.
        let file = image.file(0, size_bytes, &[0; 3 << 10]);
        let root = image.directory([("file".to_owned(), file)]);
        refused(&home, what, &image.finish(root), &["/file is beyond", CONTENTS]);
    }
}

/// An EROFS image, as it is put together: inodes behind data.
struct Erofs {
    data: Vec<u8>,
    inodes: Vec<u8>,
}

const BLOCK_BYTES: usize = 4096;

impl Erofs {
    fn new() -> Self {
        Erofs { data: vec![0; BLOCK_BYTES], inodes: vec![0; 64] }
    }

    /// Adds data; returns its first block.
    fn data(&mut self, bytes: &[u8]) -> u64 {
        let start = self.data.len() / BLOCK_BYTES;
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(BLOCK_BYTES), 0);
        start as u64
    }

    /// Adds an inode whose contents begin at a block; returns its number.
    fn inode(&mut self, kind: u64, size_bytes: u64, block: u64) -> u64 {
        let number = self.inodes.len() / 32;
        self.inodes.extend(fields(&[(1, 2), (0, 2), (kind | 0o755, 2), (0, 2), (size_bytes, 8), (block, 4)]));
        self.inodes.extend(fields(&[(0, 4), (0, 4), (0, 4), (0, 8), (0, 8), (1, 4)]));
        self.inodes.resize(self.inodes.len().next_multiple_of(64), 0);
        number as u64
    }

    fn file(&mut self, size_bytes: u64, block: u64) -> u64 {
        self.inode(0o100_000, size_bytes, block)
    }

    fn link(&mut self, target: &str) -> u64 {
        let block = self.data(target.as_bytes());
        self.inode(0o120_000, target.len() as u64, block)
    }

    fn directory(&mut self, entries: impl IntoIterator<Item = (String, u64)>) -> u64 {
        let entries: Vec<(String, u64)> = entries.into_iter().collect();
        let blocks: Vec<Vec<u8>> = entries.chunks(14).map(listing).collect();
        let listing = blocks.concat();
        let block = self.data(&listing);
        self.inode(0o040_000, listing.len() as u64, block)
    }

    fn finish(mut self, root: u64) -> Vec<u8> {
        let meta = self.data(&self.inodes.clone());
        // The number of the root has 16 bits; its inode stands here once more.
        let at = meta as usize * BLOCK_BYTES;
        let root = at + root as usize * 32;
        self.data.copy_within(root..root + 64, at);
        let head = fields(&[(0xe0f5_e1e2, 4), (0, 8), (12, 1), (0, 1), (0, 2)]);
        self.data[1024..1024 + head.len()].copy_from_slice(&head);
        self.data[1024 + 40..1024 + 44].copy_from_slice(&(meta as u32).to_le_bytes());
        self.data
    }
}

/// A block of a listing.
fn listing(entries: &[(String, u64)]) -> Vec<u8> {
    let mut at = entries.len() * 12;
    let mut block = Vec::new();
    for (name, inode) in entries {
        block.extend(fields(&[(*inode, 8), (at as u64, 2), (2, 2)]));
        at += name.len();
    }
    block.extend(entries.iter().flat_map(|(name, _)| name.as_bytes()));
    block.resize(BLOCK_BYTES, 0);
    block
}

#[test]
fn an_erofs_whose_directories_share_or_loop_is_refused() {
    let home = Home::new();
    let mut image = Erofs::new();
    let zeros = image.data(&vec![0; 30 << 20]);
    let directories: Vec<u64> = (0..2000).map(|_| image.inode(0o040_000, 30 << 20, zeros)).collect();
    let root = image.directory(short_names(2000).zip(directories));
    refused(&home, "zeros.erofs", &image.finish(root), &["/1", TWICE]);

    let mut image = Erofs::new();
    let zeros = image.data(&vec![0; 40 << 20]);
    let directories: Vec<u64> = (0..2000).map(|n| image.inode(0o040_000, 30 << 20, zeros + n)).collect();
    let root = image.directory(short_names(2000).zip(directories));
    refused(&home, "overlapping.erofs", &image.finish(root), &["the listing of /", TABLES]);

    let mut image = Erofs::new();
    let number = (image.inodes.len() / 32) as u64;
    let root = image.directory([("again".to_owned(), number), ("more".to_owned(), number)]);
    refused(&home, "loop.erofs", &image.finish(root), &["/again", TWICE]);
}

#[test]
fn an_erofs_with_more_entries_than_it_has_inodes_is_refused() {
    let home = Home::new();
    let mut image = Erofs::new();
    let link = image.link(&"t/".repeat(2000));
    let root = image.directory(short_names(20_000).map(|name| (name, link)));
    refused(&home, "links.erofs", &image.finish(root), &["is beyond what an image may have", NAMES]);

    let mut image = Erofs::new();
    let data = image.data(&vec![0; 1 << 20]);
    let file = image.file(1 << 20, data);
    let root = image.directory(short_names(3000).map(|name| (name, file)));
    refused(&home, "one-file.erofs", &image.finish(root), &[CONTENTS]);

    for (what, size_bytes) in [("most.erofs", u64::MAX), ("tera.erofs", 1 << 40), ("giga.erofs", 3 << 30)] {
        let mut image = Erofs::new();
        let file = image.file(size_bytes, 1);
        let root = image.directory([("file".to_owned(), file)]);
        refused(&home, what, &image.finish(root), &["/file is beyond", CONTENTS]);
    }
}

/// A member of a tar: its name, the length that it claims, and its contents.
fn member(name: &str, claimed: u64, contents: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).expect("a good name");
    header.set_mode(0o644);
    header.set_size(claimed);
    header.set_cksum();
    let mut out = [header.as_bytes(), contents].concat();
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

/// A tar of an OCI image layout with one layer.
fn layout(layer: &[u8], diff_id: &str) -> Vec<u8> {
    let digest = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let descriptor = |kind: &str, bytes: &[u8]| {
        json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "size": bytes.len(),
                "digest": format!("sha256:{}", digest(bytes)) })
    };
    let config = json!({ "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] } });
    let config = config.to_string().into_bytes();
    let manifest = json!({ "schemaVersion": 2, "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar+gzip", layer)] });
    let manifest = manifest.to_string().into_bytes();
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor("manifest.v1+json", &manifest)] });
    let mut out = member("oci-layout", 30, br#"{"imageLayoutVersion":"1.0.0"}"#);
    let index = index.to_string();
    out.extend(member("index.json", index.len() as u64, index.as_bytes()));
    for blob in [&config[..], &manifest, layer] {
        out.extend(member(&format!("blobs/sha256/{}", digest(blob)), blob.len() as u64, blob));
    }
    out.extend([0; 1024]);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(plain, Compression::best()).read_to_end(&mut packed).expect("encodes");
    packed
}

#[test]
fn a_tar_that_claims_or_yields_too_much_is_refused() {
    let home = Home::new();
    for (what, claimed) in [("tera.tar", 1 << 40), ("most.tar", u64::MAX >> 1), ("giga.tar", 5 << 30)] {
        refused(&home, what, &member("file", claimed, b"little"), &["more bytes"]);
    }
    // Each member of the gzip file is 64 MiB of zeros.
    let zeros = gzip(&vec![0; 64 << 20]);
    let layer = [gzip(&member("file", 5 << 30, b"")), zeros.repeat(81)].concat();
    refused(&home, "file.oci.tar", &layout(&layer, &"0".repeat(64)), &["layer 1", "more bytes"]);
}

#[test]
fn an_spk_that_yields_too_much_is_refused() {
    let home = Home::new();
    let zeros = xz(std::io::repeat(0).take(64 << 20));
    let archive = Sha512::digest(b"another").into();
    let signature = sign(&Key::from_seed([3; 32]), &archive);
    let stream = |start: &[u8]| [&MAGIC[..], &xz(start), &zeros.repeat(18)].concat();
    refused(&home, "zeros.spk", &stream(&[0; 8]), &["signature"]);
    refused(
        &home,
        "long.spk",
        &stream(&signature),
        &["its archive cannot be installed", "at most 1073741824"],
    );

    // The header of the first block says that it needs a dictionary of 1.5 GiB.
    let mut asks = [&MAGIC[..], &xz(&signature[..])].concat();
    let header = MAGIC.len() + 12..MAGIC.len() + 24;
    assert_eq!(asks[header.start..header.start + 4], [2, 0, 0x21, 1]);
    asks[header.start + 4] = 37;
    let mut sum = Crc::new();
    sum.update(&asks[header.start..header.end - 4]);
    asks[header.end - 4..header.end].copy_from_slice(&sum.sum().to_le_bytes());
    refused(&home, "dictionary.spk", &asks, &["it cannot be decompressed", "memory"]);
}
