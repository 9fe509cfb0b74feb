//! The reader of requests of the kernel, which hold names that apps look up, as a function that takes
//! anything ([`testing::readers`](crate::testing::READERS)).

use super::wire::{Reply, Request};

/// A request.
pub(crate) fn request(bytes: &[u8]) {
    let Some(request) = Request::parse(bytes) else { return };
    let names = [request.name(), request.name_in_directory()];
    assert!(names.into_iter().flatten().all(|name| name.len() <= bytes.len() && !name.contains(&0)));
    let mut reply = Reply::default();
    reply.clear();
    let _ = reply.init(&request, true);
    let _ = (request.u32(0), reply.finish(request.unique, 0).len());
}
