//! ICU's common data: one blob with a sorted table of named items (`icudtNNl.dat`, and the only symbol of
//! libicudata).
//!
//! ```text
//! u16 length of the header · da 27
//! u16 length of the rest, at least 20 · u16 0 · u8 1 for big-endian · u8 charset, 0 is ASCII · u8 2 · u8 0
//!   'CmnD' · u8×4 version of the format, 1 first · u8×4 version of the data · a copyright text, zeros
//! table       u32 count · per item: u32 name · u32 data (offsets from the table's own start)
//! names       each ends with a zero byte and begins with the package, `icudt72l/`; sorted by bytes
//! items       in the order of their names, each from its offset to the next one's, the last to the end
//! ```
//!
//! (ICU's `udata.h`, `ucmndata.h` and `ucmndata.cpp`.) ICU finds an item by binary search in the
//! table and takes the distance to the next one for its length, or the length as unknown for the last. So a
//! table may leave items out: those before a gap only seem longer, by zeros that their readers pass over.
//!
//! Only little-endian data with ASCII names are read, as Debian's libraries for amd64 and arm64 hold them.

use std::ops::Range;

/// A fault of the data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The header is of something else.
    #[error("it is not little-endian common data of ICU: {0}")]
    Header(&'static str),
    /// The end comes too early.
    #[error("its {0} ends too early")]
    Short(&'static str),
    /// A table that ICU's own search would not work on.
    #[error("item {item} of its table {what}")]
    Item {
        /// The item's number, from 0.
        item: usize,
        /// The fault.
        what: &'static str,
    },
}

/// An item of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The name without the package: `coll/de.res`. Printable ASCII.
    pub name: String,
    name_place: Range<usize>,
    place: Range<usize>,
}

impl Item {
    /// Returns where the data lie in the blob, padding included.
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Returns the length of the data, padding included.
    pub fn size_bytes(&self) -> u64 {
        self.place.len() as u64
    }
}

/// A table, checked: names rise, data rise, and neither lies over the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonData {
    /// The items, by name.
    pub items: Vec<Item>,
    table: usize,
}

/// The shortest header: its own four bytes and a `UDataInfo`.
const HEADER_BYTES: usize = 24;

impl CommonData {
    /// Reads and checks the table of a blob that begins with its header.
    ///
    /// # Errors
    /// [`Fault`] for anything that ICU itself would stumble over.
    pub fn read(blob: &[u8]) -> Result<Self, Fault> {
        let header = blob.get(..HEADER_BYTES).ok_or(Fault::Short("header"))?;
        let length = usize::from(u16::from_le_bytes([header[0], header[1]]));
        let checks = [
            (header[2..4] == [0xda, 0x27], "its magic number is another"),
            (header[8] == 0, "it is big-endian"),
            (header[9] == 0, "its names are not in ASCII"),
            (header[12..16] == *b"CmnD", "it holds something else"),
            (header[16] == 1, "its format has another version"),
            (length >= HEADER_BYTES && length % 4 == 0, "its header has an odd length"),
        ];
        if let Some((_, what)) = checks.iter().find(|(holds, _)| !holds) {
            return Err(Fault::Header(what));
        }
        let count = number(blob, length).ok_or(Fault::Short("table"))? as usize;
        // A length beyond the blob is found before memory is reserved for it.
        let names = count.checked_mul(8).and_then(|bytes| bytes.checked_add(length + 4));
        let names = names.filter(|end| *end <= blob.len()).ok_or(Fault::Short("table"))?;
        let mut items: Vec<Item> = Vec::with_capacity(count);
        let mut package: &[u8] = b"";
        for item in 0..count {
            let fault = |what| Fault::Item { item, what };
            let at = |offset: usize| {
                let relative = number(blob, length + 4 + item * 8 + offset)?;
                usize::try_from(relative).ok()?.checked_add(length)
            };
            let (name, data) = at(0).zip(at(4)).ok_or(fault("lies outside"))?;
            if name < names {
                return Err(fault("has its name in the table"));
            }
            if data >= blob.len() || data % 4 != 0 {
                return Err(fault("has its data where none can be"));
            }
            let rest = blob.get(name..).ok_or(fault("has its name outside"))?;
            let end = memchr::memchr(0, rest).ok_or(fault("has a name without an end"))?;
            let text = &rest[..end];
            let prefix = text.iter().position(|byte| *byte == b'/').ok_or(fault("names no package"))?;
            let (prefix, own) = text.split_at(prefix + 1);
            if item == 0 {
                package = prefix;
            }
            let is_plain = own.iter().all(u8::is_ascii_graphic);
            let own = String::from_utf8(own.to_vec()).ok().filter(|own| is_plain && !own.is_empty());
            let own = own.filter(|_| prefix == package).ok_or(fault("has an odd name"))?;
            let name_place = name..name + end + 1;
            if let Some(last) = items.last_mut() {
                if last.name >= own || last.name_place.end > name {
                    return Err(fault("has a name that comes too early"));
                }
                if last.place.start >= data {
                    return Err(fault("has data that come too early"));
                }
                last.place.end = data;
            }
            items.push(Item { name: own, name_place, place: data..blob.len() });
        }
        if let Some((first, last)) = items.first().zip(items.last())
            && last.name_place.end > first.place.start
        {
            return Err(Fault::Item { item: 0, what: "has its data among the names" });
        }
        Ok(CommonData { items, table: length })
    }

    /// Shortens the table of the blob that this was read from to the items that are to stay, and zeroes names
    /// and data of the others. Nothing moves and the length stays. Returns the bytes of data that stayed.
    pub fn shorten(&self, blob: &mut [u8], keep: impl Fn(&Item) -> bool) -> u64 {
        let mut count = 0;
        let mut kept_bytes = 0;
        let entries = self.table + 4;
        for (index, item) in self.items.iter().enumerate() {
            if keep(item) {
                blob.copy_within(entries + index * 8..entries + index * 8 + 8, entries + count * 8);
                count += 1;
                kept_bytes += item.size_bytes();
            } else {
                blob[item.name_place.clone()].fill(0);
                blob[item.place.clone()].fill(0);
            }
        }
        blob[entries + count * 8..entries + self.items.len() * 8].fill(0);
        let count = u32::try_from(count).expect("no more than there were, which a u32 said");
        blob[self.table..entries].copy_from_slice(&count.to_le_bytes());
        kept_bytes
    }
}

/// Reads a little-endian number.
fn number(blob: &[u8], at: usize) -> Option<u32> {
    let bytes = blob.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Returns common data of the given items, in the order of names, each padded to 16 bytes.
#[cfg(feature = "testing")]
pub(crate) fn made(package: &str, items: &[(&str, &[u8])]) -> Vec<u8> {
    let mut blob = vec![32, 0, 0xda, 0x27, 20, 0, 0, 0, 0, 0, 2, 0];
    blob.extend_from_slice(b"CmnD\x01\0\0\0\x03\0\0\0");
    blob.resize(32, 0);
    let names: Vec<Vec<u8>> =
        items.iter().map(|(name, _)| format!("{package}/{name}\0").into_bytes()).collect();
    let mut name_at = 4 + items.len() * 8;
    let mut data_at = (name_at + names.iter().map(Vec::len).sum::<usize>()).next_multiple_of(16);
    blob.extend_from_slice(&(items.len() as u32).to_le_bytes());
    for (name, (_, data)) in names.iter().zip(items) {
        blob.extend_from_slice(&(name_at as u32).to_le_bytes());
        blob.extend_from_slice(&(data_at as u32).to_le_bytes());
        name_at += name.len();
        data_at += data.len().next_multiple_of(16);
    }
    blob.extend(names.concat());
    for (_, data) in items {
        blob.resize(blob.len().next_multiple_of(16), 0);
        blob.extend_from_slice(data);
    }
    blob
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: [(&str, &[u8]); 4] =
        [("cnvalias.icu", b"aliases"), ("coll/de.res", b"de"), ("de.res", b"german"), ("root.res", b"root")];

    fn names(data: &CommonData) -> Vec<&str> {
        data.items.iter().map(|item| &item.name[..]).collect()
    }

    #[test]
    fn items_are_found_by_name() {
        let blob = made("icudt72l", &ITEMS);
        let data = CommonData::read(&blob).expect("is good");
        assert_eq!(names(&data), ITEMS.map(|(name, _)| name));
        for (item, (_, bytes)) in data.items.iter().zip(ITEMS) {
            assert!(blob[item.place.clone()].starts_with(bytes), "{item:?}");
        }
    }

    #[test]
    fn a_shortened_blob_has_what_was_kept_and_nothing_else() {
        let whole = made("icudt72l", &ITEMS);
        let mut blob = whole.clone();
        let data = CommonData::read(&blob).expect("is good");
        let kept_bytes = data.shorten(&mut blob, |item| !item.name.contains("de.res"));
        assert_eq!(blob.len(), whole.len());
        assert_eq!(kept_bytes, 16 + 4);
        let short = CommonData::read(&blob).expect("is good");
        assert_eq!(names(&short), ["cnvalias.icu", "root.res"]);
        for item in &short.items {
            let before = data.items.iter().find(|other| other.name == item.name).expect("was there");
            assert_eq!(blob[before.place.clone()], whole[before.place.clone()]);
        }
        let left = |needle: &[u8]| blob.windows(needle.len()).any(|window| window == needle);
        assert!(!left(b"german") && !left(b"coll/de"));
        let again = short.shorten(&mut blob, |item| item.name != "none");
        assert!(again >= kept_bytes, "what is left out counts as the padding of what is before it");
        data.shorten(&mut blob, |_| false);
        assert_eq!(CommonData::read(&blob).map(|empty| empty.items.len()), Ok(0));
    }

    /// Each byte of a blob is set to each of some values, and each shorter blob is tried: a successful read
    /// still keeps to its blob, and shortening works on it.
    #[test]
    fn damaged_data_are_refused_or_harmless() {
        let whole = made("icudt72l", &ITEMS);
        let mut refused = 0;
        let mut check = |blob: &[u8]| match CommonData::read(blob) {
            Err(_) => refused += 1,
            Ok(data) => {
                let places = data.items.iter().map(|item| &item.place);
                let names = data.items.iter().map(|item| &item.name_place);
                let all: Vec<&Range<usize>> = names.chain(places).collect();
                assert!(all.windows(2).all(|pair| pair[0].end <= pair[1].start), "{all:?}");
                assert!(all.iter().all(|place| place.start < place.end && place.end <= blob.len()));
                for odd in [false, true] {
                    let mut short = blob.to_vec();
                    data.shorten(&mut short, |item| (item.name.len() % 2 == 1) == odd);
                    CommonData::read(&short).expect("is good still");
                }
            }
        };
        for at in 0..whole.len() {
            check(&whole[..at]);
            for value in [0, 1, b'/', 0x7f, 0x80, 0xff, whole[at] ^ 1, whole[at].wrapping_add(16)] {
                let mut blob = whole.clone();
                blob[at] = value;
                check(&blob);
            }
        }
        assert!(refused > 1000, "{refused}");
    }

    #[test]
    fn faults_say_what_is_wrong() {
        let good = made("icudt72l", &ITEMS);
        let fault = |at: usize, bytes: &[u8]| {
            let mut blob = good.clone();
            blob[at..at + bytes.len()].copy_from_slice(bytes);
            CommonData::read(&blob).expect_err("is damaged").to_string()
        };
        for (at, bytes, expected) in [
            (2, &b"\xdb"[..], "it is not little-endian common data of ICU: its magic number is another"),
            (8, b"\x01", "it is not little-endian common data of ICU: it is big-endian"),
            (32, b"\xff\xff\xff\xff", "its table ends too early"),
            (36, b"\0\0\0\0", "item 0 of its table has its name in the table"),
            (40, b"\xff\xff\xff\xff", "item 0 of its table has its data where none can be"),
            (48, b"\0\0\0\0", "item 1 of its table has its data where none can be"),
        ] {
            let text = if at == 48 { fault(at, &0xffff_fff0_u32.to_le_bytes()) } else { fault(at, bytes) };
            assert_eq!(text, expected);
        }
        let twisted = made("icudt72l", &[("b", b"1"), ("a", b"2")]);
        let text = CommonData::read(&twisted).expect_err("is not sorted").to_string();
        assert_eq!(text, "item 1 of its table has a name that comes too early");
    }
}
