use super::{
    made::{Resources, SEED, hash, made},
    *,
};

/// Looks a name up as Java does (`ImageFileReader::find_location`, `verify_location`).
fn find<'a>(file: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let count = number(file, 16)?;
    let image = Image::read(file).expect("is good");
    let slot = hash(name, SEED) % count;
    let redirect = number(file, HEADER_BYTES + slot as usize * 4)? as i32;
    let index = match redirect {
        0 => return None,
        seed if seed > 0 => hash(name, seed as u32) % count,
        direct => (-1 - direct) as u32,
    };
    let offset = number(file, image.offsets.start + index as usize * 4)?;
    let entry = image.entries.get(&offset)?;
    let module = image.name(file, entry, MODULE);
    let mut own = String::from_utf8(image.path(file, entry)).expect("was text");
    if !module.is_empty() {
        own = format!("/{}/{own}", std::str::from_utf8(module).expect("was text"));
    }
    (own == name).then(|| &file[entry.content.clone()])
}

const MODULES: &[(&str, Resources<'_>)] = &[
    (
        "java.base",
        &[
            ("module-info.class", b"base"),
            ("java/lang/Object.class", b"object"),
            ("sun/net/www/types.txt", b"types"),
        ],
    ),
    ("java.sql", &[("module-info.class", b"sql"), ("java/sql/Driver.class", b"driver")]),
    (
        "java.desktop",
        &[
            ("module-info.class", b"desktop"),
            ("java/awt/Window.class", b"window"),
            ("java/sql/Driver.class", b"another"),
        ],
    ),
];

fn keep(file: &mut [u8], names: &[&str]) -> Left {
    let image = Image::read(file).expect("is good");
    let kept = |module: &[u8]| names.iter().any(|name| name.as_bytes() == module);
    image.keep_modules(file, kept).expect("keeps")
}

#[test]
fn resources_are_found_by_name() {
    let file = made(MODULES);
    for (module, resources) in MODULES {
        for (path, content) in *resources {
            assert_eq!(find(&file, &format!("/{module}/{path}")), Some(*content));
        }
    }
    assert_eq!(find(&file, "/java.base/java/lang/None.class"), None);
    let image = Image::read(&file).expect("is good");
    assert_eq!(image.modules(&file), [&b"java.base"[..], b"java.desktop", b"java.sql"].into());
    assert_eq!(image.resource(&file, b"java.sql", b"module-info", b"class"), Some(&b"sql"[..]));
}

#[test]
fn what_is_left_is_as_it_was_and_the_rest_is_not_found() {
    let whole = made(MODULES);
    let mut file = whole.clone();
    assert_eq!(keep(&mut file, &["java.base", "java.sql"]), Left { resources: 5, size_bytes: 24 });
    assert_eq!(file.len(), whole.len());
    for (module, resources) in MODULES {
        for (path, content) in *resources {
            let expected = (*module != "java.desktop").then_some(*content);
            assert_eq!(find(&file, &format!("/{module}/{path}")), expected, "{module}/{path}");
        }
    }
    for gone in ["/modules/java.desktop", "/modules/java.desktop/all", "/packages/java.awt"] {
        assert!(find(&whole, gone).is_some(), "{gone}");
        assert_eq!(find(&file, gone), None, "{gone}");
    }
    let left = |needle: &str| file.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(!left("Window") && !left("java/awt") && !left("another") && left("java/sql") && left("Driver"));
}

/// Directories name no location that is gone, and a package no module that is.
#[test]
fn directories_list_what_is_left() {
    let whole = made(MODULES);
    let mut file = whole.clone();
    keep(&mut file, &["java.base", "java.sql"]);
    for name in ["/modules", "/modules/java.sql", "/modules/java.sql/all", "/packages"] {
        let (before, after) = (find(&whole, name).expect("is there"), find(&file, name).expect("is there"));
        let image = Image::read(&file).expect("is good");
        let children: Vec<u32> = (0..after.len() / 4).filter_map(|word| number(after, word * 4)).collect();
        assert!(children.iter().all(|child| image.entries.contains_key(child)), "{name}");
        assert_eq!(before.len() - after.len(), if matches!(name, "/modules" | "/packages") { 4 } else { 0 });
    }
    assert_eq!(find(&whole, "/packages/java.sql").map(<[u8]>::len), Some(16));
    let sole = find(&file, "/packages/java.sql").expect("is there");
    let image = Image::read(&file).expect("is good");
    assert_eq!(image.string(&file, number(sole, 4).expect("a name")), b"java.sql");
    assert_eq!(sole.len(), 8);
}

#[test]
fn everything_or_nothing_can_be_kept() {
    let whole = made(MODULES);
    let mut file = whole.clone();
    keep(&mut file, &["java.base", "java.sql", "java.desktop"]);
    assert!(file == whole);
    keep(&mut file, &[]);
    assert_eq!(Image::read(&file).map(|image| image.modules(&file).len()), Ok(0));
    assert_eq!(find(&file, "/modules"), Some(&b""[..]));
}

/// Each byte is set to each of some values, and each shorter file is tried: a successful read stays inside
/// its file, and taking modules out of it works or is refused.
#[test]
fn damaged_files_are_refused_or_harmless() {
    let whole = made(MODULES);
    let (mut refused, mut taken) = (0, 0);
    let mut check = |mut file: Vec<u8>| match Image::read(&file) {
        Err(_) => refused += 1,
        Ok(image) => {
            let length = file.len();
            match image.keep_modules(&mut file, |module| module == b"java.base") {
                Err(_) => refused += 1,
                Ok(_) => taken += 1,
            }
            assert_eq!(file.len(), length);
        }
    };
    for at in 0..whole.len() {
        check(whole[..at].to_vec());
        for value in [0, 1, 9, 0x3f, 0x7f, 0x80, 0xff, whole[at] ^ 1, whole[at].wrapping_add(8)] {
            let mut file = whole.clone();
            file[at] = value;
            check(file);
        }
    }
    assert!(refused > 1000 && taken > 1000, "{refused} {taken}");
}

#[test]
fn faults_say_what_is_wrong() {
    let good = made(MODULES);
    let offsets = Image::read(&good).expect("is good").offsets.start;
    let mut packed = good.clone();
    packed[offsets..offsets + 4].copy_from_slice(&good[offsets + 4..offsets + 8]);
    let fault = |file: &[u8]| Image::read(file).expect_err("is damaged").to_string();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        fault(&file)
    };
    assert_eq!(
        with(0, b"\xca\xfe\xda\xda"),
        "it is not an image of Java's modules, version 1.0, in little-endian"
    );
    assert_eq!(with(16, &[0xff; 4]), "its redirects end too early");
    assert_eq!(with(20, &[0xff; 4]), "its locations end too early");
    assert_eq!(with(offsets, &[0xff; 4]), "entry 0 of its table lies outside");
    assert_eq!(fault(&packed), "entry 1 of its table has the location of another");
    assert_eq!(fault(&good[..good.len() - 1]).split(" has ").nth(1), Some("its content outside"));
}
