//! Keys, identities and hashes that maintainer scripts make.

use super::*;

const KEY: &[u8] = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n";
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n";
const OF_A_SCRIPT: &str = "that a maintainer script made; each grain makes its own in [setup]";

#[test]
fn what_scripts_make_secret_is_dropped_whoever_asks_for_it() {
    let mut root = Root::new();
    root.file("-", "etc/ssl/private/snake.key", KEY)
        .file("-", "etc/ssl/certs/snake.pem", CERTIFICATE)
        .file("-", "etc/ssl/certs/other.pem", CERTIFICATE)
        .link("-", "etc/ssl/certs/0a1b.0", "snake.pem")
        .file("-", "etc/ssh/ssh_host_rsa_key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
        .file("-", "etc/ssh/ssh_host_rsa_key.pub", b"ssh-rsa AAAA root@localhost\n")
        .file("-", "var/lib/wiki/secret_key", b"0123456789")
        .file("-", "var/lib/wiki/machine-id", b"0123456789abcdef0123456789abcdef\n")
        .file("-", "etc/shadow", b"root:*:1::::::\nowner:$y$j9T$abc$def:1::::::\n")
        .file("-", "etc/wiki.conf", b"# a key begins with -----BEGIN PRIVATE KEY-----\n");
    for used in ["etc/ssl/private/snake.key", "etc/ssl/certs/snake.pem", "etc/shadow", "etc/wiki.conf"] {
        root.used(used, "opened");
    }
    let secret = |name: &str| format!("- secret: a {name} {OF_A_SCRIPT}");
    root.expect(&[
        ("etc/ssl/private/snake.key", &secret("private key")),
        ("etc/ssl/certs/snake.pem", &secret("public half of a private key")),
        ("etc/ssl/certs/other.pem", "- unused: nothing asked for it"),
        ("etc/ssl/certs/0a1b.0", &secret("link to a secret")),
        ("etc/ssh/ssh_host_rsa_key", &secret("private key")),
        ("etc/ssh/ssh_host_rsa_key.pub", &secret("public half of a private key")),
        ("var/lib/wiki/secret_key", &secret("secret key")),
        ("var/lib/wiki/machine-id", &secret("machine's identity")),
        ("etc/shadow", &secret("list of password hashes")),
        ("etc/wiki.conf", "keep traced: opened by php of web at get:/"),
    ]);
    let warnings = root.plan().warnings;
    let expected = "/etc/ssl/private/snake.key is left out: it is a private key that a maintainer script made, and no two grains \
                    should share it; let [setup] make one below /var, as `openssl req -x509 -newkey …` or `ssh-keygen` does \
                    (to have it all the same: [prune] keep = [\"/etc/ssl/private/snake.key\"]; to have this said no more: \
                    [prune] drop)";
    assert!(warnings.iter().any(|warning| warning == expected), "{warnings:?}");
    assert_eq!(warnings.iter().filter(|warning| warning.contains("left out: it is a")).count(), 8);
}

#[test]
fn what_packages_ship_is_no_secret() {
    let mut root = Root::new();
    root.file("wiki", "usr/share/wiki/tests/test.key", KEY)
        .file("-", "etc/wiki/copy.key", KEY)
        .file("-", "etc/shadow", b"root:*:1::::::\nwww-data:!:1::::::\n")
        .file("-", "etc/machine-id", b"")
        .file("wiki", "usr/share/wiki/secret_keys.py", b"K = '-----BEGIN PRIVATE KEY-----'\n")
        .file(
            "-",
            "usr/share/wiki/__pycache__/secret_keys.cpython-311.pyc",
            b"\n-----BEGIN PRIVATE KEY-----\n",
        );
    let rules: BTreeSet<&str> = root.plan().decisions.values().map(|decision| decision.rule).collect();
    assert!(!rules.contains("secret"), "{rules:?}");
}

#[test]
fn the_recipe_keeps_a_secret_by_its_path_alone_and_is_warned() {
    let glob = |text: &str| Globs::new(&[text.to_owned()]).expect("a glob");
    let mut root = Root::new();
    root.file("-", "etc/wiki/a.key", KEY);
    root.policy.keep = glob("/etc/wiki/**");
    root.expect(&[("etc/wiki/a.key", &format!("- secret: a private key {OF_A_SCRIPT}"))]);
    root.policy.keep = glob("/etc/wiki/a.key");
    root.expect(&[("etc/wiki/a.key", "keep recipe: prune.keep \"/etc/wiki/a.key\"")]);
    assert_eq!(
        root.plan().warnings,
        [
            "prune.keep puts /etc/wiki/a.key into the artifact, a private key that a maintainer script made: all who have the \
             artifact have it, and all its grains share it"
        ]
    );
    (root.policy.keep, root.policy.drop) = (Globs::default(), glob("/etc/wiki/a.key"));
    assert!(root.plan().warnings.is_empty());
}

#[test]
fn what_the_recipe_lays_is_its_own_affair() {
    let mut root = Root::new();
    root.file("-", "app/test.key", KEY);
    root.policy.overlay.insert(path("app/test.key"));
    root.expect(&[("app/test.key", "keep laid: a file of the recipe")]);
}

#[test]
fn keys_that_are_no_text_are_secrets_too() {
    let mut root = Root::new();
    let key = [&[0x30, 0x1a, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 14][..], &[7; 14]].concat();
    root.file("-", "etc/wiki/a.der", &key).file(
        "-",
        "etc/wiki/cacerts",
        b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\0",
    );
    root.used("etc/wiki/a.der", "opened").used("etc/wiki/cacerts", "opened");
    root.expect(&[
        ("etc/wiki/a.der", &format!("- secret: a private key {OF_A_SCRIPT}")),
        ("etc/wiki/cacerts", "keep traced: opened by php of web at get:/"),
    ]);
}

#[test]
fn secrets_that_a_script_put_into_settings_are_named() {
    const FILLED: &[u8] = b"user = wiki\nsecret = 9f86d081884c7d659a2feaa0c55ad015\n";
    let mut root = Root::new();
    root.file("wiki", "etc/wiki/changed.conf", FILLED)
        .file("-", "etc/wiki/made.conf", FILLED)
        .file("wiki", "etc/wiki/shipped.conf", &[FILLED, b"# as it is\n"].concat())
        .file("wiki", "etc/wiki/key.conf", KEY)
        .file("-", "srv/unused.conf", &[FILLED, b"# nothing asks for it\n"].concat());
    let before = root.store.put(b"user = wiki\nsecret =\n");
    for changed in ["etc/wiki/changed.conf", "etc/wiki/key.conf"] {
        root.shipped.insert(path(changed), before);
    }
    root.used("etc/wiki/made.conf", "opened");
    root.expect(&[("etc/wiki/key.conf", &format!("- secret: a private key {OF_A_SCRIPT}"))]);
    let told = |root: &mut Root| -> Vec<String> {
        let plan = root.plan();
        let told = plan.warnings.into_iter().filter(|warning| warning.contains("looks like a secret"));
        told.collect()
    };
    let warning = |at: &str| {
        format!(
            "/{at} holds what looks like a secret that a maintainer script made (`secret` in line 2): all who have the artifact \
             have it, and all its grains share it; lay the file with [[file]], and let [setup] make the secret below /var (if \
             it is none: [prune] keep = [\"/{at}\"])"
        )
    };
    assert_eq!(told(&mut root), [warning("etc/wiki/changed.conf"), warning("etc/wiki/made.conf")]);
    let both = ["/etc/wiki/changed.conf".to_owned(), "/etc/wiki/made.conf".to_owned()];
    root.policy.keep = Globs::new(&both).expect("globs");
    assert!(told(&mut root).is_empty());
}
