use std::collections::HashMap;

use super::*;

/// `ImageStrings::hash_code`.
fn hash(name: &str, seed: u32) -> u32 {
    name.bytes().fold(seed, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte)) & 0x7fff_ffff
}

const SEED: u32 = 0x0100_0193;

/// What is in a module: paths and contents.
type Resources<'a> = &'a [(&'a str, &'a [u8])];

/// Returns an image of such modules: their names, and what is in each by path.
pub(crate) fn made(modules: &[(&str, Resources<'_>)]) -> Vec<u8> {
    let mut made = Made::default();
    let mut tops = Vec::new();
    let mut packages: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (module, resources) in modules {
        let (mut below, mut inside) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for (path, content) in *resources {
            let location = made.add(module, path, content);
            if let Some((package, _)) = path.rsplit_once('/') {
                inside.extend(location.to_le_bytes());
                if seen.insert(package) {
                    let list = packages.entry(package.replace('/', ".")).or_default();
                    list.extend(0_u32.to_le_bytes());
                    list.extend(made.string(module).to_le_bytes());
                }
            } else {
                below.extend(location.to_le_bytes());
            }
        }
        if !inside.is_empty() {
            let directory = made.add_tree("modules", &format!("{module}/all"), &inside);
            below.extend(directory.to_le_bytes());
        }
        tops.extend(made.add_tree("modules", module, &below).to_le_bytes());
    }
    made.add_tree("", "/modules", &tops);
    let mut list = Vec::new();
    for (package, content) in packages {
        list.extend(made.add_tree("packages", &package, &content).to_le_bytes());
    }
    made.add_tree("", "/packages", &list);
    made.finish()
}

#[derive(Default)]
struct Made {
    /// Names with the offsets of their locations.
    names: Vec<(String, u32)>,
    locations: Vec<u8>,
    strings: Vec<u8>,
    known: HashMap<String, u32>,
    contents: Vec<u8>,
}

impl Made {
    fn string(&mut self, text: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
            self.known.insert(String::new(), 0);
        }
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        self.known.insert(text.to_owned(), offset);
        offset
    }

    fn add(&mut self, module: &str, path: &str, content: &[u8]) -> u32 {
        let (parent, file) = path.rsplit_once('/').unwrap_or(("", path));
        let (base, extension) = file.rsplit_once('.').unwrap_or((file, ""));
        self.add_entry(&format!("/{module}/{path}"), [module, parent, base, extension], content)
    }

    fn add_tree(&mut self, module: &str, base: &str, content: &[u8]) -> u32 {
        let name = if module.is_empty() { base.to_owned() } else { format!("/{module}/{base}") };
        self.add_entry(&name, [module, "", base, ""], content)
    }

    fn add_entry(&mut self, name: &str, strings: [&str; 4], content: &[u8]) -> u32 {
        if self.locations.is_empty() {
            self.locations.push(0);
        }
        let offset = self.locations.len() as u32;
        let mut values: Vec<u64> = strings.iter().map(|text| u64::from(self.string(text))).collect();
        values.extend([self.contents.len() as u64, 0, content.len() as u64]);
        for (kind, value) in (1..).zip(values).filter(|(_, value)| *value != 0) {
            let bytes = value.to_be_bytes();
            let least = &bytes[(value.leading_zeros() / 8) as usize..];
            self.locations.push(kind << 3 | (least.len() - 1) as u8);
            self.locations.extend_from_slice(least);
        }
        self.locations.push(0);
        self.contents.extend_from_slice(content);
        self.names.push((name.to_owned(), offset));
        offset
    }

    fn finish(self) -> Vec<u8> {
        let count = self.names.len();
        let (mut redirects, mut offsets) = (vec![0_i32; count], vec![0_u32; count]);
        let mut buckets: Vec<Vec<&(String, u32)>> = vec![Vec::new(); count];
        for name in &self.names {
            buckets[hash(&name.0, SEED) as usize % count].push(name);
        }
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|bucket| std::cmp::Reverse(buckets[*bucket].len()));
        for bucket in order {
            let names = &buckets[bucket];
            if let [(_, offset)] = names[..] {
                let free = offsets.iter().position(|offset| *offset == 0).expect("has room");
                (redirects[bucket], offsets[free]) = (-1 - free as i32, *offset);
            } else if !names.is_empty() {
                let slots = |seed: &u32| -> BTreeSet<usize> {
                    let slots = names.iter().map(|(name, _)| hash(name, *seed) as usize % count);
                    slots.filter(|slot| offsets[*slot] == 0).collect()
                };
                let seed = (1..).find(|seed| slots(seed).len() == names.len()).expect("there is one");
                redirects[bucket] = seed as i32;
                for (name, offset) in names {
                    offsets[hash(name, seed) as usize % count] = *offset;
                }
            }
        }
        let sizes = [count, self.locations.len(), self.strings.len()].map(|size| size as u32);
        let head = [0xcafe_dada, 0x0001_0000, 0, sizes[0], sizes[0], sizes[1], sizes[2]];
        let numbers = head.into_iter().chain(redirects.iter().map(|n| *n as u32)).chain(offsets);
        let mut file: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
        for part in [self.locations, self.strings, self.contents] {
            file.extend(part);
        }
        file
    }
}

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

/// Each byte is set to each of some values, and each shorter file is tried: what is then read keeps to its file, and
/// taking modules out of it works or is refused.
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
        "it is no image of Java's modules, version 1.0, in little-endian"
    );
    assert_eq!(with(16, &[0xff; 4]), "its redirects end too early");
    assert_eq!(with(20, &[0xff; 4]), "its locations end too early");
    assert_eq!(with(offsets, &[0xff; 4]), "entry 0 of its table lies outside");
    assert_eq!(fault(&packed), "entry 1 of its table has the location of another");
    assert_eq!(fault(&good[..good.len() - 1]).split(" has ").nth(1), Some("its content outside"));
}
