//! Packages of Debian and npm, and the files in them that are looked into.

use std::io::{self, Read, Write as _};

use super::{Choices, assert_inside};
use crate::{
    digest::Digest,
    formats::{
        budget::{Budget, Limits},
        deb::{Deb, Part},
        elf, icu_data, jimage, module_info, package_lock,
        tar_in::{self, Dialect},
    },
    npm, reduce,
    tree::{Kind, Tree},
};

/// What is unpacked at most: enough for anything that is long for its own sake.
const PLAIN_BYTES: u64 = 8 << 20;

fn budget() -> Budget {
    Budget::of(Limits { entries: 20_000, content_bytes: PLAIN_BYTES, held_bytes: PLAIN_BYTES })
}

/// A .deb: both parts as trees.
pub(super) fn deb(bytes: &[u8]) {
    let Ok(mut deb) = Deb::open(bytes) else { return };
    for part in [Part::Control, Part::Data] {
        let Ok(plain) = deb.part(part) else { return };
        let plain = plain.take(PLAIN_BYTES);
        let read = tar_in::read_tree_with(plain, Dialect::Dpkg, &mut budget(), |_, _, contents| {
            Ok(Digest::of_reader(contents)?.0)
        });
        let Ok((tree, mut rest)) = read else { return };
        if io::copy(&mut rest, &mut io::sink()).is_err() || rest.limit() == 0 {
            return;
        }
        assert_sound(&tree, PLAIN_BYTES);
    }
    let _ = deb.finish();
}

/// A tar, with dpkg's habits and with npm's; also with the sums of its headers made good, so that what is
/// behind them is looked at.
pub(super) fn tar(bytes: &[u8]) {
    let good = with_sums(bytes);
    for dialect in [Dialect::Dpkg, Dialect::Npm, Dialect::Any] {
        for bytes in [bytes, &good] {
            if let Ok(tree) = tar_in::read_tree(bytes, dialect, &mut budget()) {
                // A sparse file is longer than what is stored of it.
                let most_bytes = if dialect == Dialect::Any { PLAIN_BYTES } else { bytes.len() as u64 };
                assert_sound(&tree, most_bytes);
            }
        }
    }
}

/// Returns a tar with a good sum in each header (`tar(5)`).
fn with_sums(bytes: &[u8]) -> Vec<u8> {
    const BLOCK_BYTES: usize = 512;
    let mut out = bytes.to_vec();
    let mut at = 0;
    while let Some(header) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<BLOCK_BYTES>()) {
        if header.iter().any(|byte| *byte != 0) {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let size = std::str::from_utf8(&header[124..136]).unwrap_or_default();
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap_or(0).min(bytes.len());
        at += BLOCK_BYTES + size.next_multiple_of(BLOCK_BYTES);
    }
    out
}

/// Asserts what holds of each tree that was read: paths within it, hard links to files, and the same tree by
/// its text.
fn assert_sound(tree: &Tree, most_bytes: u64) {
    for (path, entry) in tree.iter() {
        assert_inside(path.as_bytes());
        if let Kind::File { hard_link: Some(first), digest, .. } = &entry.kind {
            let same = tree.get(first.as_bytes()).and_then(|first| first.kind.content());
            assert_eq!(same.map(|(digest, _)| digest), Some(*digest), "{path}");
        }
        let above = path.ancestors().filter_map(|above| tree.get(above.as_bytes()).map(|entry| &entry.kind));
        assert!(
            above.into_iter().all(Kind::is_directory),
            "{path} lies below something that is not a directory"
        );
    }
    assert!(tree.size_bytes() <= most_bytes, "more contents than bytes");
    let again = Tree::from_text(&tree.to_text()).expect("what was written can be read");
    assert_eq!(&again, tree);
}

/// The tarball of an npm package; also the tar alone.
pub(super) fn npm_tarball(bytes: &[u8]) {
    npm_package(bytes);
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    compressed.write_all(&with_sums(bytes)).expect("memory takes it");
    npm_package(&compressed.finish().expect("memory takes it"));
}

fn npm_package(bytes: &[u8]) {
    let Ok(tree) = npm::tarball::read(bytes, |contents| Ok(Digest::of_reader(contents)?.0)) else { return };
    for (path, entry) in tree.iter() {
        assert_inside(path.as_bytes());
        assert!(matches!(entry.kind, Kind::Directory | Kind::File { hard_link: None, .. }), "{path}");
        assert!(matches!(entry.mode, 0o644 | 0o755) && (entry.uid, entry.gid) == (0, 0), "{path}");
    }
}

/// A package-lock.json.
pub(super) fn npm_lock(bytes: &[u8]) {
    for optional in [false, true] {
        for package in package_lock::parse(bytes, optional).unwrap_or_default() {
            assert_inside(package.directory.as_bytes());
            assert!(package.directory.starts_with("node_modules/"), "{}", package.directory);
            let path = package_lock::tarball_path(&package.name, &package.version);
            let is_plain = |part: &str| !matches!(part, "" | "." | "..");
            assert!(path.split('/').all(is_plain) && !path.contains(['?', '#', '\\', '%']), "{path}");
        }
    }
}

/// A program or library: read as the loader does, and changed in all ways.
pub(super) fn elf(bytes: &[u8]) {
    if let Some(elf) = elf::linkage::Linkage::of_bytes(bytes) {
        let _ = (elf.directories(b"usr/bin/x", &[b"lib".to_vec()]), elf.system_directories());
    }
    let _ = reduce::icu::data_place(bytes);
    let Ok(Some(image)) = elf::image::Image::read(bytes) else { return };
    let _ = (image.is_program(), image.soname(bytes), image.needed(bytes).count(), image.bound_by_name());
    let choices = Choices::of(bytes);
    let keep: Vec<bool> = (0..image.symbols.len()).map(|index| choices.of_number(index)).collect();
    let mut fewer = bytes.to_vec();
    match image.keep_symbols(&mut fewer, &keep) {
        Ok(()) => {
            let again = elf::image::Image::read(&fewer).expect("what was changed can be read");
            let again = again.expect("it is an ELF file still");
            for (index, symbol) in
                again.symbols.iter().enumerate().filter(|(index, _)| again.is_export(*index))
            {
                let before = &image.symbols[index];
                assert!(index == 0 || keep[index], "symbol {index} is still there");
                assert_eq!(again.name(&fewer, symbol), image.name(bytes, before));
            }
            image.drop_sections(&mut fewer);
        }
        Err(_) => assert_eq!(fewer, bytes, "changed, and yet refused"),
    }
    let mut sections = bytes.to_vec();
    image.drop_sections(&mut sections);
    let mut stub = bytes.to_vec();
    match image.clone().keep_only_symbols(&mut stub, &keep) {
        Ok(()) => drop(elf::image::Image::read(&stub)),
        Err(_) => assert_eq!(stub.len(), bytes.len()),
    }
}

/// ICU's data: shortened, it has what was kept.
pub(super) fn icu(bytes: &[u8]) {
    let Ok(data) = icu_data::CommonData::read(bytes) else { return };
    let choices = Choices::of(bytes);
    let is_kept =
        |item: &icu_data::Item| choices.of_number(item.name.len() + usize::from(item.name.as_bytes()[0]));
    let mut blob = bytes.to_vec();
    let kept_bytes = data.shorten(&mut blob, is_kept);
    assert!(kept_bytes <= bytes.len() as u64);
    let again = icu_data::CommonData::read(&blob).expect("what was changed can be read");
    let names = |items: &[icu_data::Item], all: bool| -> Vec<String> {
        items.iter().filter(|item| all || is_kept(item)).map(|item| item.name.clone()).collect()
    };
    assert_eq!(names(&again.items, true), names(&data.items, false));
    for item in again.items.iter().zip(data.items.iter().filter(|item| is_kept(item))) {
        assert_eq!(blob[item.0.place().start..][..item.1.place().len()], bytes[item.1.place()]);
    }
}

/// Java's modules: what is left is as it was.
pub(super) fn jimage(bytes: &[u8]) {
    let Ok(image) = jimage::Image::read(bytes) else { return };
    let choices = Choices::of(bytes);
    let is_kept =
        |module: &[u8]| choices.of_number(module.len() + usize::from(module.first().copied().unwrap_or(0)));
    for module in image.modules(bytes) {
        if let Some(info) = image.resource(bytes, module, b"module-info", b"class") {
            let _ = module_info::requires(info);
        }
    }
    let mut file = bytes.to_vec();
    let Ok(left) = image.keep_modules(&mut file, is_kept) else { return };
    assert!(left.size_bytes <= bytes.len() as u64);
    let again = jimage::Image::read(&file).expect("what was changed can be read");
    let expected: Vec<Vec<u8>> = image
        .modules(bytes)
        .into_iter()
        .filter(|name| is_kept(name) || name.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let found: Vec<Vec<u8>> = again.modules(&file).into_iter().map(<[u8]>::to_vec).collect();
    assert_eq!(found, expected);
}

/// A module-info.class.
pub(super) fn module_info(bytes: &[u8]) {
    for name in module_info::requires(bytes).unwrap_or_default() {
        assert!(name.len() <= bytes.len());
    }
}
