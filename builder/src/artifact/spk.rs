//! `.spk`, Sandstorm's format ([`formats::spk`](crate::formats::spk) has its bytes and rules).
//!
//! Reading checks the signature, decompresses once, and serves contents from the store: the decompressed
//! stream is the pack of a bundle (`spk`, SHA-256 of the file), so the same file is decompressed once, and
//! its contents lie where the archive message has them. What is not signed by the key that it names, or could
//! not be installed, is refused whole.
//!
//! Writing lays the archive out, signs it, and compresses it in blocks side by side. The bytes depend on
//! image, manifest and key alone: not on clock, cores, user or what was packed before. What the format cannot
//! hold is left out with a word (devices, named pipes) or by rule (owners, mode bits but the executable one,
//! extended attributes); what no installer would take is refused before it is signed.

mod alike;
mod blocks;
mod plan;
mod read;
mod runs;
mod unpack;
mod write;

pub use read::Fault;
pub(super) use read::{open, open_priced, verify};
pub(super) use unpack::{items_of, unpack};
pub use write::{SignedTree, Signer, SpkWriter, complete};
pub(super) use write::{archive_sha512, sign};

use crate::formats::{
    app_id::{AppId, PackageId},
    manifest::Manifest,
    spk::{Item, Signature},
};

/// The parts of an `.spk` besides its tree, which holds `sandstorm-manifest` too: there directories and
/// executables are 0755, files 0644, and all of 0:0.
#[derive(Debug)]
pub struct Spk {
    /// Its identity.
    pub package_id: PackageId,
    /// Who signed it.
    pub app_id: AppId,
    /// The signature, as it stands in the file.
    pub signature: Signature,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its contents, in the order of the archive and with times in nanoseconds.
    pub items: Vec<Item>,
    /// The length of its decompressed archive.
    pub archive_bytes: u64,
    /// False if padding or further streams are around what is signed, so that other bytes would be the same
    /// package: some tool other than ours may write it so.
    pub is_one_stream: bool,
}
