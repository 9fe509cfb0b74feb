//! The text form of a tree: one line a path, made to be read, diffed and parsed again.
//!
//! ```text
//! PATH KIND MODE UID:GID MTIME [REST…]
//! /usr/bin/dash file 0755 0:0 1672950000 125688 sha256:9b1c… [link:/usr/bin/sh] [xattr:NAME=HEX]
//! /bin          link 0777 0:0 1672950000 usr/bin
//! /dev/null     char 0666 0:0 0 1:3
//! ```
//!
//! Fields are separated by one space. Paths begin with `/`. In paths, targets and attribute
//! names a space, a backslash and each byte that is not part of printable UTF-8 is `\xHH`.

use std::fmt::Write;

use super::{Entry, Kind, TreePath, escape, unescape};
use crate::digest::Digest;

/// A line that is not in the text form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// Line number from 1; 0 where a line was parsed alone.
    pub line: usize,
    /// The fault.
    pub reason: String,
}

impl ParseError {
    fn new(reason: impl Into<String>) -> Self {
        ParseError { line: 0, reason: reason.into() }
    }

    pub(super) fn at_line(mut self, line: usize) -> Self {
        self.line = line;
        self
    }
}

/// Appends an entry's line, newline included.
pub fn write_line(out: &mut String, path: &TreePath, entry: &Entry) {
    let word = match &entry.kind {
        Kind::Directory => "dir",
        Kind::File { .. } => "file",
        Kind::Symlink { .. } => "link",
        Kind::Fifo => "fifo",
        Kind::CharacterDevice { .. } => "char",
        Kind::BlockDevice { .. } => "block",
    };
    let Entry { mode, uid, gid, mtime_s, .. } = entry;
    let mut line = format!("/{path} {word} {mode:04o} {uid}:{gid} {mtime_s}");
    match &entry.kind {
        Kind::Directory | Kind::Fifo => {}
        Kind::File { digest, size_bytes, hard_link } => {
            line += &format!(" {size_bytes} sha256:{digest}");
            if let Some(first) = hard_link {
                line += &format!(" link:/{first}");
            }
        }
        Kind::Symlink { target } => line += &format!(" {}", escape(target)),
        Kind::CharacterDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            line += &format!(" {major}:{minor}");
        }
    }
    for (name, value) in &entry.xattrs {
        line += &format!(" xattr:{}=", escape(name));
        for byte in value {
            write!(line, "{byte:02x}").expect("writing to a string");
        }
    }
    out.push_str(&line);
    out.push('\n');
}

/// Reads one line, without its newline.
///
/// # Errors
/// [`ParseError`] with line 0.
pub fn parse_line(line: &str) -> Result<(TreePath, Entry), ParseError> {
    let mut words = line.split(' ');
    let mut word = |what: &str| words.next().ok_or_else(|| ParseError::new(format!("{what} is missing")));
    let path = parse_path(word("the path")?)?;
    let kind = word("the kind")?;
    let mode =
        u32::from_str_radix(word("the mode")?, 8).map_err(|_| ParseError::new("the mode is not octal"))?;
    let (uid, gid) = parse_pair(word("the owner")?)?;
    let mtime_s = word("the time")?.parse().map_err(|_| ParseError::new("the time is not a number"))?;
    let mut kind = match kind {
        "dir" => Kind::Directory,
        "fifo" => Kind::Fifo,
        "file" => {
            let size_bytes =
                word("the size")?.parse().map_err(|_| ParseError::new("the size is not a number"))?;
            let digest = word("the digest")?
                .strip_prefix("sha256:")
                .and_then(|hex| hex.parse::<Digest>().ok())
                .ok_or_else(|| ParseError::new("the digest is not sha256 in hex"))?;
            Kind::File { digest, size_bytes, hard_link: None }
        }
        "link" => {
            let target = unescape(word("the target")?).filter(|t| !t.is_empty() && !t.contains(&0));
            Kind::Symlink { target: target.ok_or_else(|| ParseError::new("the target is badly escaped"))? }
        }
        "char" => {
            let (major, minor) = parse_pair(word("the device")?)?;
            Kind::CharacterDevice { major, minor }
        }
        "block" => {
            let (major, minor) = parse_pair(word("the device")?)?;
            Kind::BlockDevice { major, minor }
        }
        other => return Err(ParseError::new(format!("kind `{other}` is unknown"))),
    };
    let mut xattrs = std::collections::BTreeMap::new();
    for word in words {
        if let (Some(first), Kind::File { hard_link, .. }) = (word.strip_prefix("link:"), &mut kind) {
            *hard_link = Some(parse_path(first)?);
        } else if let Some((name, value)) = word.strip_prefix("xattr:").and_then(|w| w.split_once('=')) {
            let name =
                unescape(name).ok_or_else(|| ParseError::new("an attribute's name is badly escaped"))?;
            let value = parse_hex(value).ok_or_else(|| ParseError::new("an attribute's value is not hex"))?;
            xattrs.insert(name, value);
        } else {
            return Err(ParseError::new(format!("`{word}` is unknown")));
        }
    }
    Ok((path, Entry { kind, mode, uid, gid, mtime_s, xattrs }))
}

fn parse_path(word: &str) -> Result<TreePath, ParseError> {
    let bytes = word
        .strip_prefix('/')
        .and_then(unescape)
        .ok_or_else(|| ParseError::new("a path is badly escaped"))?;
    let path = TreePath::new(&bytes).map_err(|error| ParseError::new(error.to_string()))?;
    if path.as_bytes() != bytes {
        return Err(ParseError::new("a path is not normal"));
    }
    Ok(path)
}

fn parse_pair(word: &str) -> Result<(u32, u32), ParseError> {
    word.split_once(':')
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        .ok_or_else(|| ParseError::new(format!("`{word}` is not a pair of numbers")))
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    (text.len().is_multiple_of(2) && text.is_ascii()).then(|| {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
    })?
}
