//! The FUSE protocol, version 7, as far as a read-only view needs it: `fuse(4)` and the kernel's
//! `include/uapi/linux/fuse.h`. Numbers are in the machine's byte order.
//!
//! ```text
//! request  len u32, opcode u32, unique u64, node u64, uid u32, gid u32, pid u32, 4 bytes, then the body
//! reply    len u32, minus errno i32, unique u64, then the body
//! ```

use super::{Attributes, NodeType};

pub(super) const LOOKUP: u32 = 1;
pub(super) const FORGET: u32 = 2;
pub(super) const GETATTR: u32 = 3;
pub(super) const SETATTR: u32 = 4;
pub(super) const READLINK: u32 = 5;
pub(super) const SYMLINK: u32 = 6;
const MKNOD: u32 = 8;
const MKDIR: u32 = 9;
const UNLINK: u32 = 10;
const RMDIR: u32 = 11;
const RENAME: u32 = 12;
pub(super) const LINK: u32 = 13;
pub(super) const OPEN: u32 = 14;
pub(super) const READ: u32 = 15;
pub(super) const WRITE: u32 = 16;
pub(super) const STATFS: u32 = 17;
pub(super) const RELEASE: u32 = 18;
pub(super) const SETXATTR: u32 = 21;
pub(super) const REMOVEXATTR: u32 = 24;
pub(super) const INIT: u32 = 26;
pub(super) const OPENDIR: u32 = 27;
pub(super) const READDIR: u32 = 28;
pub(super) const RELEASEDIR: u32 = 29;
pub(super) const ACCESS: u32 = 34;
pub(super) const CREATE: u32 = 35;
pub(super) const INTERRUPT: u32 = 36;
pub(super) const DESTROY: u32 = 38;
pub(super) const BATCH_FORGET: u32 = 42;
pub(super) const FALLOCATE: u32 = 43;
pub(super) const RENAME2: u32 = 45;
pub(super) const TMPFILE: u32 = 51;

/// `FOPEN_KEEP_CACHE | FOPEN_NOFLUSH`: pages stay from one open to the next, closing sends no request.
pub(super) const OPEN_FILE: u32 = 1 << 1 | 1 << 5;
/// `FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR`.
pub(super) const OPEN_DIRECTORY: u32 = 1 << 1 | 1 << 3;
/// `FUSE_NOTIFY_STORE`: a message of ours that puts contents into the kernel's cache.
const NOTIFY_STORE: i32 = 4;
/// `__FMODE_EXEC`, an OPEN flag of the kernel's own.
pub(super) const EXECUTING: u32 = 0x20;

/// Flags of INIT that are requested where the kernel offers them.
mod init {
    pub(super) const ASYNC_READ: u64 = 1;
    pub(super) const BIG_WRITES: u64 = 1 << 5;
    pub(super) const PARALLEL_DIROPS: u64 = 1 << 18;
    pub(super) const MAX_PAGES: u64 = 1 << 22;
    pub(super) const CACHE_SYMLINKS: u64 = 1 << 23;
    /// The kernel drops no page by itself.
    pub(super) const EXPLICIT_INVAL_DATA: u64 = 1 << 25;
    /// The upper half of the flags counts.
    pub(super) const INIT_EXT: u64 = 1 << 30;
    /// The kernel ends the connection when a request stays unanswered.
    pub(super) const REQUEST_TIMEOUT: u64 = 1 << 42;
    pub(super) const WANTED: u64 = ASYNC_READ
        | BIG_WRITES
        | PARALLEL_DIROPS
        | MAX_PAGES
        | CACHE_SYMLINKS
        | EXPLICIT_INVAL_DATA
        | INIT_EXT
        | REQUEST_TIMEOUT;
}

/// The major version spoken here.
const MAJOR: u32 = 7;
/// The oldest minor version with all that is used here: Linux 5.10, of Debian 11.
const OLDEST_MINOR: u32 = 31;
/// The minor version spoken here.
const MINOR: u32 = 41;
/// Longest READ in pages; the kernel's default limit is 256.
const MAX_PAGES: u16 = 256;
/// A request may stay unanswered that long. Disks under load take seconds; only a server that hangs takes
/// minutes.
const REQUEST_TIMEOUT_S: u16 = 300;
/// A year: a view's reply never changes.
const FOREVER_S: u64 = 365 * 86_400;
/// The size of file system blocks shown.
const BLOCK_BYTES: u64 = 4096;

/// Room for any request: the kernel refuses less than 8 KiB, and longest are names and attributes.
pub(super) const REQUEST_BYTES: usize = 1 << 17;
/// Length of a reply's header.
pub(super) const HEADER_BYTES: usize = 16;
/// Longest data that READ may request.
pub(super) const MAX_READ_BYTES: u32 = MAX_PAGES as u32 * 4096;

/// A request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) opcode: u32,
    pub(super) unique: u64,
    pub(super) node: u64,
    /// The calling thread in the mounter's process namespace; 0 if it has no number there.
    pub(super) thread: u32,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a request; `None` if it is cut.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = Fields(bytes);
        let length = header.u32(0)? as usize;
        Some(Request {
            opcode: header.u32(4)?,
            unique: header.u64(8)?,
            node: header.u64(16)?,
            thread: header.u32(32)?,
            body: bytes.get(40..length)?,
        })
    }

    /// Returns the body's number at an offset.
    pub(super) fn u32(&self, at: usize) -> Option<u32> {
        Fields(self.body).u32(at)
    }

    /// Returns the body's number at an offset.
    pub(super) fn u64(&self, at: usize) -> Option<u64> {
        Fields(self.body).u64(at)
    }

    /// Returns the name that the body is.
    pub(super) fn name(&self) -> Option<&'a [u8]> {
        self.body.split(|b| *b == 0).next()
    }

    /// Returns the name, in the directory that the request is about, that would change; `None` where the node
    /// itself would.
    pub(super) fn name_in_directory(&self) -> Option<&'a [u8]> {
        // Before it stands a structure of the length that `linux/fuse.h` gives it.
        let before = match self.opcode {
            SYMLINK | UNLINK | RMDIR => 0,
            MKDIR | RENAME | LINK => 8,
            MKNOD | RENAME2 | CREATE => 16,
            _ => return None,
        };
        self.body.get(before..)?.split(|b| *b == 0).next()
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.0.get(at..at + 4)?.try_into().ok()?))
    }

    fn u64(&self, at: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(self.0.get(at..at + 8)?.try_into().ok()?))
    }
}

/// A reply under construction, its buffer used again and again.
#[derive(Debug, Default)]
pub(super) struct Reply {
    bytes: Vec<u8>,
}

impl Reply {
    /// Starts anew.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEADER_BYTES, 0);
    }

    /// Ends the reply and returns it: an error if `errno` is not 0.
    pub(super) fn finish(&mut self, unique: u64, errno: i32) -> &[u8] {
        if errno != 0 {
            self.clear();
        }
        self.sealed(-errno, unique)
    }

    /// Fills the header in: of a reply, or of a notification where `unique` is 0.
    fn sealed(&mut self, code: i32, unique: u64) -> &[u8] {
        let length = u32::try_from(self.bytes.len()).expect("replies are shorter than 4 GiB");
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[4..8].copy_from_slice(&code.to_ne_bytes());
        self.bytes[8..16].copy_from_slice(&unique.to_ne_bytes());
        &self.bytes
    }

    /// Makes this the message that has the kernel keep a file's contents: `size` bytes, which `fill` puts
    /// into a buffer. It is not a reply to a request.
    pub(super) fn store<E>(
        &mut self,
        node: u64,
        size: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<&[u8], E> {
        self.clear();
        self.u64(node);
        self.u64(0);
        let length_at = self.bytes.len();
        self.u32(0);
        self.u32(0);
        self.data(size, fill)?;
        let length = (self.bytes.len() - length_at - 8) as u32;
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_ne_bytes());
        Ok(self.sealed(NOTIFY_STORE, 0))
    }

    /// Appends bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_ne_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_ne_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_ne_bytes());
    }

    /// Appends what `fill` puts into a buffer of that size, or leaves the reply as it was.
    pub(super) fn data<E>(
        &mut self,
        size: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.resize(start + size, 0);
        let got = fill(&mut self.bytes[start..]);
        self.bytes.truncate(start + got.as_ref().map_or(0, |got| *got));
        got.map(drop)
    }

    /// Replies to INIT; with `ahead`, the kernel may read more than is requested. `Err` for a kernel that is
    /// too old; `Ok(false)` if it has to send INIT again with our version.
    pub(super) fn init(&mut self, request: &Request<'_>, ahead: bool) -> Result<bool, ()> {
        let (Some(major), Some(minor)) = (request.u32(0), request.u32(4)) else { return Err(()) };
        if major < MAJOR || (major == MAJOR && minor < OLDEST_MINOR) {
            return Err(());
        }
        let flags = request.u32(12).map(u64::from).unwrap_or_default();
        let more = if flags & init::INIT_EXT == 0 { None } else { request.u32(16) };
        let flags = (flags | more.map(u64::from).unwrap_or_default() << 32) & init::WANTED;
        let timeout_s = if flags & init::REQUEST_TIMEOUT == 0 { 0 } else { REQUEST_TIMEOUT_S };
        self.u32(MAJOR);
        self.u32(MINOR);
        self.u32(if ahead { request.u32(8).unwrap_or(1 << 17) } else { 0 });
        self.u32(flags as u32);
        self.u16(0); // background requests: the kernel's default
        self.u16(0);
        self.u32(4096); // longest WRITE: there are none
        self.u32(1_000_000_000); // times are whole seconds
        self.u16(MAX_PAGES);
        self.u16(0);
        self.u32((flags >> 32) as u32);
        self.u32(0);
        self.u16(timeout_s);
        self.bytes(&[0; 22]);
        Ok(major == MAJOR)
    }

    /// Replies to LOOKUP with a node.
    pub(super) fn entry(&mut self, node: u64, attributes: &Attributes, owner: (u32, u32), keep: bool) {
        self.u64(node);
        self.u64(0);
        self.u64(if keep { FOREVER_S } else { 0 });
        self.u64(if keep { FOREVER_S } else { 0 });
        self.u64(0);
        self.attributes(node, attributes, owner);
    }

    /// Replies to LOOKUP: not there, and the kernel is to remember it.
    pub(super) fn absent(&mut self) {
        self.u64(0);
        self.u64(0);
        self.u64(FOREVER_S);
        self.bytes(&[0; 104]);
    }

    /// Replies to GETATTR.
    pub(super) fn stat(&mut self, node: u64, attributes: &Attributes, owner: (u32, u32), keep: bool) {
        self.u64(if keep { FOREVER_S } else { 0 });
        self.u64(0);
        self.attributes(node, attributes, owner);
    }

    fn attributes(&mut self, node: u64, attributes: &Attributes, owner: (u32, u32)) {
        let Attributes { node_type, mode, links, size_bytes, mtime_s, device } = *attributes;
        self.u64(node);
        self.u64(size_bytes);
        self.u64(size_bytes.div_ceil(512));
        for _ in 0..3 {
            self.u64(mtime_s as u64);
        }
        self.bytes(&[0; 12]);
        self.u32(type_bits(node_type) << 12 | mode);
        self.u32(links);
        self.u32(owner.0);
        self.u32(owner.1);
        // The kernel's own packing of a device number (new_encode_dev).
        self.u32(device.1 & 0xff | device.0 << 8 | (device.1 & !0xff) << 12);
        self.u32(BLOCK_BYTES as u32);
        self.u32(0);
    }

    /// Replies to OPEN and OPENDIR. There are no handles: nodes are enough.
    pub(super) fn opened(&mut self, flags: u32) {
        self.u64(0);
        self.u32(flags);
        self.u32(0);
    }

    /// Appends one entry to the reply to READDIR; false if it has no room within `limit` bytes.
    pub(super) fn directory_entry(
        &mut self,
        limit: usize,
        name: &[u8],
        node: u64,
        node_type: NodeType,
        next: u64,
    ) -> bool {
        let padded = (24 + name.len()).next_multiple_of(8);
        if self.bytes.len() - HEADER_BYTES + padded > limit {
            return false;
        }
        self.u64(node);
        self.u64(next);
        self.u32(name.len() as u32);
        self.u32(type_bits(node_type));
        self.bytes(name);
        self.bytes(&[0; 8][..padded - 24 - name.len()]);
        true
    }

    /// Replies to STATFS: full, for nothing can be added.
    pub(super) fn statfs(&mut self, nodes: u64, size_bytes: u64) {
        self.u64(size_bytes.div_ceil(BLOCK_BYTES));
        self.u64(0);
        self.u64(0);
        self.u64(nodes);
        self.u64(0);
        self.u32(BLOCK_BYTES as u32);
        self.u32(255);
        self.u32(BLOCK_BYTES as u32);
        self.bytes(&[0; 28]);
    }
}

/// The type as in the upper bits of `st_mode` and in `d_type`.
fn type_bits(node_type: NodeType) -> u32 {
    match node_type {
        NodeType::Fifo => 1,
        NodeType::CharacterDevice => 2,
        NodeType::Directory => 4,
        NodeType::BlockDevice => 6,
        NodeType::File => 8,
        NodeType::Symlink => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((40 + body.len() as u32).to_ne_bytes());
        bytes.extend(opcode.to_ne_bytes());
        bytes.extend(7u64.to_ne_bytes());
        bytes.extend(3u64.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(99u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn reads_requests_and_refuses_cut_ones() {
        let bytes = request(LOOKUP, b"name\0");
        let parsed = Request::parse(&bytes).expect("whole");
        assert_eq!((parsed.opcode, parsed.unique, parsed.node, parsed.thread), (1, 7, 3, 99));
        assert_eq!(parsed.name(), Some(&b"name"[..]));
        assert_eq!((parsed.u32(0).is_some(), parsed.u32(2), parsed.u64(0)), (true, None, None));
        for cut in 0..bytes.len() {
            assert!(Request::parse(&bytes[..cut]).is_none(), "cut at {cut}");
        }
    }

    #[test]
    fn replies_have_the_lengths_of_the_protocol() {
        let attributes = Attributes {
            node_type: NodeType::File,
            mode: 0o644,
            links: 1,
            size_bytes: 5,
            mtime_s: -1,
            device: (0, 0),
        };
        let mut reply = Reply::default();
        let mut body = |make: &dyn Fn(&mut Reply)| {
            reply.clear();
            make(&mut reply);
            reply.finish(1, 0).len() - HEADER_BYTES
        };
        assert_eq!(body(&|r| r.entry(1, &attributes, (0, 0), true)), 128);
        assert_eq!(body(&|r| r.absent()), 128);
        assert_eq!(body(&|r| r.stat(1, &attributes, (0, 0), true)), 104);
        assert_eq!(body(&|r| r.opened(0)), 16);
        let told = Reply::default().store(7, 9, |buffer| Ok::<_, ()>(buffer.len() - 4)).map(<[u8]>::to_vec);
        let told = told.expect("the buffer was filled");
        assert_eq!(
            (told.len(), &told[4..16], &told[32..36]),
            (45, &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[5, 0, 0, 0][..])
        );
        assert_eq!(body(&|r| r.statfs(1, 1)), 80);
        assert_eq!(body(&|r| assert!(r.directory_entry(32, b"12345678", 1, NodeType::File, 1))), 32);
        assert_eq!(body(&|r| assert!(!r.directory_entry(32, b"123456789", 1, NodeType::File, 1))), 0);
        let init = request(INIT, &[7u32, 41, 1 << 17, 0x4000_0001, 1 << 10].map(u32::to_ne_bytes).concat());
        let init = Request::parse(&init).expect("whole");
        assert_eq!(body(&|r| assert_eq!(r.init(&init, true), Ok(true))), 64);
        let old = request(INIT, &[7u32, 19, 1 << 17, 0].map(u32::to_ne_bytes).concat());
        assert_eq!(Reply::default().init(&Request::parse(&old).expect("whole"), true), Err(()));
    }
}
