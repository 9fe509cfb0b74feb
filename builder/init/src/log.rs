//! Our own lines on stderr, each written at once.

use crate::sys::{self, Errno};

/// What went wrong, as far as one line tells it.
pub struct Fault {
    /// What was tried ("cannot read").
    pub what: &'static str,
    /// On what.
    pub subject: &'static [u8],
    /// What the kernel said; 0 where it was not asked.
    pub errno: Errno,
}

/// Writes one line.
pub fn line(parts: &[&[u8]]) {
    let mut buffer = [0_u8; 1024];
    let mut length = 0;
    let mut add = |part: &[u8]| {
        for byte in part {
            // The last byte stays for the newline; a line too long is cut.
            if length < buffer.len() - 1 {
                buffer[length] = *byte;
                length += 1;
            }
        }
    };
    add(b"tinyroot-init: ");
    parts.iter().for_each(|part| add(part));
    buffer[length] = b'\n';
    let _ = sys::write_all(2, &buffer[..=length]);
}

/// Writes a fault as a line.
pub fn fault(fault: &Fault) {
    let mut digits = [0; 12];
    if fault.errno == 0 {
        line(&[fault.what.as_bytes(), b" ", fault.subject]);
    } else {
        line(&[fault.what.as_bytes(), b" ", fault.subject, b": ", reason(fault.errno, &mut digits)]);
    }
}

/// Returns the words for an errno: those that a grain is likely to meet, else its number.
pub fn reason(errno: Errno, digits: &mut [u8; 12]) -> &[u8] {
    match errno {
        1 => b"operation not permitted",
        2 => b"no such file",
        5 => b"input/output error",
        8 => b"not a program of this machine",
        11 => b"too many processes",
        12 => b"out of memory",
        13 => b"permission denied",
        16 => b"busy",
        17 => b"file exists",
        20 => b"not a directory",
        21 => b"is a directory",
        28 => b"no space left",
        30 => b"read-only file system",
        36 => b"name too long",
        40 => b"too many links",
        122 => b"quota exceeded",
        _ => number(i64::from(errno), digits, b"errno "),
    }
}

/// Writes a number, after a prefix of at most six bytes, into the buffer.
pub fn number<'a>(value: i64, digits: &'a mut [u8; 12], prefix: &[u8]) -> &'a [u8] {
    let mut reversed = [0_u8; 12];
    let most = if prefix.is_empty() { u64::from(u32::MAX) } else { 99_999 };
    let mut rest = value.unsigned_abs().min(most);
    let mut count = 0;
    loop {
        reversed[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    let start = prefix.len().min(6);
    digits[..start].copy_from_slice(&prefix[..start]);
    for at in 0..count {
        digits[start + at] = reversed[count - 1 - at];
    }
    &digits[..start + count]
}
