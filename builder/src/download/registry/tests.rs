//! A registry that works, and ones that lie.

use std::{fs, sync::Arc};

use super::{access::challenge, upload::end_of, *};
use crate::{
    download::Length,
    testing::{FastClock, MadeRegistry, RegistryFault},
};

const TAG: &str = "1";

fn registry(made: &MadeRegistry, login: Login) -> Registry {
    let image = ImageName::read(&format!("{}/app:{TAG}", made.host())).expect("is a name");
    let options = Options { clock: Arc::new(FastClock::default()), ..Options::default() };
    Registry::new(options, &image, Purpose::Push, login)
}

fn password() -> Login {
    Login::Password { user: "a".into(), password: "b".into() }
}

/// More than one piece.
fn bytes() -> Vec<u8> {
    (0..5 << 20).map(|at: u32| (at ^ at >> 8).to_le_bytes()[0]).collect()
}

fn send(registry: &Registry, bytes: &[u8]) -> Result<bool, RegistryError> {
    let bytes = bytes.to_vec();
    let open =
        || -> std::io::Result<Box<dyn std::io::Read>> { Ok(Box::new(std::io::Cursor::new(bytes.clone()))) };
    let digest = Digest::of(&bytes);
    registry
        .upload(&Outgoing { what: "layer 1", digest, size_bytes: bytes.len() as u64, open: &open }, &|_| {})
}

fn fetch(registry: &Registry, bytes: &[u8]) -> Result<Vec<u8>, RegistryError> {
    let tmp = tempfile::tempdir().expect("a directory");
    let (digest, path) = (Digest::of(bytes), tmp.path().join("blob"));
    let wanted = Wanted {
        what: "the blob".into(),
        urls: vec![registry.blob_url(&digest)],
        past: Vec::new(),
        length: Length::Exactly(bytes.len() as u64),
        checksum: digest.into(),
        mode: Wanted::OWN,
    };
    registry.blobs(&[(wanted, path.clone())], tmp.path(), &|_| {})?;
    Ok(fs::read(path).expect("is there"))
}

fn count(calls: &[(String, String)], method: &str) -> usize {
    calls.iter().filter(|(call, _)| call.starts_with(method)).count()
}

#[test]
fn a_blob_is_sent_in_pieces_once_and_comes_back() {
    let (made, bytes) = (MadeRegistry::start(), bytes());
    let own = registry(&made, Login::None);
    assert!(send(&own, &bytes).expect("is sent"));
    assert_eq!(count(&made.calls(), "PATCH"), 2);
    assert!(!send(&own, &bytes).expect("is there"));
    assert_eq!(made.calls().len(), 1, "HEAD says that it is there");
    assert_eq!(fetch(&own, &bytes).expect("comes"), bytes);
    own.put_manifest(TAG, "application/x", b"{}").expect("is put");
    assert_eq!(own.manifest(TAG).expect("comes").bytes, b"{}");
}

#[test]
fn an_upload_that_breaks_off_goes_on_where_the_registry_stands() {
    let (made, bytes) = (MadeRegistry::start(), bytes());
    made.fault("PATCH", RegistryFault::Cut, 1);
    made.fault("PATCH", RegistryFault::Status(503), 1);
    assert!(send(&registry(&made, Login::None), &bytes).expect("is sent"));
    assert_eq!(made.blob(&Digest::of(&bytes)), Some(bytes));
    let calls = made.calls();
    assert_eq!((count(&calls, "POST"), count(&calls, "GET")), (1, 2), "{calls:?}");
}

#[test]
fn an_upload_does_not_leave_the_registry() {
    let (made, other) = (MadeRegistry::start(), MadeRegistry::start());
    let url = format!("http://{}/v2/app/blobs/uploads/u0", other.host());
    for (call, fault) in
        [("POST", RegistryFault::Elsewhere(url.clone())), ("PATCH", RegistryFault::Elsewhere(url.clone()))]
    {
        made.fault(call, fault, 1);
        let error = send(&registry(&made, password()), b"layer").expect_err("is refused").to_string();
        assert!(error.contains("sends the upload on to") || error.contains("redirects it"), "{error}");
    }
    assert!(other.calls().is_empty());
}

#[test]
fn a_login_stays_at_the_registry_while_a_blob_may_lie_elsewhere() {
    let (made, cdn) = (MadeRegistry::start(), MadeRegistry::start());
    let own = registry(&made, password());
    made.want("Basic realm=\"x\"", "Basic YTpi");
    cdn.add_blob(b"layer");
    let url = format!("http://{}/kept/sha256:{}", cdn.host(), Digest::of(b"layer"));
    made.fault("GET /v2/app/blobs/", RegistryFault::Elsewhere(url), usize::MAX);
    assert_eq!(fetch(&own, b"layer").expect("comes"), b"layer");
    assert!(made.calls().iter().any(|(_, access)| access == "Basic YTpi"));
    let calls = cdn.calls();
    assert!(!calls.is_empty() && calls.iter().all(|(_, access)| access.is_empty()), "{calls:?}");
}

#[test]
fn a_host_that_a_redirection_leads_to_gets_no_login_by_asking_for_one() {
    let (made, cdn) = (MadeRegistry::start(), MadeRegistry::start());
    let url = format!("http://{}/v2/kept/sha256:{}", cdn.host(), Digest::of(b"layer"));
    cdn.add_blob(b"layer");
    made.fault("GET /v2/app/blobs/", RegistryFault::Elsewhere(url), usize::MAX);
    for challenge in [format!("Bearer realm=\"http://{}/token\"", cdn.host()), "Basic realm=\"x\"".into()] {
        cdn.want(&challenge, "Bearer made");
        for login in [password(), Login::Identity("secret".into())] {
            let own = registry(&made, login);
            let error = own.small_blob("the bundle", &Digest::of(b"layer")).expect_err("is refused");
            assert!(
                error.to_string().contains(&format!("http://{}, which wants a login", cdn.host())),
                "{error}"
            );
            let error = fetch(&own, b"layer").expect_err("is refused").to_string();
            let place = format!("redirected to http://{}: the server responds with status 401", cdn.host());
            assert!(error.contains(&place), "{error}");
        }
    }
    assert_eq!(count(&made.calls(), "HEAD"), 0, "the registry itself wants no login");
    let calls = cdn.calls();
    let is_bare =
        |(call, access): &(String, String)| access.is_empty() && call.starts_with("GET /v2/kept/sha256:");
    assert!(calls.len() >= 8 && calls.iter().all(is_bare), "{calls:?}");
}

#[test]
fn a_token_is_fetched_by_the_login_and_used_in_its_place() {
    let (made, service) = (MadeRegistry::start(), MadeRegistry::start());
    made.want(&format!("Bearer realm=\"http://{}/token\",service=\"x\"", service.host()), "Bearer made");
    assert!(send(&registry(&made, password()), b"layer").expect("is sent"));
    let (call, access) = service.calls().remove(0);
    assert_eq!(call, "GET /token?service=x&scope=repository%3Aapp%3Apull%2Cpush");
    assert_eq!(access, "Basic YTpi");
    assert!(made.calls().iter().skip(1).all(|(_, access)| access == "Bearer made"));
}

#[test]
fn a_login_goes_to_no_service_without_tls() {
    let made = MadeRegistry::start();
    for realm in
        ["http://auth.example.org/token", "http://127.0.0.1.example.org/token", "ftp://127.0.0.1/", "x"]
    {
        made.want(&format!("Bearer realm=\"{realm}\""), "Bearer made");
        let error = send(&registry(&made, password()), b"layer").expect_err("is refused").to_string();
        assert!(error.contains("token service"), "{error}");
    }
    made.want("Basic realm=\"x\"", "Basic other");
    let error = send(&registry(&made, Login::Helper("pass".into())), b"layer").expect_err("is refused");
    assert!(error.hint().is_some_and(|hint| hint.contains("docker-credential-pass")), "{error}");
}

#[test]
fn what_has_another_digest_or_no_end_is_refused() {
    let made = MadeRegistry::start();
    let own = registry(&made, Login::None);
    made.add_blob(b"layer");
    own.put_manifest(TAG, "application/x", b"{}").expect("is put");
    made.fault("GET /v2/app/blobs/", RegistryFault::WrongBytes, usize::MAX);
    let error = fetch(&own, b"layer").expect_err("is refused").to_string();
    assert!(error.contains("its digest is not the expected one"), "{error}");
    let by_digest = format!("sha256:{}", Digest::of(b"{}"));
    made.fault("GET /v2/app/manifests/sha256", RegistryFault::WrongBytes, usize::MAX);
    let error = own.manifest(&by_digest).expect_err("is refused").to_string();
    assert!(error.contains("its digest is not the expected one"), "{error}");
    made.fault("GET /v2/app/manifests/1", RegistryFault::Endless, usize::MAX);
    let error = own.manifest(TAG).expect_err("is refused").to_string();
    assert!(error.contains("it is longer than 4194304 bytes"), "{error}");
}

#[test]
fn a_challenge_has_a_scheme_and_parameters() {
    let pairs =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    for (text, expected) in [
        (
            r#"Bearer realm="https://auth.example/token",service="reg, \"x\"",scope="a:b:pull,push""#,
            Some((
                "bearer",
                pairs(&[
                    ("realm", "https://auth.example/token"),
                    ("service", "reg, \"x\""),
                    ("scope", "a:b:pull,push"),
                ]),
            )),
        ),
        (r#"Basic Realm="x""#, Some(("basic", pairs(&[("realm", "x")])))),
        ("Basic", Some(("basic", pairs(&[])))),
        ("Bearer realm=x , service=y", Some(("bearer", pairs(&[("realm", "x"), ("service", "y")])))),
        (r#"Bearer realm="x"#, None),
        ("Bearer realm", None),
    ] {
        let expected: Option<(String, Vec<(String, String)>)> =
            expected.map(|(scheme, rest)| (scheme.to_owned(), rest));
        assert_eq!(challenge(text), expected, "{text}");
    }
}

#[test]
fn a_range_says_how_much_is_there() {
    for (range, expected) in [
        ("0-0", Some(1)),
        ("0-1023", Some(1024)),
        ("bytes=0-9", Some(10)),
        ("1-9", None),
        ("0-18446744073709551615", None),
        ("", None),
    ] {
        assert_eq!(end_of(range), expected, "{range}");
    }
}

#[test]
fn a_list_whose_pages_lead_back_ends() {
    let made = MadeRegistry::start();
    let (own, image) = (registry(&made, Login::None), Digest::of(b"image"));
    made.know_referrers();
    let subject = serde_json::json!({ "digest": format!("sha256:{image}") });
    made.add_manifest("a", serde_json::json!({ "subject": subject }).to_string().as_bytes());
    for (next, expected) in [("", 1), ("?n=1", 2), ("?n=1&n=2", 2)] {
        made.lead_on(&format!("</v2/app/referrers/sha256:{image}{next}>; rel=\"next\""));
        assert_eq!(own.referrers(&image).expect("are listed").len(), 1, "{next}");
        assert_eq!(count(&made.calls(), "GET"), expected, "{next}");
    }
}

#[test]
fn a_list_under_a_tag_keeps_what_others_put_there_at_the_same_time() {
    let made = MadeRegistry::start();
    let (own, image) = (registry(&made, Login::None), Digest::of(b"image"));
    let one = |name: &str| serde_json::json!({ "digest": format!("sha256:{}", Digest::of(name.as_bytes())) });
    let tag = format!("sha256-{image}");
    assert_eq!(own.referrers(&image).expect("is empty"), Vec::<serde_json::Value>::new());
    own.tag_referrers(&image, &[one("a"), one("b")]).expect("is put");
    own.tag_referrers(&image, &[one("b"), one("c")]).expect("is put");
    assert_eq!(own.referrers(&image).expect("is there"), ["a", "b", "c"].map(one));
    // The first write is refused since another came first, and one is lost.
    let calls = |made: &MadeRegistry| count(&made.calls(), "PUT");
    made.calls();
    made.fault(&format!("PUT /v2/app/manifests/{tag}"), RegistryFault::Status(412), 2);
    own.tag_referrers(&image, &[one("d")]).expect("is put");
    assert_eq!(calls(&made), 3);
    assert_eq!(own.referrers(&image).expect("is there"), ["a", "b", "c", "d"].map(one));
    made.fault(&format!("PUT /v2/app/manifests/{tag}"), RegistryFault::Status(412), 99);
    let error = own.tag_referrers(&image, &[one("e")]).expect_err("has no end").to_string();
    assert!(error.contains("others change the list at the same time"), "{error}");
    // What has the tag of a list and is none stays as it is.
    made.add_manifest(&tag, b"{}");
    let error = own.tag_referrers(&image, &[one("e")]).expect_err("is none").to_string();
    assert!(error.contains("is not a list of manifests"), "{error}");
}
