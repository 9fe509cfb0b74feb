//! `module-info.class`: the requirements of a module of Java (The Java Virtual Machine Specification, 4.1,
//! 4.4 and 4.7.25).
//!
//! ```text
//! u32 ca fe ba be · u16 minor · u16 major version · u16 count of constants + 1 · constants
//! u16 flags · u16 this class · u16 its parent, 0 · u16 0 interfaces · u16 0 fields · u16 0 methods
//! u16 count of attributes · per attribute: u16 name · u32 length · its bytes
//! attribute "Module": u16 name · u16 flags · u16 version · u16 count of requires
//!   per require: u16 module · u16 flags · u16 version · and more, of no matter here
//! ```
//!
//! Numbers are big-endian; names are indexes of constants. A constant of kind 5 or 6 takes two indexes.

use std::collections::BTreeMap;

/// A fault of a class file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("module-info.class {0}")]
pub struct Fault(&'static str);

/// Required at compile time only (`ACC_STATIC_PHASE`, table 4.7.25-A).
const STATIC_PHASE: u16 = 0x0040;

/// Returns the names of the modules without which this one does not start, in the order of the file.
///
/// # Errors
/// [`Fault`] for anything but a description of a module.
pub fn requires(class: &[u8]) -> Result<Vec<String>, Fault> {
    let mut at = Cursor { left: class };
    if at.u32()? != 0xcafe_babe {
        return Err(Fault("is not a class file"));
    }
    at.skip(4)?;
    let constants = constants(&mut at)?;
    at.skip(6)?;
    if (at.u16()?, at.u16()?, at.u16()?) != (0, 0, 0) {
        return Err(Fault("has interfaces, fields or methods"));
    }
    for _ in 0..at.u16()? {
        let name = at.u16()?;
        let length = at.u32()? as usize;
        let body = at.take(length)?;
        if constants.get(&name) == Some(&Constant::Text(b"Module")) {
            return read_module(body, &constants);
        }
    }
    Err(Fault("describes no module"))
}

#[derive(PartialEq, Eq)]
enum Constant<'a> {
    /// `CONSTANT_Utf8`.
    Text(&'a [u8]),
    /// `CONSTANT_Module`, whose name is at that index.
    Module(u16),
}

/// Reads the constants; returns those that matter here, by index.
fn constants<'a>(at: &mut Cursor<'a>) -> Result<BTreeMap<u16, Constant<'a>>, Fault> {
    let end = at.u16()?;
    let mut constants = BTreeMap::new();
    let mut index = 1;
    while index < end {
        let kind = at.u8()?;
        match kind {
            1 => {
                let length = usize::from(at.u16()?);
                constants.insert(index, Constant::Text(at.take(length)?));
            }
            19 => {
                constants.insert(index, Constant::Module(at.u16()?));
            }
            7 | 8 | 16 | 20 => at.skip(2)?,
            15 => at.skip(3)?,
            3 | 4 | 9..=12 | 17 | 18 => at.skip(4)?,
            5 | 6 => at.skip(8)?,
            _ => return Err(Fault("has a constant of an unknown kind")),
        }
        index = index.saturating_add(if matches!(kind, 5 | 6) { 2 } else { 1 });
    }
    Ok(constants)
}

fn read_module(body: &[u8], constants: &BTreeMap<u16, Constant<'_>>) -> Result<Vec<String>, Fault> {
    let mut at = Cursor { left: body };
    at.skip(6)?;
    let mut out = Vec::new();
    for _ in 0..at.u16()? {
        let (module, flags, _) = (at.u16()?, at.u16()?, at.u16()?);
        let Some(Constant::Module(name)) = constants.get(&module) else {
            return Err(Fault("requires something that is not a module"));
        };
        let Some(Constant::Text(name)) = constants.get(name) else {
            return Err(Fault("requires a module without a name"));
        };
        if flags & STATIC_PHASE == 0 {
            let name = std::str::from_utf8(name).map_err(|_| Fault("requires a module with an odd name"))?;
            out.push(name.to_owned());
        }
    }
    Ok(out)
}

/// The unread rest of a file.
struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(Fault("ends too early"))?;
        self.left = left;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Result<(), Fault> {
        self.take(length).map(|_| ())
    }

    fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }
}

/// Returns the description of a module that requires others; those with a `?` at compile time only.
#[cfg(feature = "testing")]
pub(crate) fn made(name: &str, required: &[&str]) -> Vec<u8> {
    let mut constants = Vec::new();
    let mut module = Vec::new();
    let mut count = 1_u16;
    let text = |constants: &mut Vec<u8>, count: &mut u16, text: &str| {
        constants.extend([1, 0, text.len() as u8]);
        constants.extend_from_slice(text.as_bytes());
        *count += 1;
        *count - 1
    };
    let attribute = text(&mut constants, &mut count, "Module");
    // A long one, which takes two indexes.
    constants.extend([5, 0, 0, 0, 0, 0, 0, 0, 0]);
    count += 2;
    for one in [name].iter().chain(required) {
        let name = text(&mut constants, &mut count, one.trim_end_matches('?'));
        constants.extend([19, 0, name as u8]);
        module.push(count);
        count += 1;
    }
    let mut body = Vec::new();
    body.extend(module[0].to_be_bytes());
    body.extend([0, 0, 0, 0, 0, required.len() as u8]);
    for (index, one) in module[1..].iter().zip(required) {
        body.extend(index.to_be_bytes());
        body.extend([0, if one.ends_with('?') { 0x40 } else { 0 }, 0, 0]);
    }
    let mut file = b"\xca\xfe\xba\xbe\0\0\0\x3d".to_vec();
    file.extend(count.to_be_bytes());
    file.extend(constants);
    file.extend([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    file.extend(attribute.to_be_bytes());
    file.extend((body.len() as u32).to_be_bytes());
    file.extend(body);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_with_a_module_is_found() {
        let class = made("java.sql", &["java.base", "java.xml", "java.compiler?"]);
        assert_eq!(requires(&class), Ok(["java.base", "java.xml"].map(str::to_owned).to_vec()));
        assert_eq!(requires(&made("java.base", &[])), Ok(Vec::new()));
    }

    #[test]
    fn damaged_files_are_refused_or_harmless() {
        let whole = made("java.sql", &["java.base", "java.xml"]);
        for at in 0..whole.len() {
            assert!(requires(&whole[..at]).is_err(), "cut at {at}");
            for value in 0..=255 {
                let mut class = whole.clone();
                class[at] = value;
                let _ = requires(&class);
            }
        }
    }
}
