//! Private keys in binary form, recognised by their structure: DER, PKCS #12 and Java's key stores.

/// A private key's bag in a PKCS #12 file (RFC 7292, 4.2): `keyBag` and `pkcs8ShroudedKeyBag` begin so and
/// end in 1 or 2.
const KEY_BAG: [u8; 12] = [0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01];

/// The algorithms by which keys are encrypted with a password: those of PKCS #5 (RFC 8018) and of PKCS #12.
const BY_PASSWORD: [[u8; 8]; 2] =
    [[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05], [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c]];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;

/// Returns true if a file holds a private key in a form that is not text.
pub(super) fn is_private_key(file: &[u8]) -> bool {
    is_der_key(file) || is_pkcs12_with_key(file) || java_store_has_key(file).unwrap_or(false)
}

/// Splits the first element off: its tag, its contents, what follows. `None` for bytes that are not DER
/// (X.690).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = bytes else { return None };
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}

/// PrivateKeyInfo and EncryptedPrivateKeyInfo (RFC 5958), RSAPrivateKey (RFC 8017), ECPrivateKey (RFC 5915),
/// and what OpenSSL writes for DSA.
fn is_der_key(file: &[u8]) -> bool {
    let Some((SEQUENCE, mut rest, [])) = element(file) else { return false };
    let mut parts = Vec::new();
    while let Some((tag, contents, after)) = element(rest).filter(|_| parts.len() < 12) {
        parts.push((tag, contents));
        rest = after;
    }
    let starts_with_object = |contents: &[u8]| matches!(element(contents), Some((OBJECT, ..)));
    match parts[..] {
        [(INTEGER, [0 | 1]), (SEQUENCE, algorithm), (OCTETS, _), ..] => starts_with_object(algorithm),
        [(INTEGER, [1]), (OCTETS, key), (0xa0 | 0xa1, _), ..] => key.len() >= 16,
        [(SEQUENCE, algorithm), (OCTETS, _)] => {
            let Some((OBJECT, name, _)) = element(algorithm) else { return false };
            BY_PASSWORD.iter().any(|start| name.starts_with(start))
        }
        // A version, and the numbers of RSA (eight) or of DSA (five).
        [(INTEGER, [0]), ..] => {
            let numbers = parts.iter().take_while(|(tag, _)| *tag == INTEGER).count();
            numbers == parts.len() && [6, 9].contains(&numbers) && parts[1].1.len() >= 32
        }
        _ => false,
    }
}

/// Version 3 of PFX, of which some writers do not say how long it is. A store of certificates alone has no
/// key's bag.
fn is_pkcs12_with_key(file: &[u8]) -> bool {
    let [SEQUENCE, first, rest @ ..] = file else { return false };
    let length = if *first > 0x80 { usize::from(first & 0x7f) } else { 0 };
    let bags = memchr::memmem::find_iter(file, &KEY_BAG);
    rest.get(length..).is_some_and(|rest| rest.starts_with(&[INTEGER, 1, 3]))
        && bags.into_iter().any(|at| matches!(file.get(at + KEY_BAG.len()), Some(1 | 2)))
}

/// Java's JKS and JCEKS: a magic, a version, a count, then entries of a kind, an alias and a date, as
/// `keytool` writes them. Kinds 1 and 3 are private and secret keys, kind 2 a certificate, as in `cacerts`.
/// `None` for other files.
fn java_store_has_key(file: &[u8]) -> Option<bool> {
    let rest = [&[0xfe, 0xed, 0xfe, 0xed], &[0xce; 4]].iter().find_map(|magic| file.strip_prefix(*magic))?;
    let (version, rest) = number(rest, 4)?;
    let (count, mut rest) = number(rest, 4)?;
    for _ in 0..count {
        let (kind, after) = number(rest, 4)?;
        if kind != 2 {
            return Some(kind == 1 || kind == 3);
        }
        let after = counted(after, 2)?.get(8..)?;
        let after = if version == 2 { counted(after, 2)? } else { after };
        rest = counted(after, 4)?;
    }
    Some(false)
}

fn number(bytes: &[u8], length: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(length)?;
    Some((digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)), rest))
}

/// Returns the bytes behind a text that begins with its length.
fn counted(bytes: &[u8], length: usize) -> Option<&[u8]> {
    let (count, rest) = number(bytes, length)?;
    rest.get(count..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let length = u16::try_from(contents.len()).expect("short");
        match u8::try_from(length) {
            Ok(short @ 0..=0x7f) => [&[tag, short][..], &contents].concat(),
            _ => [&[tag, 0x82][..], &length.to_be_bytes(), &contents].concat(),
        }
    }

    fn integer(length: usize) -> Vec<u8> {
        der(INTEGER, &[&vec![0x41; length]])
    }

    fn object(bytes: &[u8]) -> Vec<u8> {
        der(SEQUENCE, &[&der(OBJECT, &[bytes]), &[5, 0]])
    }

    #[test]
    fn keys_are_told_by_their_structure() {
        let zero: &[u8] = &[INTEGER, 1, 0];
        let large = integer(256);
        let octets = der(OCTETS, &[&[0x55; 40]]);
        let rsa = object(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]);
        let pbes2 = object(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d]);
        let curve = der(0xa0, &[&der(OBJECT, &[&[0x2a, 0x86, 0x48]])]);
        let numbers = |count: usize| -> Vec<u8> { [zero.to_vec(), large.repeat(count)].concat() };
        let bag = |last: u8| [&KEY_BAG[..], &[last]].concat();
        for (what, file, expected) in [
            ("PKCS #8", der(SEQUENCE, &[zero, &rsa, &octets]), true),
            ("PKCS #8, encrypted", der(SEQUENCE, &[&pbes2, &octets]), true),
            ("RSA", der(SEQUENCE, &[&numbers(8)]), true),
            ("DSA", der(SEQUENCE, &[&numbers(5)]), true),
            ("EC", der(SEQUENCE, &[&[INTEGER, 1, 1], &octets, &curve]), true),
            ("parameters of Diffie and Hellman", der(SEQUENCE, &[&large, &[INTEGER, 1, 2]]), false),
            ("a public key", der(SEQUENCE, &[&rsa, &der(3, &[&[0; 40]])]), false),
            ("a digest", der(SEQUENCE, &[&rsa, &octets]), false),
            ("more behind it", [der(SEQUENCE, &[zero, &rsa, &octets]), vec![0]].concat(), false),
            ("a PKCS #12 file", der(SEQUENCE, &[&[INTEGER, 1, 3], &bag(2), &octets]), true),
            ("one without length", [&[SEQUENCE, 0x80, INTEGER, 1, 3][..], &bag(1)].concat(), true),
            ("one of certificates", der(SEQUENCE, &[&[INTEGER, 1, 3], &bag(3), &octets]), false),
            ("nothing", Vec::new(), false),
            ("a cut one", vec![SEQUENCE, 0x84, 0xff], false),
        ] {
            assert_eq!(is_private_key(&file), expected, "{what}");
        }
    }

    #[test]
    fn javas_stores_are_told_from_those_of_certificates() {
        let store = |magic: [u8; 4], kinds: &[u8]| {
            let mut file = magic.to_vec();
            file.extend([0, 0, 0, 2, 0, 0, 0, u8::try_from(kinds.len()).expect("few")]);
            for kind in kinds {
                file.extend(
                    [&[0, 0, 0, *kind, 0, 1, b'a'][..], &[0; 8], &[0, 1, b'x', 0, 0, 0, 2, 7, 7]].concat(),
                );
            }
            file
        };
        let (jks, jceks) = ([0xfe, 0xed, 0xfe, 0xed], [0xce; 4]);
        for (file, expected) in [
            (store(jks, &[2, 2, 1]), true),
            (store(jceks, &[3]), true),
            (store(jks, &[2, 2]), false),
            (store(jks, &[9]), false),
            (store(jks, &[2, 2])[..30].to_vec(), false),
            (store([0xfe, 0xed, 0xfe, 0xee], &[1]), false),
        ] {
            assert_eq!(is_private_key(&file), expected, "{file:?}");
        }
    }
}
