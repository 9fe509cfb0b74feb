//! HTTP of clients, as it is passed on to apps.

use crate::web::{Authorities, Body, Head, host_and_port, read_head};

/// The head of a request or response, and what an app and a client are given of it.
pub(super) fn request(bytes: &[u8]) {
    let mut rest = bytes;
    let Ok(Some(head)) = read_head(&mut rest) else { return };
    assert!(bytes.len() >= head.len() + rest.len());
    if let Some(request) = Head::of_request(&head) {
        assert_eq!(again(&request, Head::of_request), request);
        let _ = (request.path_and_query(), request.cookie("a"), request.lists("connection", "upgrade"));
        request.field("host").map(host_and_port);
        let body = Body::of_request(&request);
        for host in [None, Some("wiki.example.org")] {
            let Some(authorities) = Authorities::of_request(&request, host, 8000) else { continue };
            let mut given = request.clone();
            given.remove_cookie("a");
            authorities.to_app(&mut given);
            let read = again(&given, Head::of_request);
            // What an app is given has no field more, and no other body.
            assert!(read.fields.len() <= request.fields.len(), "{read:?}");
            assert_eq!(Body::of_request(&read), body);
            assert!(read.cookie("a").is_none(), "{read:?}");
        }
    }
    if let Some(response) = Head::of_answer(&head) {
        let authorities = Authorities::new("g-1.localhost:6080", Some("wiki.example.org"), 8000);
        let mut given = response.clone();
        authorities.to_client(&mut given);
        let read = again(&given, Head::of_answer);
        assert_eq!((read.status(), read.fields.len()), (response.status(), response.fields.len()));
    }
}

/// Writes a head and reads it again.
fn again(head: &Head, of: fn(&[u8]) -> Option<Head>) -> Head {
    let bytes = head.to_bytes();
    let mut rest = &bytes[..];
    let read = read_head(&mut rest).expect("memory can be read").expect("a whole head");
    assert!(rest.is_empty(), "{}", bytes.escape_ascii());
    of(&read).unwrap_or_else(|| panic!("{}", bytes.escape_ascii()))
}

/// A body behind its head: what is passed on is what stands there, and ends where it does.
pub(super) fn body(bytes: &[u8]) {
    for body in [Body::Chunks, Body::Length(bytes.len() as u64 / 2)] {
        let (mut rest, mut copied) = (bytes, Vec::new());
        if body.copy(&mut rest, &mut copied).is_ok() {
            assert_eq!([&copied[..], rest].concat(), bytes);
            let (mut again, mut nothing) = (&copied[..], Vec::new());
            assert!(body.copy(&mut again, &mut nothing).is_ok() && again.is_empty());
        }
    }
    let mut rest = bytes;
    if let Ok(Some(head)) = read_head(&mut rest)
        && let Some(body) = Head::of_request(&head).as_ref().and_then(Body::of_request)
    {
        let _ = body.copy(&mut rest, &mut Vec::new());
    }
}
