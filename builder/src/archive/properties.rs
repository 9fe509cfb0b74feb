//! Properties of any InRelease: damaged ones are refused or have the signed text, and a text is read as
//! something that one can go by or is refused with its line; nothing ends in a panic.
//!
//! The inputs follow from a seed, so a failure can be had again; each assertion names its case.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    keyring::Keyring,
    release::{Release, ReleaseError},
};
use crate::testing::{ARCHIVE_TIME_S, Compression, Key, MadeArchive, deb};

/// Writes a made archive and returns its InRelease and its keyring.
fn made() -> (Vec<u8>, Keyring) {
    let directory = tempfile::tempdir().expect("a directory");
    let made = MadeArchive::new("bookworm")
        .key(Key::new(1).with_subkey())
        .add(deb("hello"))
        .add_to("contrib", deb("more"))
        .compressions(&[Compression::None, Compression::Gzip, Compression::Xz])
        .valid_until_s(ARCHIVE_TIME_S + 1000)
        .field("No-Support-for-Architecture-all", "Packages")
        // It must be escaped where it is signed.
        .field("Changelogs", "no\n - dashes\n -----BEGIN PGP SIGNATURE-----")
        .write(directory.path());
    let message = std::fs::read(directory.path().join("dists/bookworm/InRelease")).expect("was written");
    (message, Keyring::read(&made.keyring).expect("reads"))
}

/// Damages a text once: what bytes, lines and numbers can suffer.
fn damage(text: &mut Vec<u8>, random: &mut StdRng) {
    if text.is_empty() {
        return;
    }
    let at = random.gen_range(0..text.len());
    match random.gen_range(0..9) {
        0 => text[at] ^= 1 << random.gen_range(0..8),
        1 => text.truncate(at),
        2 => drop(text.splice(at..at, [0])),
        3 => drop(text.splice(at..at, *b"\r")),
        4 => drop(text.splice(at..at, vec![b'x'; random.gen_range(1..100_000)])),
        5 => damage_number(text, at, random),
        6 => *text = text.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]),
        7 => drop(text.splice(
            at..at,
            [&b"../"[..], b"- ", b"\n", b"\n\n", b": ", b"//"][random.gen_range(0..6)].iter().copied(),
        )),
        _ => damage_lines(text, random),
    }
}

/// Puts an absurd number in place of the next one.
fn damage_number(text: &mut Vec<u8>, at: usize, random: &mut StdRng) {
    let absurd =
        ["-1", "18446744073709551616", "18446744073709551615", "1e9", "0x7f", "00000000000000000000001"];
    let is_blank = |byte: &u8| byte.is_ascii_whitespace();
    let mut start = at;
    // A word that is a number, not the digits of a digest.
    while let Some(next) = text[start..].iter().position(is_blank).map(|next| start + next + 1) {
        let length = text[next..].iter().take_while(|byte| !is_blank(byte)).count();
        if length > 0 && text[next..next + length].iter().all(u8::is_ascii_digit) {
            text.splice(next..next + length, absurd[random.gen_range(0..absurd.len())].bytes());
            return;
        }
        start = next;
    }
}

/// Removes, doubles, moves, joins or escapes a line.
fn damage_lines(text: &mut Vec<u8>, random: &mut StdRng) {
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, other) = (random.gen_range(0..lines.len()), random.gen_range(0..lines.len()));
    match random.gen_range(0..5) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one].clone()),
        2 => lines.swap(one, other),
        3 => drop(lines[one].splice(0..0, *b"- ")),
        _ => {
            let line = lines.remove(one);
            lines.first_mut().unwrap_or(&mut Vec::new()).extend(line);
        }
    }
    *text = lines.join(&b'\n');
}

/// A text as a signature of a text covers it: without blanks at the ends of lines (RFC 9580, 7.2).
fn canonical(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches([' ', '\t', '\r'])).collect();
    lines.join("\n")
}

#[test]
fn a_damaged_message_says_what_was_signed_or_nothing() {
    let (message, keyring) = made();
    let now_s = ARCHIVE_TIME_S + 10;
    let signed = keyring.verify(&message, now_s).expect("is good").text;
    Release::parse(&signed, None).expect("is good");
    let (mut random, mut still_good) = (StdRng::seed_from_u64(1), 0);
    for round in 0..4_000 {
        let mut damaged = message.clone();
        for _ in 0..random.gen_range(1..4) {
            damage(&mut damaged, &mut random);
        }
        if let Ok(found) = keyring.verify(&damaged, now_s) {
            assert_eq!(canonical(&found.text), canonical(&signed), "{round}");
            still_good += 1;
            // Unsigned text changes nothing that is used.
            Release::parse(&found.text, None).unwrap_or_else(|error| panic!("{round}: {error}"));
        }
    }
    // Line ends and blanks behind the armor may differ: the test sees good ones, too.
    assert!(still_good > 0);
}

#[test]
fn a_damaged_text_is_sound_or_refused_with_its_line() {
    let (message, keyring) = made();
    let whole = keyring.verify(&message, ARCHIVE_TIME_S + 10).expect("is good").text;
    let (mut random, mut sound, mut refused) = (StdRng::seed_from_u64(2), 0, 0);
    for round in 0..8_000 {
        let mut damaged = whole.clone().into_bytes();
        for _ in 0..random.gen_range(1..4) {
            damage(&mut damaged, &mut random);
        }
        let damaged = String::from_utf8_lossy(&damaged).into_owned();
        match Release::parse(&damaged, None) {
            Ok(release) => {
                sound += 1;
                assert_sound(&release, &damaged, round);
            }
            Err(ReleaseError::Parse(reason)) => {
                refused += 1;
                let line = reason
                    .strip_prefix("line ")
                    .and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
                let lines = damaged.split('\n').count();
                let is_placed = line.is_some_and(|line| (1..=lines).contains(&line));
                assert!(is_placed || reason == "it has no Date", "{round}: {reason}");
            }
            Err(other) => panic!("{round}: {other}"),
        }
    }
    assert!(sound > 0 && refused > 0, "{sound} and {refused}");
}

/// Asserts that each file to fetch lies below the suite, stands in the text and can be counted.
fn assert_sound(release: &Release, text: &str, round: usize) {
    let mut total_bytes: u64 = 0;
    for component in ["main", "contrib", "..", ""] {
        for index in release.indexes(component, "amd64") {
            let directory = match component {
                "" => String::new(),
                _ => format!("{component}/binary-{}/", index.architecture),
            };
            let below = format!("{directory}Packages");
            assert!(index.plain.as_ref().is_none_or(|plain| plain.path == below), "{round}");
            for file in index.plain.iter().chain([&index.fetched]) {
                let is_plain = |path: &str| !path.split('/').any(|part| matches!(part, "" | "." | ".."));
                assert!(file.path.starts_with(&below) && is_plain(&file.path), "{round}: {}", file.path);
                let digest = file.checksum.hex();
                assert!(text.contains(&digest), "{round}: {digest}");
                if let Some(path) = &file.by_hash {
                    assert_eq!(*path, format!("{directory}by-hash/SHA256/{digest}"), "{round}");
                }
                total_bytes = total_bytes.checked_add(file.size_bytes).expect("lengths fit");
            }
        }
    }
    assert!(i64::try_from(total_bytes).is_ok(), "{round}: {total_bytes}");
}
