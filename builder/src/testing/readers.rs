//! Readers of bytes that others made, each as a function that takes anything: what `tests/fuzz` feeds to
//! libFuzzer, and what plain tests feed with the seeds in `tests/fuzz/seeds`.
//!
//! A reader may refuse what it is given. It must not panic, hang or take memory without bound, and what it
//! takes must hold what is promised of it: written and read again it is the same, no path leaves its root,
//! nothing that is changed is worse than before. Each function here asserts that.
//!
//! | bytes of | readers here |
//! |---|---|
//! | packages (`.spk`), by anybody | [`archive`](package::archive), [`signature`](package::signature), [`manifest`](package::manifest), [`xz`](package::xz), [`deflate`](package::deflate), [`blocks`](package::blocks), `papers`, `squashfs`, `erofs`, `layout` |
//! | registries of images, and logins to them | `registry` |
//! | Debian's archive and its mirrors | `headers`, `in_release`, `release`, `index`, `keyring`, [`packages`](debian::packages), [`control`](debian::control), [`relations`](debian::relations) |
//! | .debs and npm's tarballs | [`deb`](contents::deb), [`tar`](contents::tar), [`npm_tarball`](contents::npm_tarball), [`npm_lock`](contents::npm_lock), [`copyright`](texts::copyright), `changelog` |
//! | files in roots | [`elf`](contents::elf), [`icu`](contents::icu), [`jimage`](contents::jimage), [`module_info`](contents::module_info), `jar`, `key_store`, `python`, `perl`, `ruby`, `node`, `php`, `scripts`, `secrets`, `difference` |
//! | recipe folders | [`recipe`](texts::recipe), [`lock`](texts::lock), [`used`](texts::used), [`prune_list`](texts::prune_list) |
//! | apps: responses, messages, pages, lines of their logs, what they asked for in vain | `response`, `websocket`, `events`, `cookies`, `page`, `style`, [`lines`](texts::lines), `report` |
//! | clients of apps and of `serve` | [`request`](web::request), [`body`](web::body) |
//! | what runs in a sandbox | `messages`, `dpkg` |
//! | attestations, by anybody | `attestation` |
//! | the host's own settings and keys | [`apt_conf`](texts::apt_conf), `sources`, [`keys`](package::keys) |
//! | the remote cache | `cache_entry` |
//! | the cache | [`tree`](texts::tree), [`table`](debian::table), `kept_index`, `kept_release`, `bundle`, [`block`](package::block), `notes` |
//!
//! Those without a link lie in the rooms whose private parts they read.

mod contents;
mod debian;
mod long;
mod package;
mod seeds;
mod texts;
mod web;

pub use long::long_inputs;
pub use seeds::{Seed, seeds};

use crate::{
    archive, artifact, attestation, cli, configure, difference, download, evidence, exercise,
    formats::{changelog, websocket},
    image, prune, remote, sandbox, store,
};

/// A function that reads foreign bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Its name, and that of the directory of its seeds.
    pub name: &'static str,
    /// Reads bytes, whatever they are.
    ///
    /// # Panics
    /// Where a promise is broken: that is what is looked for.
    pub read: fn(&[u8]),
    /// How many bytes are worth while: longer inputs show nothing that shorter ones do not.
    pub max_bytes: usize,
}

const fn reader(name: &'static str, read: fn(&[u8]), max_bytes: usize) -> Reader {
    Reader { name, read, max_bytes }
}

/// All readers, the most exposed ones first.
pub const READERS: &[Reader] = &[
    reader("archive", package::archive, 1 << 14),
    reader("signature", package::signature, 1 << 10),
    reader("manifest", package::manifest, 1 << 13),
    reader("xz", package::xz, 1 << 12),
    reader("deflate", package::deflate, 1 << 12),
    reader("blocks", package::blocks, 1 << 12),
    reader("squashfs", artifact::readers::squashfs, 1 << 13),
    reader("erofs", artifact::readers::erofs, 1 << 14),
    reader("layout", artifact::readers::layout, 1 << 14),
    reader("deb", contents::deb, 1 << 14),
    reader("tar", contents::tar, 1 << 15),
    reader("npm_tarball", contents::npm_tarball, 1 << 14),
    reader("npm_lock", contents::npm_lock, 1 << 12),
    reader("elf", contents::elf, 1 << 14),
    reader("icu", contents::icu, 1 << 12),
    reader("jimage", contents::jimage, 1 << 13),
    reader("module_info", contents::module_info, 1 << 12),
    reader("jar", prune::readers::jar, 1 << 13),
    reader("key_store", configure::readers::key_store, 1 << 12),
    reader("difference", difference::readers::file, 1 << 12),
    reader("attestation", attestation::read_anything, 1 << 12),
    reader("cache_entry", remote::read_anything, 1 << 12),
    reader("in_release", archive::readers::in_release, 1 << 13),
    reader("index", archive::readers::index, 1 << 12),
    reader("release", archive::readers::release, 1 << 13),
    reader("keyring", archive::readers::keyring, 1 << 13),
    reader("headers", download::read_headers, 1 << 9),
    reader("registry", download::registry::read_texts, 1 << 10),
    reader("packages", debian::packages, 1 << 13),
    reader("control", debian::control, 1 << 12),
    reader("relations", debian::relations, 1 << 10),
    reader("request", web::request, 1 << 12),
    reader("body", web::body, 1 << 12),
    reader("response", exercise::readers::response, 1 << 12),
    reader("websocket", websocket::read_anything, 1 << 10),
    reader("events", exercise::readers::events, 1 << 10),
    reader("cookies", exercise::readers::cookies, 1 << 10),
    reader("page", exercise::readers::page, 1 << 12),
    reader("style", exercise::readers::style, 1 << 12),
    reader("recipe", texts::recipe, 1 << 12),
    reader("lock", texts::lock, 1 << 12),
    reader("used", texts::used, 1 << 12),
    reader("copyright", texts::copyright, 1 << 12),
    reader("changelog", changelog::read_anything, 1 << 12),
    reader("prune_list", texts::prune_list, 1 << 12),
    reader("papers", texts::papers, 1 << 12),
    reader("report", evidence::readers::report, 1 << 10),
    reader("lines", texts::lines, 1 << 11),
    reader("python", prune::readers::python, 1 << 12),
    reader("perl", prune::readers::perl, 1 << 12),
    reader("ruby", prune::readers::ruby, 1 << 12),
    reader("node", prune::readers::node, 1 << 12),
    reader("php", prune::readers::php, 1 << 12),
    reader("scripts", image::readers::scripts, 1 << 12),
    reader("secrets", prune::readers::secrets, 1 << 12),
    reader("messages", sandbox::readers::messages, 1 << 11),
    reader("dpkg", configure::readers::dpkg, 1 << 11),
    reader("apt_conf", texts::apt_conf, 1 << 11),
    reader("sources", archive::readers::sources, 1 << 11),
    reader("keys", package::keys, 1 << 10),
    reader("tree", texts::tree, 1 << 12),
    reader("table", debian::table, 1 << 12),
    reader("kept_index", archive::readers::kept_index, 1 << 12),
    reader("kept_release", archive::readers::kept_release, 1 << 13),
    reader("block", package::block, 1 << 10),
    reader("notes", cli::readers::notes, 1 << 12),
    reader("bundle", store::read_anything, 1 << 13),
];

/// Returns the reader of a name.
pub fn find(name: &str) -> Option<&'static Reader> {
    READERS.iter().find(|reader| reader.name == name)
}

/// Choices that depend on an input alone, for what is kept of it and what is not.
pub(crate) struct Choices(u64);

impl Choices {
    /// Returns those of an input.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Choices(bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    /// Returns a choice for a number.
    pub(crate) fn of_number(&self, number: usize) -> bool {
        (self.0 ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
    }
}

/// Asserts that a path of a root is one.
pub(crate) fn assert_inside(path: &[u8]) {
    let is_name =
        |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&0) && name.len() <= 255;
    let is_inside = path.is_empty() || path.split(|byte| *byte == b'/').all(is_name);
    assert!(is_inside && path.len() <= 4095, "{}", path.escape_ascii());
}
