use object::elf;

use super::{
    change::u64_at,
    made::{CODE, Made, lookup},
    *,
};

const F: u8 = elf::STT_FUNC;

const LIBRARY: Made<'_> = Made {
    program: false,
    soname: "liba.so.1",
    needed: &["libc.so.6"],
    imports: &["malloc", "free"],
    exports: &[("one", F), ("two", F), ("three", F), ("four", F), ("five", F), ("six", elf::STT_GNU_IFUNC)],
    relocated: &["malloc", "two", "six"],
    words: "",
};

fn read(file: &[u8]) -> Image {
    Image::read(file).expect("reads").expect("is for a loader")
}

fn keep(image: &Image, file: &[u8], names: &[&str]) -> Vec<bool> {
    let name = |symbol: &Symbol| String::from_utf8_lossy(image.name(file, symbol)).into_owned();
    image.symbols.iter().map(|symbol| names.contains(&&name(symbol)[..])).collect()
}

fn holds(file: &[u8], text: &[u8]) -> bool {
    file.windows(text.len()).any(|window| window == text)
}

#[test]
fn reads_what_the_loader_goes_by() {
    assert_eq!(hash_of(b"printf"), 0x156b_2bb8);
    let file = LIBRARY.bytes();
    let image = read(&file);
    assert_eq!(image.soname(&file), Some(&b"liba.so.1"[..]));
    assert_eq!(image.needed(&file).collect::<Vec<_>>(), [b"libc.so.6"]);
    assert!(!image.is_program());
    assert_eq!(image.symbols.len(), 9);
    assert_eq!((0..9).filter(|index| image.is_export(*index)).count(), 6);
    let named = |indexes: Vec<usize>| -> Vec<String> {
        let name = |index| image.name(&file, &image.symbols[index]).escape_ascii().to_string();
        indexes.into_iter().map(name).collect()
    };
    assert_eq!(named(image.relocations.iter().map(|r| r.symbol).collect()), ["malloc", "two", "six"]);
    assert_eq!(named(image.bound_by_name().into_iter().collect()), ["malloc", "six"]);
    for (name, _) in LIBRARY.exports {
        assert!(lookup(&file, name).is_some(), "{name}");
    }
    assert!(read(&Made { program: true, ..LIBRARY }.bytes()).is_program());
    assert_eq!(Image::read(b"#!/bin/sh\n"), Ok(None));
    assert_eq!(Image::read(b"\x7fELF"), Ok(None), "a header without an end is for no loader");
}

/// Every choice of symbols: those that are kept are found where they were, and no other is.
#[test]
fn kept_symbols_are_found_and_no_others() {
    let whole = LIBRARY.bytes();
    let image = read(&whole);
    for choice in 0..1_u32 << LIBRARY.exports.len() {
        let chosen = LIBRARY.exports.iter().enumerate().filter(|(index, _)| choice >> index & 1 == 1);
        let mut names: Vec<&str> = chosen.map(|(_, (name, _))| *name).collect();
        let kept = names.clone();
        names.extend(LIBRARY.imports);
        let mut file = whole.clone();
        image.keep_symbols(&mut file, &keep(&image, &whole, &names)).expect("changes");
        assert_eq!(file.len(), whole.len());
        for (name, _) in LIBRARY.exports {
            let expected = if kept.contains(name) { lookup(&whole, name) } else { None };
            assert_eq!(lookup(&file, name), expected, "{name} of {kept:?}");
            assert_eq!(holds(&file, name.as_bytes()), kept.contains(name), "{name} of {kept:?}");
        }
        for name in ["malloc", "free", "libc.so.6", "liba.so.1", "MADE_1"] {
            assert!(holds(&file, name.as_bytes()), "{name} is needed still");
        }
        assert!(holds(&file, CODE));
    }
}

#[test]
fn relocations_to_what_goes_are_bound_for_good() {
    let whole = LIBRARY.bytes();
    let image = read(&whole);
    let relocations = |file: &[u8]| -> Vec<[u64; 3]> {
        let at = |r: &Relocation| [0, 8, 16].map(|field| u64_at(file, r.place + field).expect("is inside"));
        image.relocations.iter().map(at).collect()
    };
    let two = lookup(&whole, "two").expect("is there");
    let [malloc, before, six] = relocations(&whole)[..] else { panic!("three relocations") };
    let mut file = whole.clone();
    image.keep_symbols(&mut file, &keep(&image, &whole, &["malloc", "six"])).expect("changes");
    let bound = [before[0], elf::R_X86_64_RELATIVE.into(), two];
    assert_eq!(relocations(&file), [malloc, bound, six]);
    let mut file = whole.clone();
    image.keep_symbols(&mut file, &keep(&image, &whole, &["malloc", "two", "six"])).expect("changes");
    assert_eq!(relocations(&file), [malloc, before, six]);
}

#[test]
fn a_second_pass_keeps_what_the_first_did() {
    let mut file = LIBRARY.bytes();
    for names in [&["malloc", "free", "one", "five"][..], &["malloc", "free", "five"]] {
        let image = read(&file);
        let keep = keep(&image, &file, names);
        image.keep_symbols(&mut file, &keep).expect("changes");
    }
    assert!(lookup(&file, "five").is_some() && lookup(&file, "one").is_none());
}

#[test]
fn sections_for_tools_go_and_others_stay() {
    let mut file = LIBRARY.bytes();
    let image = read(&file);
    assert_eq!(image.drop_sections(&mut file), 3 * 64 + 13);
    assert!(!holds(&file, b"made by hand") && holds(&file, b".payload"));
    assert_eq!(&file[40..48], &[0; 8]);
    assert_eq!(image.drop_sections(&mut file), 0, "there is no table any more");
    assert!(lookup(&file, "one").is_some());
    // A section inside of a loaded segment is not only for tools.
    let mut file = LIBRARY.bytes();
    let table = u64_at(&file, 40).expect("is there") as usize;
    file[table + 64 + 24..table + 64 + 32].copy_from_slice(&0x50_u64.to_le_bytes());
    let before = file.clone();
    assert_eq!(image.drop_sections(&mut file), 0);
    assert!(file == before);
}

#[test]
fn a_stub_has_symbols_and_nothing_to_run() {
    let whole = Made { words: "words of its own", ..LIBRARY }.bytes();
    let mut file = whole.clone();
    let mut image = read(&file);
    let kept = keep(&image, &file, &["one", "six"]);
    image.keep_only_symbols(&mut file, &kept).expect("changes");
    assert_eq!(file.len(), whole.len());
    assert_eq!(lookup(&file, "one"), lookup(&whole, "one"));
    assert_eq!(lookup(&file, "two"), None);
    let left = read(&file);
    let six = left.symbols.iter().find(|symbol| left.name(&file, symbol) == b"six").expect("is there");
    assert_eq!(six.kind, F, "nothing is run to find out what it is");
    assert_eq!(left.soname(&file), Some(&b"liba.so.1"[..]));
    assert_eq!(left.needed(&file).collect::<Vec<_>>(), [b"libc.so.6"]);
    assert!(left.relocations.is_empty() && left.value(elf::DT_INIT).is_none());
    assert!(left.segments.iter().all(|segment| segment.kind != elf::PT_GNU_EH_FRAME));
    for gone in [&b"malloc"[..], b"words of its own", CODE, b"made by hand", b"payload"] {
        assert!(!holds(&file, gone), "{}", gone.escape_ascii());
    }
    let code = left.segments.iter().find(|segment| segment.flags & 1 == 1).expect("is there");
    assert!(file[code.place.clone()].iter().all(|byte| *byte == 0xcc));
}

/// Each byte before the code is set to some values, and the file is cut there: no file makes us fall over.
#[test]
fn damaged_files_are_refused_or_changed() {
    let whole = LIBRARY.bytes();
    let end = whole.windows(CODE.len()).position(|window| window == CODE).expect("is there");
    let change = |mut file: Vec<u8>| {
        let Ok(Some(mut image)) = Image::read(&file) else { return };
        let kept: Vec<bool> = (0..image.symbols.len()).map(|index| index % 2 == 0).collect();
        let length = file.len();
        let mut other = file.clone();
        if image.keep_symbols(&mut other, &kept).is_ok() {
            image.drop_sections(&mut other);
        }
        let _ = image.keep_only_symbols(&mut file, &kept);
        assert_eq!((file.len(), other.len()), (length, length));
    };
    for at in 0..end {
        change(whole[..at].to_vec());
        for value in [0, 1, 0x7f, 0xff, whole[at].wrapping_add(8)] {
            let mut file = whole.clone();
            file[at] = value;
            change(file);
        }
    }
}

#[test]
fn segments_without_bytes_may_begin_beyond_the_file() {
    let whole = LIBRARY.bytes();
    let image = read(&whole);
    for segment in &image.segments {
        let mut file = whole.clone();
        // `p_offset` far away, `p_filesz` 0.
        file[segment.header + 8..segment.header + 16].copy_from_slice(&0x7fff_ffff_u64.to_le_bytes());
        file[segment.header + 32..segment.header + 40].fill(0);
        let Ok(Some(mut image)) = Image::read(&file) else { continue };
        let kept = vec![true; image.symbols.len()];
        let _ = image.keep_symbols(&mut file.clone(), &kept);
        image.drop_sections(&mut file.clone());
        let _ = image.keep_only_symbols(&mut file, &kept);
    }
}

#[test]
fn files_of_other_machines_and_odd_tables_are_refused() {
    let whole = LIBRARY.bytes();
    let with = |at: usize, byte: u8| {
        let mut file = whole.clone();
        file[at] = byte;
        Image::read(&file)
    };
    assert_eq!(with(18, 3), Err(Fault::Machine));
    assert_eq!(with(4, 1), Err(Fault::Machine));
    assert_eq!(with(5, 2), Ok(None));
    assert_eq!(with(54, 55), Err(Fault::Damaged("table of segments")));
    assert_eq!(with(64 + 32 + 6, 1), Err(Fault::Outside("segment")));
    assert_eq!(with(16, 1), Ok(None), "an object file is for no loader");
    let hash = read(&whole).hash.expect("is there").place;
    assert_eq!(with(hash, 0), Err(Fault::Damaged("hash table")));
    assert_eq!(with(hash + 2, 1), Err(Fault::Outside("hash table")));
    assert_eq!(with(hash + 8, 3), Err(Fault::Damaged("hash table")));
}

#[test]
fn the_hosts_own_library_keeps_what_is_kept() {
    let Some(whole) = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"]
        .iter()
        .find_map(|path| std::fs::read(path).ok())
    else {
        return crate::testing::skip("no readable libc.so.6 on this host");
    };
    let image = read(&whole);
    assert!(lookup(&whole, "malloc").is_some());
    let mut file = whole.clone();
    let kept: Vec<bool> = image
        .symbols
        .iter()
        .enumerate()
        .map(|(i, symbol)| !image.is_export(i) || image.name(&whole, symbol).starts_with(b"m"))
        .collect();
    image.keep_symbols(&mut file, &kept).expect("changes");
    for name in ["malloc", "memcpy", "mkdir", "free", "strlen", "_exit"] {
        let expected = if name.starts_with('m') { lookup(&whole, name) } else { None };
        assert_eq!(lookup(&file, name), expected, "{name}");
    }
}
