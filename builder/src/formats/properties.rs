//! Properties of any input: sound ones come back as they went in, and damaged ones are refused or
//! read as something else, but never end in a panic, in paths that leave the root, or without end.
//!
//! The inputs follow from a seed, so a failure can be had again; each assertion names its case.

use std::{cmp::Ordering, io::Read as _};

use super::{
    budget::Budget,
    control::Control,
    deb, deb822, packages, relation,
    tar_in::{self, Dialect},
    version,
};
use crate::testing::{Compression, deb as made};

/// xorshift64*.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }

    fn text(&mut self, letters: &str, longest: usize) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..self.below(longest + 1)).map(|_| letters[self.below(letters.len())]).collect()
    }

    /// Changes some bytes: flips, cuts, doubles, or puts in bytes that parsers must handle.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len());
            match self.below(6) {
                0 if !out.is_empty() => out[at] ^= 1 << self.below(8),
                1 => out.truncate(at),
                2 => drop(out.splice(at..at, bytes[..self.below(bytes.len())].to_vec())),
                3 => drop(out.splice(at..at, [0])),
                4 => drop(out.splice(at..at, b"../".iter().copied())),
                _ => drop(out.splice(at..at, b"\n".iter().copied())),
            }
        }
        out
    }
}

fn versions(chance: &mut Chance) -> String {
    let epoch = if chance.below(3) == 0 { format!("{}:", chance.below(3)) } else { String::new() };
    let revision =
        if chance.below(2) == 0 { format!("-{}", chance.text("019a.+~", 4)) } else { String::new() };
    format!("{epoch}{}{}{revision}", chance.below(12), chance.text("019ab.+~", 6))
}

#[test]
fn versions_have_one_order() {
    let mut chance = Chance(1);
    let mut all: Vec<String> = (0..120).map(|_| versions(&mut chance)).collect();
    all.push("9".repeat(10_000));
    all.push(format!("{}8", "0".repeat(10_000)));
    for a in &all {
        assert_eq!(version::compare(a, a), Ordering::Equal, "{a}");
        for b in &all {
            let order = version::compare(a, b);
            assert_eq!(order, version::compare(b, a).reverse(), "{a} {b}");
            for c in all.iter().step_by(7) {
                if order.is_le() && version::compare(b, c).is_le() {
                    assert!(version::compare(a, c).is_le(), "{a} {b} {c}");
                }
            }
        }
    }
    for round in 0..20_000 {
        let odd = chance.text("0a:.-+~ \u{0}é", 12);
        let other = chance.text("0a:.-+~", 12);
        let _ = version::check(&odd);
        assert_eq!(version::compare(&odd, &other), version::compare(&other, &odd).reverse(), "{round}");
    }
}

#[test]
fn relations_come_back_as_written_or_are_refused() {
    let mut chance = Chance(2);
    for round in 0..20_000 {
        let mut text = Vec::new();
        for _ in 0..1 + chance.below(3) {
            let name = format!("a{}", chance.text("ab+-.0", 5));
            let qualifier = ["", ":any", ":amd64"][chance.below(3)];
            let wanted = match chance.below(3) {
                0 => String::new(),
                n => format!(" ({} {})", ["<<", ">="][n - 1], versions(&mut chance)),
            };
            text.push(format!("{name}{qualifier}{wanted}"));
        }
        let text = text.join(" | ");
        let groups = relation::parse(&text, "amd64").unwrap_or_else(|error| panic!("{round}: {error}"));
        let shown: Vec<String> = groups[0].alternatives.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(" | "), text, "{round}");
        let damaged = chance.damage(text.as_bytes());
        let _ = relation::parse(&String::from_utf8_lossy(&damaged), "amd64");
    }
}

#[test]
fn damaged_stanzas_are_read_or_refused() {
    let stanza = made("hello").field("Depends", "libc6 (>= 2)").field("Description", "a\n b\n .").stanza();
    let whole = format!("{stanza}Filename: pool/a.deb\nSize: 1\nSHA256: {}\n\n", "0".repeat(64)).repeat(2);
    let mut chance = Chance(3);
    for round in 0..5_000 {
        let damaged = String::from_utf8_lossy(&chance.damage(whole.as_bytes())).into_owned();
        let mut reader = deb822::Reader::new(&damaged);
        let mut items = 0;
        while let Ok(Some(_)) = reader.next_item() {
            items += 1;
            assert!(items <= damaged.len() + 1, "{round}: no end");
        }
        let (mut all, mut sound) = (Vec::new(), true);
        packages::read(&damaged, |package, fault, _| {
            sound &= fault.is_none();
            // A path that is handed on stays below its mirror.
            if let Ok(file) = package.file() {
                assert!(!file.path.split('/').any(|part| part == ".."), "{round}: {}", file.path);
            }
            all.push(format!("{:?}", packages::Package { line: 0, ..package }));
        });
        let _ = Control::parse(damaged.as_bytes());
        // Leaving out unread fields does not change the read ones.
        if sound {
            let reduced = String::from_utf8(packages::reduce(damaged.as_bytes())).expect("was text");
            let mut again = Vec::new();
            packages::read(&reduced, |package, fault, _| {
                assert_eq!(fault, None, "{round}");
                again.push(format!("{:?}", packages::Package { line: 0, ..package }));
            });
            assert_eq!(again, all, "{round}");
        }
    }
}

#[test]
fn damaged_debs_are_read_or_refused() {
    let mut chance = Chance(4);
    for compression in [Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd] {
        let whole = made("hello")
            .file("usr/bin/hello", 0o755, "hi\n")
            .symlink("usr/bin/hi", "hello")
            .hard_link("usr/bin/hallo", "usr/bin/hello")
            .directory("var/x", 0o2775)
            .compression(compression)
            .build();
        for round in 0..400 {
            let damaged = chance.damage(&whole);
            let Ok(mut reader) = deb::Deb::open(std::io::Cursor::new(damaged)) else { continue };
            for part in [deb::Part::Control, deb::Part::Data] {
                let Ok(stream) = reader.part(part) else { break };
                let Ok(tree) = tar_in::read_tree(stream.take(1 << 24), Dialect::Dpkg, &mut Budget::new())
                else {
                    break;
                };
                for (path, _) in tree.iter() {
                    let leaves = path.as_bytes().split(|byte| *byte == b'/').any(|name| name == b"..");
                    assert!(!leaves && !path.as_bytes().starts_with(b"/"), "{compression:?} {round}: {path}");
                }
            }
        }
    }
}
