//! An older version's `/var` merged with a new skeleton, file by file, as dpkg does with conffiles (Debian Policy, appendix
//! "Configuration file handling").
//!
//! Three digests are compared: of what this grain was given (`before`), of what it has (`here`), of what the package has now
//! (`now`).
//!
//! | here | now | what is done |
//! |---|---|---|
//! | as before | other | replaced |
//! | other | as before | kept |
//! | other | other | kept; the package's is laid beside as `.dpkg-dist`, and named |
//! | removed | any | stays removed |
//! | as before | not copied any more | replaced with a link |
//! | as before | gone | removed |
//! | other | gone, or not copied any more | kept |
//! | never given | new | copied; a file that the grain itself made there stays, and the new one is laid beside |
//! | a link into the skeleton | copied now | replaced with a copy |
//!
//! What a maintainer script made (the word `-`) is left alone. A grain of an older tinyroot has no list of what it was given: what
//! it has stays. Each step can be done again, so a kill in between is made good by the next start.

use crate::{
    fill::{Filler, List, SKELETON, present},
    log::{self, Fault},
    path::Path,
    sha256::Sha256,
    sys::{self, Errno},
};

/// What `/var` has at a path.
enum Here {
    Nothing,
    /// A link into the skeleton, as this program makes them.
    Link,
    /// A file, by its digest.
    File([u8; 64]),
    Other,
}

/// Merges the file at which a filler is; `now` is its word in the new list, `None` for code.
pub fn file(filler: &Filler, before: List, now: Option<&[u8]>) -> Result<(), Errno> {
    let given = before.word(&filler.from.as_bytes()[SKELETON.len() + 1..]);
    let here = here(&filler.to)?;
    match (now, here) {
        (None, Here::File(digest)) if given == Some(&digest[..]) => {
            replace(filler, |place| sys::symlink(filler.from.c_str(), place.c_str()))
        }
        (None, _) => present(sys::symlink(filler.from.c_str(), filler.to.c_str())),
        (Some(_), Here::Link) => replace(filler, |place| filler.copy(place)),
        // A new database's parts do not fit an old one's.
        (Some(b"-"), _) => Ok(()),
        (Some(_), Here::Nothing) if given.is_some() => Ok(()),
        (Some(_), Here::Nothing) => replace(filler, |place| filler.copy(place)),
        (Some(now), Here::File(digest)) if now == digest => Ok(()),
        (Some(_), Here::File(digest)) if given == Some(&digest[..]) => {
            replace(filler, |place| filler.copy(place))
        }
        (Some(now), _) => {
            let is_known = given.map_or(!before.0.is_empty(), |given| given != b"-" && given != now);
            if is_known {
                lay_beside(filler);
            }
            Ok(())
        }
    }
}

/// Removes what this grain was given, did not change, and the package does not have any more.
pub fn remove_dropped(filler: &mut Filler) -> Result<(), Fault> {
    let Some(before) = filler.before else { return Ok(()) };
    let mut buffer = [0_u8; 4096];
    for line in before.0.split(|byte| *byte == b'\n') {
        let Some(space) = line.iter().position(|byte| *byte == b' ') else { continue };
        let Some(path) = unescaped(&line[..space], &mut buffer) else { continue };
        let (mut from, mut to) = (Path::new(SKELETON), Path::new(b"/var"));
        if from.push(path).is_none() || to.push(path).is_none() || sys::exists(from.c_str()) {
            continue;
        }
        if let Ok(Here::File(digest)) = here(&to)
            && line[space + 1..] == digest
        {
            sys::remove(to.c_str(), false).map_err(|errno| {
                log::line(&[b"cannot remove ", to.as_bytes()]);
                Fault { what: "cannot fill", subject: b"/var", errno }
            })?;
        }
    }
    Ok(())
}

/// Returns whether a path is a link into the skeleton.
pub fn leads_into_skeleton(path: &Path) -> bool {
    let mut target = [0_u8; 4096];
    sys::read_link(path.c_str(), &mut target)
        .and_then(|target| target.strip_prefix(SKELETON))
        .is_some_and(|rest| rest.starts_with(b"/"))
}

fn here(path: &Path) -> Result<Here, Errno> {
    if sys::read_link(path.c_str(), &mut [0; 4096]).is_some() {
        return Ok(if leads_into_skeleton(path) { Here::Link } else { Here::Other });
    }
    if !sys::exists(path.c_str()) {
        return Ok(Here::Nothing);
    }
    // Not to wait for a writer where the grain made a fifo.
    let flags = sys::O_RDONLY | sys::O_NOFOLLOW | sys::O_NONBLOCK;
    let Ok(file) = sys::open(path.c_str(), flags, 0) else { return Ok(Here::Other) };
    let mut digest = Sha256::new();
    let mut buffer = [0_u8; 16384];
    loop {
        match sys::read(file.0, &mut buffer) {
            Ok(0) => return Ok(Here::File(digest.finish())),
            Ok(count) => digest.add(&buffer[..count]),
            Err(sys::EINTR) => {}
            Err(sys::EISDIR) => return Ok(Here::Other),
            Err(errno) => return Err(errno),
        }
    }
}

/// Puts what `make` makes in the place of what is there, at once.
fn replace(filler: &Filler, make: impl Fn(&Path) -> Result<(), Errno>) -> Result<(), Errno> {
    let mut new = Path::new(filler.to.as_bytes());
    new.append(b".dpkg-new").ok_or(sys::ENAMETOOLONG)?;
    // What a kill left.
    let _ = sys::remove(new.c_str(), false);
    make(&new)?;
    sys::rename(new.c_str(), filler.to.c_str())
}

/// Lays the package's file beside the grain's, and says so. Without a place for it the grain's is still right.
fn lay_beside(filler: &Filler) {
    let mut place = Path::new(filler.to.as_bytes());
    let to = filler.to.as_bytes();
    let laid = match place.append(b".dpkg-dist") {
        None => Err(sys::ENAMETOOLONG),
        Some(_) => {
            let _ = sys::remove(place.c_str(), false);
            filler.copy(&place)
        }
    };
    match laid {
        Ok(()) => log::line(&[
            to,
            b" was changed here and in the package: kept; the package's is ",
            place.as_bytes(),
        ]),
        Err(errno) => {
            let mut digits = [0; 12];
            let reason = log::reason(errno, &mut digits);
            log::line(&[to, b" was changed here and in the package: kept; cannot lay that beside: ", reason]);
        }
    }
}

/// Turns `\xHH` back; `None` for what is no path of a list.
fn unescaped<'a>(escaped: &[u8], buffer: &'a mut [u8; 4096]) -> Option<&'a [u8]> {
    let mut rest = escaped;
    let mut length = 0;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16);
                ((digit(high)? * 16 + digit(low)?) as u8, tail)
            }
            (b'\\', _) => return None,
            (byte, tail) => (*byte, tail),
        };
        *buffer.get_mut(length)? = byte;
        length += 1;
        rest = tail;
    }
    // A path that leaves /var was never in a list of ours.
    let path = &buffer[..length];
    let is_name = |name: &[u8]| !name.is_empty() && name != b"." && name != b"..";
    path.split(|byte| *byte == b'/').all(is_name).then_some(path)
}
