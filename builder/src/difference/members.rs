//! Two compressed files or archives: the member that differs.

use std::io::{self, BufReader, Cursor, Read};

use super::place::{Part, Place, place};

/// How many bytes of members are read, and how many members.
const MOST_BYTES: u64 = 128 << 20;
const MOST_MEMBERS: usize = 100_000;

/// A part of an archive.
struct Member {
    /// Its name, escaped; empty for the one content of a compressed file.
    name: String,
    /// All else that the archive says of it.
    note: String,
    contents: Vec<u8>,
}

/// A kind of file with members.
struct Archive {
    name: &'static str,
    members: Vec<Member>,
}

/// Finds the first member that differs. `None` if these are not two files of one kind that can be read.
pub(super) fn difference<'a>(first: &[u8], second: &[u8]) -> Option<Part<'a>> {
    let (one, two) = (read(first)?, read(second)?);
    if one.name != two.name {
        return None;
    }
    let outer = Place { place: one.name.into(), offset: None };
    for (a, b) in one.members.iter().zip(&two.members) {
        if a.name != b.name {
            let text = format!("a member is `{}` in the first and `{}` in the second", a.name, b.name);
            return Some(Part::Said(vec![outer], text));
        }
        let named = match a.name.is_empty() {
            true => format!("{}: its contents", one.name),
            false => format!("{}: member `{}`", one.name, a.name),
        };
        if a.contents != b.contents {
            let place = place(named, &a.contents, &b.contents);
            return Some(Part::Contents(place, a.contents.as_slice().into(), b.contents.as_slice().into()));
        }
        if a.note != b.note {
            let text = format!("the same contents; {} in the first, {} in the second", a.note, b.note);
            return Some(Part::Said(vec![Place { place: named, offset: None }], text));
        }
    }
    let (a, b) = (one.members.len(), two.members.len());
    if a != b {
        let (which, more) = if a > b { ("first", &one.members[b]) } else { ("second", &two.members[a]) };
        let text = format!("only the {which} has a member `{}`", more.name);
        return Some(Part::Said(vec![outer], text));
    }
    let around = place(format!("{}: around its members, which are the same", one.name), first, second);
    Some(Part::Said(vec![around], "packed otherwise".into()))
}

/// Reads a file by its first bytes; `None` if it has no members, or too much in them.
fn read(file: &[u8]) -> Option<Archive> {
    let archive = |name, members: io::Result<Vec<Member>>| Some(Archive { name, members: members.ok()? });
    let one = |name, note, reader: &mut dyn Read| archive(name, single(note, reader));
    match file {
        [0x1f, 0x8b, ..] => {
            let note = flate2::read::GzDecoder::new(file).header().map(gzip_note).unwrap_or_default();
            one("gzip", note, &mut flate2::read::MultiGzDecoder::new(file))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            one("xz", String::new(), &mut crate::formats::xz::decode(BufReader::new(file)).ok()?)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            one("zstd", String::new(), &mut zstd::stream::read::Decoder::with_buffer(file).ok()?)
        }
        [b'B', b'Z', b'h', ..] => one("bzip2", String::new(), &mut bzip2::read::MultiBzDecoder::new(file)),
        [b'P', b'K', 3, 4, ..] => archive("zip", zip_members(file)),
        _ if file.starts_with(b"!<arch>\n") => archive("ar", ar_members(file)),
        _ if file.get(257..262) == Some(b"ustar") => archive("tar", tar_members(file)),
        _ => None,
    }
}

fn gzip_note(header: &flate2::GzHeader) -> String {
    let name = header.filename().map(|name| name.escape_ascii().to_string()).unwrap_or_default();
    format!("time {} name `{name}` system {}", header.mtime(), header.operating_system())
}

fn single(note: String, reader: &mut dyn Read) -> io::Result<Vec<Member>> {
    let mut room = MOST_BYTES;
    Ok(vec![Member { name: String::new(), note, contents: bounded(reader, &mut room)? }])
}

/// Reads all, unless it is more than there is room for.
fn bounded(reader: &mut dyn Read, room: &mut u64) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    reader.take(*room + 1).read_to_end(&mut contents)?;
    match room.checked_sub(contents.len() as u64) {
        Some(left) => *room = left,
        None => return Err(too_much()),
    }
    Ok(contents)
}

fn too_much() -> io::Error {
    io::Error::other("more in it than is looked at")
}

fn zip_members(file: &[u8]) -> io::Result<Vec<Member>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).map_err(io::Error::other)?;
    if archive.len() > MOST_MEMBERS {
        return Err(too_much());
    }
    let (mut out, mut room) = (Vec::new(), MOST_BYTES);
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(io::Error::other)?;
        let name = member.name_raw().escape_ascii().to_string();
        let time = member.last_modified().map_or_else(|| "none".to_owned(), |time| time.to_string());
        let note = format!("time {time} mode {:o}", member.unix_mode().unwrap_or_default());
        out.push(Member { name, note, contents: bounded(&mut member, &mut room)? });
    }
    Ok(out)
}

fn tar_members(file: &[u8]) -> io::Result<Vec<Member>> {
    let mut archive = tar::Archive::new(file);
    let (mut out, mut room) = (Vec::new(), MOST_BYTES);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if out.len() == MOST_MEMBERS {
            return Err(too_much());
        }
        let name = entry.path_bytes().escape_ascii().to_string();
        let header = entry.header();
        let target = entry.link_name_bytes().unwrap_or_default().escape_ascii().to_string();
        let note = format!(
            "kind {:?} mode {:o} owner {}:{} time {} target `{target}`",
            header.entry_type(),
            // A field may be empty.
            header.mode().unwrap_or_default(),
            header.uid().unwrap_or_default(),
            header.gid().unwrap_or_default(),
            header.mtime().unwrap_or_default()
        );
        out.push(Member { name, note, contents: bounded(&mut entry, &mut room)? });
    }
    Ok(out)
}

fn ar_members(file: &[u8]) -> io::Result<Vec<Member>> {
    let mut archive = ar::Archive::new(file);
    let (mut out, mut room) = (Vec::new(), MOST_BYTES);
    while let Some(entry) = archive.next_entry() {
        let mut entry = entry?;
        if out.len() == MOST_MEMBERS {
            return Err(too_much());
        }
        let header = entry.header();
        let name = header.identifier().escape_ascii().to_string();
        let (owner, group) = (header.uid(), header.gid());
        let note = format!("mode {:o} owner {owner}:{group} time {}", header.mode(), header.mtime());
        out.push(Member { name, note, contents: bounded(&mut entry, &mut room)? });
    }
    Ok(out)
}
