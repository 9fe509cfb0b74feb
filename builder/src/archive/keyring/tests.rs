//! The rules for signatures, and whether the keys are those that the README lists.

use std::{path::Path, process::Command};

use super::*;
use crate::testing::{KEY_TIME_S, Key};

const DAY_S: i64 = 86_400;
const NOW_S: i64 = KEY_TIME_S + 1000 * DAY_S;
const TEXT: &str = "Suite: made\n- a line that begins with a dash\n\nDate: now\n";

fn keyring_of(keys: &[Key]) -> Keyring {
    let armored: String = keys.iter().map(Key::armored).collect();
    let certificates = parse(armored.as_bytes()).expect("made keys can be read");
    Keyring { certificates, digest: Digest::of(armored.as_bytes()) }
}

/// Returns the reasons for which a message is not trusted.
fn reasons(keyring: &Keyring, message: &str) -> String {
    match keyring.verify(message.as_bytes(), NOW_S) {
        Ok(signed) => panic!("trusted: {signed:?}"),
        Err(KeyringError::Untrusted { reasons }) => reasons.join("\n"),
        Err(other) => other.to_string(),
    }
}

#[test]
fn a_good_signature_gives_the_signed_text() {
    for key in [
        Key::new(1),
        Key::new(1).rsa(2048),
        Key::new(1).with_subkey(),
        Key::new(1).lives_s(1001 * 86_400),
        Key::new(1).with_subkey().subkey_lives_s(1001 * 86_400),
    ] {
        let keyring = keyring_of(&[Key::new(2), key.clone()]);
        let signed = keyring.verify(key.sign(TEXT, NOW_S).as_bytes(), NOW_S).expect("good");
        assert_eq!(signed.text.trim_end(), TEXT.trim_end());
        assert_eq!(signed.signers, [key.fingerprint()]);
    }
}

#[test]
fn names_what_is_wrong_with_a_signature() {
    let day = 86_400;
    let expired = moment_of(500);
    for (key, reason) in [
        (Key::new(1).revoked(), "the key is revoked"),
        (Key::new(1).with_subkey().revoked(), "the key is revoked"),
        (Key::new(1).lives_s(500 * day), &*format!("the key expired on {expired}")),
        (Key::new(1).with_subkey().lives_s(500 * day), &*format!("the key expired on {expired}")),
        (Key::new(1).certifying_only(), "the key may not sign texts"),
        (Key::new(1).with_subkey().subkey_revoked(), "the subkey is revoked"),
        (Key::new(1).with_subkey().subkey_lives_s(500 * day), &*format!("the subkey expired on {expired}")),
        (
            Key::new(1).with_subkey().without_back_signature(),
            "the subkey does not admit to belong to its certificate",
        ),
        (Key::new(1).rsa(1024), "the RSA key is too short"),
        (Key::new(1).rsa(2048).signing_with_sha1(), "its hash is SHA1, which can be forged"),
    ] {
        let keyring = keyring_of(std::slice::from_ref(&key));
        let text = reasons(&keyring, &key.sign(TEXT, NOW_S));
        assert!(text.starts_with("signature by ") && text.ends_with(&format!(": {reason}")), "{text}");
    }
    let key = Key::new(1);
    let keyring = keyring_of(std::slice::from_ref(&key));
    let future = reasons(&keyring, &key.sign(TEXT, NOW_S + 2 * DAY_S));
    assert!(future.ends_with(": it was made in the future"), "{future}");
    keyring.verify(key.sign(TEXT, NOW_S + DAY_S / 2).as_bytes(), NOW_S).expect("a clock may be a little off");
    let unknown = reasons(&keyring, &Key::new(2).sign(TEXT, NOW_S));
    assert_eq!(unknown, format!("signature by {}: the key is not in the keyring", Key::new(2).fingerprint()));
}

fn moment_of(day: i64) -> String {
    super::super::day(KEY_TIME_S + day * DAY_S)
}

#[test]
fn a_changed_message_is_refused() {
    let key = Key::new(1);
    let keyring = keyring_of(std::slice::from_ref(&key));
    let message = key.sign(TEXT, NOW_S);
    for (what, changed) in [
        ("the text", message.replace("Suite: made", "Suite: evil")),
        ("an added line", message.replace("Date: now", "Date: now\nMore: x")),
        ("a lost line", message.replace("Date: now\n", "")),
        ("a signature of another text", {
            let (_, signature) = message.split_once("-----BEGIN PGP SIGNATURE").expect("a signature");
            let other = key.sign("other\n", NOW_S);
            let (text, _) = other.split_once("-----BEGIN PGP SIGNATURE").expect("a signature");
            format!("{text}-----BEGIN PGP SIGNATURE{signature}")
        }),
    ] {
        assert_ne!(changed, message, "{what}");
        assert!(reasons(&keyring, &changed).ends_with(WRONG), "{what}");
    }
    for (what, changed) in [
        ("text before", format!("Suite: evil\n\n{message}")),
        ("text after", format!("{message}\nSuite: evil\n")),
        ("a second message", format!("{message}{message}")),
        ("no signature", TEXT.to_owned()),
        ("nothing", String::new()),
        ("half of it", message[..message.len() / 2].to_owned()),
        ("no signature inside", {
            let (text, _) = message.split_once("-----BEGIN PGP SIGNATURE").expect("a signature");
            format!("{text}-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n")
        }),
    ] {
        let error = keyring.verify(changed.as_bytes(), NOW_S).expect_err(what).to_string();
        let expected = ["it is not one clear-signed text: ", "no trusted key vouches for it"];
        assert!(expected.iter().any(|text| error.starts_with(text)), "{what}: {error}");
    }
}

#[test]
fn every_flipped_bit_of_the_text_is_noticed() {
    let key = Key::new(1);
    let keyring = keyring_of(std::slice::from_ref(&key));
    let message = key.sign("Suite: made\n", NOW_S).into_bytes();
    let start = message.windows(5).position(|w| w == b"Suite").expect("the text");
    for position in start..start + "Suite: made".len() {
        for bit in 0..8 {
            let mut changed = message.clone();
            changed[position] ^= 1 << bit;
            assert!(keyring.verify(&changed, NOW_S).is_err(), "bit {bit} of byte {position}");
        }
    }
}

#[test]
fn a_damaged_message_gives_the_signed_text_or_nothing() {
    let key = Key::new(1).with_subkey();
    let keyring = keyring_of(std::slice::from_ref(&key));
    let message = key.sign("Suite: made\n- dash\n", NOW_S).into_bytes();
    let text = keyring.verify(&message, NOW_S).expect("good").text;
    for position in 0..message.len() {
        let mut changed = message.clone();
        changed[position] ^= 1 << (position % 7);
        if let Ok(signed) = keyring.verify(&changed, NOW_S) {
            assert_eq!(signed.text, text, "byte {position}");
        }
        if let Ok(signed) = keyring.verify(&message[..position], NOW_S) {
            assert_eq!(signed.text, text, "the first {position} bytes");
        }
    }
}

#[test]
fn gpgv_thinks_the_same_of_made_signatures() {
    let directory = tempfile::tempdir().expect("a directory");
    let (keys, path) = (directory.path().join("keys.gpg"), directory.path().join("message"));
    for key in [Key::new(1), Key::new(1).with_subkey()] {
        let keyring = keyring_of(std::slice::from_ref(&key));
        std::fs::write(&keys, keyring.certificates[0].to_bytes().expect("a whole key")).expect("writes");
        let message = key.sign(TEXT, NOW_S);
        for message in [message.clone(), message.replace("Suite: made", "Suite: evil")] {
            std::fs::write(&path, &message).expect("writes");
            let Ok(output) = Command::new("gpgv").arg("--keyring").arg(&keys).arg(&path).output() else {
                crate::testing::skip("gpgv is missing (apt-get install gpgv)");
                return;
            };
            let ours = keyring.verify(message.as_bytes(), NOW_S).is_ok();
            assert_eq!(output.status.success(), ours, "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn debians_keys_are_in_force_and_listed() {
    let readme = include_str!("../../../../keyring/README.md");
    let keyring = Keyring::debian();
    assert_eq!(keyring.certificates.len(), DEBIAN.len());
    // The middle of 2026: within the life of every key.
    let now_s = 1_782_864_000;
    for (certificate, text) in keyring.certificates.iter().zip(DEBIAN) {
        let print = fingerprint(certificate);
        let (itself, end_s) = check_primary(certificate, now_s).expect("in force");
        let made_s = i64::from(certificate.primary_key.created_at().as_secs());
        let life_s = i64::from(itself.key_expiration_time().expect("an end").as_secs());
        let id = String::from_utf8_lossy(certificate.details.users[0].id.id()).into_owned();
        let (id, _) = id.split_once(" <").expect("an address");
        let day = super::super::day;
        let row = format!("| `{print}` | {id} | {} | {} |", day(made_s), day(made_s + life_s));
        assert!(readme.contains(&row), "not in keyring/README.md: {row}");
        for subkey in &certificate.public_subkeys {
            check_subkey(certificate, subkey, now_s).expect("in force");
            check_strength(&subkey.key).expect("strong");
        }
        assert_eq!(end_s, made_s + life_s);
        let expired = check_primary(certificate, made_s + life_s).expect_err("its end");
        assert!(expired.starts_with("the key expired on "), "{expired}");
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keyring");
        let named = readme.lines().find(|line| line.contains(&print)).expect("a row");
        let file = named.split('`').nth(1).expect("a file name");
        assert_eq!(std::fs::read_to_string(directory.join(file)).expect("reads"), text, "{file}");
    }
}

#[test]
fn keys_are_read_from_files_and_directories() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let (one, two) = (Key::new(1), Key::new(2));
    let binary = keyring_of(std::slice::from_ref(&two)).certificates[0].to_bytes().expect("a whole key");
    std::fs::write(at("one.asc"), one.armored()).expect("writes");
    std::fs::write(at("two.gpg"), &binary).expect("writes");
    std::fs::write(at("README.md"), "not a key").expect("writes");
    let mut both = vec![one.fingerprint(), two.fingerprint()];
    both.sort();
    assert_eq!(Keyring::read(directory.path()).expect("reads").fingerprints(), both);
    assert_eq!(Keyring::read(&at("two.gpg")).expect("reads").fingerprints(), [two.fingerprint()]);
    std::fs::write(at("both.asc"), one.armored() + &two.armored()).expect("writes");
    assert_eq!(Keyring::read(&at("both.asc")).expect("reads").fingerprints(), both);

    let error = |name: &str| {
        let text = Keyring::read(&at(name)).expect_err(name).to_string();
        text.replace(&directory.path().display().to_string(), "DIR")
    };
    assert_eq!(error("missing"), "cannot read the keyring DIR/missing");
    let unreadable = "it holds no OpenPGP certificate that can be read";
    assert_eq!(error("README.md"), format!("cannot use the keyring DIR/README.md: {unreadable}"));
    std::fs::create_dir(at("empty")).expect("makes");
    assert_eq!(error("empty"), format!("cannot use the keyring DIR/empty: {unreadable}"));
    std::fs::write(at("half.asc"), &one.armored()[..200]).expect("writes");
    assert_eq!(error("half.asc"), format!("cannot use the keyring DIR/half.asc: {unreadable}"));
}
