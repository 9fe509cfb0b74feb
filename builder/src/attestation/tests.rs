use super::*;
use crate::formats::dsse::{IN_TOTO_PAYLOAD, IN_TOTO_STATEMENT};

fn key(seed: u8) -> Key {
    Key::from_seed([seed; 32])
}

fn package() -> Digest {
    Digest::of(b"package")
}

fn attested(by: u8, digest: Digest) -> Vec<u8> {
    let statement = Statement {
        name: "tea.spk",
        digest,
        proof: "repeated",
        version: "0.1.0",
        materials: &[],
        host: &BTreeMap::from([("zone", "UTC".to_owned())]),
    };
    statement.sign(&key(by))
}

fn counted(files: &[Vec<u8>], trusted: &[u8], threshold: usize) -> Result<usize, String> {
    let named = |(index, bytes): (usize, &Vec<u8>)| (PathBuf::from(format!("{index}.json")), bytes.clone());
    let files: Vec<_> = files.iter().enumerate().map(named).collect();
    let trusted = trusted.iter().map(|seed| key(*seed).app_id()).collect();
    let counted = count(&files, &package(), &trusted, threshold);
    counted.map(|found| found.len()).map_err(|error| crate::error::chain(&error))
}

#[test]
fn each_trusted_rebuilder_counts_once() {
    let good = |by| attested(by, package());
    assert_eq!(counted(&[good(1), good(2)], &[1, 2], 2), Ok(2));
    assert_eq!(counted(&[good(1), good(2), good(3)], &[1, 2, 4], 2), Ok(2));
    let few = Err("1 of the 2 rebuilders that are wanted attest the package".to_owned());
    assert_eq!(counted(&[good(1), good(1), good(3)], &[1, 2], 2), few);
    let none = Err("no rebuilder is trusted, and anybody can make keys and attest with them".to_owned());
    assert_eq!(counted(&[good(1)], &[], 1), none);
    let unreachable = Err("2 rebuilders are wanted, and 1 can be counted".to_owned());
    assert_eq!(counted(&[good(1), good(2)], &[1], 2), unreachable);
}

#[test]
fn the_error_names_the_keys_that_are_said_to_have_signed() {
    let files = [(PathBuf::from("a"), attested(1, package()))];
    let error = count(&files, &package(), &BTreeSet::new(), 1).expect_err("trusts none");
    let expected = format!(
        "name the keys of rebuilders whom you know with --rebuilder KEYID; the files say that they are signed by {}",
        key(1).app_id()
    );
    assert_eq!(error.hint().as_deref(), Some(&expected[..]));
}

#[test]
fn what_a_trusted_key_signed_must_be_about_this_package() {
    let other = Digest::of(b"other");
    let signed = |statement: &str| dsse::sign(&key(1), IN_TOTO_PAYLOAD, statement.as_bytes());
    let sound = |subject: &str, result: &str| {
        format!(
            r#"{{"_type":"{IN_TOTO_STATEMENT}","subject":{subject},"predicateType":"{PREDICATE_TYPE}","predicate":{{"result":"{result}"}}}}"#
        )
    };
    let ours = format!(r#"{{"digest":{{"sha256":"{}"}}}}"#, package());
    assert_eq!(counted(&[signed(&sound(&format!("[{ours}]"), "same"))], &[1], 1), Ok(1));
    let rows = [
        (attested(1, other), format!("it is about another package: sha256 {other}")),
        (signed("{}"), format!("its `_type` is ``, not `{IN_TOTO_STATEMENT}`")),
        (
            signed(&sound(&format!("[{ours}]"), "other\x7f")),
            "its `result` is `other\\u007f`, not `same`".into(),
        ),
        (
            signed(&sound(&format!("[{ours},{ours}]"), "same")),
            "it is about another package: it has not one subject with a SHA-256".into(),
        ),
        (
            signed(&sound(&format!("[{}]", ours.replacen('{', r#"{"digest":{},"#, 1)), "same")),
            "its statement is not JSON that can be read in one way only: `digest` is there twice at line 1 column 78"
                .into(),
        ),
        (
            dsse::sign(&key(1), "text/plain", b"{}"),
            "its payload is of type `text/plain`, not application/vnd.in-toto+json".into(),
        ),
        (
            String::from_utf8(attested(2, package()))
                .expect("text")
                .replace(&key(2).app_id().to_string(), &key(1).app_id().to_string())
                .into_bytes(),
            format!("the signature of {} does not hold", key(1).app_id()),
        ),
    ];
    for (file, expected) in rows {
        let error = counted(&[file], &[1], 1).expect_err(&expected);
        let error = error.strip_prefix("0.json is refused as an attestation: ").unwrap_or(&error).to_owned();
        assert_eq!(error.split(" at line ").next(), expected.split(" at line ").next());
    }
    // What a stranger signed is not read, and does not count.
    assert!(counted(&[attested(3, other), attested(1, package())], &[1], 1).is_ok());
}
