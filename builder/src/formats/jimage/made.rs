//! Images of a few modules, made in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// `ImageStrings::hash_code`.
pub(super) fn hash(name: &str, seed: u32) -> u32 {
    name.bytes().fold(seed, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte)) & 0x7fff_ffff
}

pub(super) const SEED: u32 = 0x0100_0193;

/// The contents of a module, by path.
pub(super) type Resources<'a> = &'a [(&'a str, &'a [u8])];

/// Returns an image of such modules: their names, and the contents of each by path.
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
