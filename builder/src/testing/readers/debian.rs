//! What Debian's archive says of its packages.

use std::{cmp::Ordering, io::Write as _};

use crate::formats::{
    control::Control,
    deb822,
    packages::{self, Package, Reducer, path, table::Table},
    relation, version,
};

const ARCHITECTURE: &str = "amd64";

/// A Packages index: its stanzas, its table, and itself without the fields that are not read.
pub(super) fn packages(bytes: &[u8]) {
    let table = Table::make(bytes, ARCHITECTURE).expect("short enough");
    assert_eq!(Table::from_bytes(&table.to_bytes(), bytes).as_ref(), Some(&table));
    look_at(&table, bytes);
    for stanza in 0..table.len() as u32 {
        let package = table.package(stanza, bytes);
        assert!(
            table.about(package.name, bytes).any(|found| found == stanza),
            "{} is not found",
            package.name
        );
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (all, is_sound) = stanzas(text);
    if is_sound {
        let mut reducer = Reducer::default();
        text.as_bytes().chunks(7).for_each(|piece| reducer.write_all(piece).expect("memory takes it"));
        let reduced = String::from_utf8(reducer.finish()).expect("was text");
        assert!(reduced.len() <= text.len() + 2, "longer than before");
        assert_eq!(stanzas(&reduced), (all, true));
    }
}

fn stanzas(text: &str) -> (Vec<String>, bool) {
    let (mut all, mut is_sound) = (Vec::new(), true);
    packages::read(text, |package, fault, _| {
        is_sound &= fault.is_none();
        all.push(format!("{:?}", Package { line: 0, ..package }));
    });
    (all, is_sound)
}

/// Looks at all that a table leads to.
fn look_at(table: &Table, text: &[u8]) {
    for stanza in 0..table.len() as u32 {
        let package = table.package(stanza, text);
        if let Ok(file) = package.file() {
            let leaves =
                file.path.starts_with('/') || file.path.split('/').any(|part| matches!(part, ".." | "."));
            assert!(!leaves && path::check(&file.path).is_ok(), "{}", file.path);
        }
        let _ = (package.needs(ARCHITECTURE), package.source_name(), table.name(stanza, text));
        let _ = table.providing(package.name, text).count();
    }
    let _ = (table.left_out(text, ARCHITECTURE).count(), table.count_left_out(), table.essential().len());
}

/// A table as a cache has kept it, with its text: the first two bytes say where the text begins.
pub(super) fn table(bytes: &[u8]) {
    let Some((at, rest)) = bytes.split_first_chunk::<2>() else { return };
    let at = usize::from(u16::from_le_bytes(*at)).min(rest.len());
    let (kept, text) = rest.split_at(at);
    if let Some(table) = Table::from_bytes(kept, text) {
        assert_eq!(table.to_bytes(), kept);
        look_at(&table, text);
    }
}

/// A control file, a status, and any text of fields.
pub(super) fn control(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(Control::parse(bytes).is_err());
        return;
    };
    let mut reader = deb822::Reader::new(text);
    let mut items = 0;
    while let Ok(Some(_)) = reader.next_item() {
        items += 1;
        assert!(items <= text.len() + 1 && reader.position() <= text.len(), "no end");
    }
    let Ok(all) = Control::stanzas(text) else { return };
    for control in &all {
        assert_eq!(Control::parse(control.to_text().as_bytes()).as_ref(), Ok(control));
        let _ = (control.source(), control.multi_arch(), control.installed_size_kib(), control.essential());
        let stem = control.info_stem();
        assert!(!stem.contains('/') && !stem.starts_with('.'), "{stem}");
    }
    let whole: String = all.iter().map(|control| control.to_text() + "\n").collect();
    assert_eq!(Control::stanzas(&whole).as_ref(), Ok(&all));
}

/// Relations, and versions: one a line.
pub(super) fn relations(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (read, is_sound) = (relation::parse(text, ARCHITECTURE), relation::check(text, ARCHITECTURE));
    assert_eq!(read.as_ref().err(), is_sound.as_ref().err());
    for group in read.unwrap_or_default() {
        for one in &group.alternatives {
            let shown = one.to_string();
            let again = relation::parse(&shown, ARCHITECTURE).expect("what was written can be read");
            assert_eq!(again[0].alternatives, [*one]);
        }
    }
    let lines: Vec<&str> = text.lines().take(4).collect();
    for a in &lines {
        assert_eq!(version::compare(a, a), Ordering::Equal);
        let _ = version::check(a);
        for b in &lines {
            let order = version::compare(a, b);
            assert_eq!(version::compare(b, a), order.reverse());
            for c in lines.iter().filter(|c| order.is_le() && version::compare(b, c).is_le()) {
                assert!(version::compare(a, c).is_le(), "{a:?} {b:?} {c:?}");
            }
        }
    }
}
