//! The skin over a [`View`]: kernel requests in, replies out, over a `/dev/fuse` descriptor that was mounted
//! elsewhere.
//!
//! The mount is made by the sandbox, in its own namespaces; this end only replies, so it needs no
//! privilege. It never touches a path (one at or below the mount would wait for itself). Mount it
//! `allow_other`, and neither read-only nor `default_permissions`: the view itself refuses changes, as on a
//! read-only file system, so that it sees them. The view's owner must have a number in the mount's user
//! namespace: else the kernel refuses changes by itself (EACCES). The mounter should stay in the outer
//! process namespace, since callers are numbered in the mounter's.
//!
//! The protocol is spoken here and not by a crate: a session of `fuser` can be ended only by
//! unmounting, waits without limit for the kernel's first word, and to serve by two threads opens
//! `/dev/fuse` again, which the kernel refuses to join to a mount made in another user namespace.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use rustix::{
    buffer::spare_capacity,
    event::{EventfdFlags, epoll, eventfd},
    fs::{Access, OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};

use super::{
    Attributes, FsError, NodeId, OpenMode, View,
    wire::{self, Reply, Request},
};

/// Files up to this length are given to the kernel when they are first opened, before it requests their
/// contents: a request less for most files. With larger ones it would copy more than is read.
const GIVEN_BYTES: u64 = 64 << 10;

/// Threads that serve one mount. More gain nothing, one is slow on a cold walk.
const THREADS: usize = 2;

/// A view that cannot be served, or was not served well.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The descriptor or the threads cannot be set up.
    #[error("cannot serve the root's view: {operation} failed")]
    Start {
        /// The call.
        operation: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// Requests got an I/O error, or no reply at all, through our own fault.
    #[error("the root's view failed: {0}")]
    Fault(String),
}

/// The threads that serve one mount. Dropping it stops them.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    fuse: OwnedFd,
    stop: OwnedFd,
    fault: Mutex<Option<String>>,
    /// Files that were given to the kernel, by their numbers.
    given: Mutex<HashSet<u64>>,
}

/// Serves a view to the kernel over a mounted `/dev/fuse` descriptor, until the mount is gone or
/// the server is stopped.
///
/// # Errors
/// [`ViewError::Start`].
pub fn serve(fuse: OwnedFd, view: Arc<View>) -> Result<Server, ViewError> {
    let start = |operation| move |source: Errno| ViewError::Start { operation, source: source.into() };
    let flags = fcntl_getfl(&fuse).map_err(start("fcntl"))?;
    fcntl_setfl(&fuse, flags | OFlags::NONBLOCK).map_err(start("fcntl"))?;
    let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(start("eventfd"))?;
    let shared = Arc::new(Shared { fuse, stop, fault: Mutex::default(), given: Mutex::default() });
    let mut server = Server { shared, threads: Vec::new() };
    for number in 0..THREADS {
        // One epoll for each thread: with EPOLLEXCLUSIVE one request wakes one of them.
        let events = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(start("epoll_create"))?;
        let exclusive = epoll::EventFlags::IN | epoll::EventFlags::EXCLUSIVE;
        epoll::add(&events, &server.shared.fuse, epoll::EventData::new_u64(0), exclusive)
            .map_err(start("epoll_ctl"))?;
        let data = epoll::EventData::new_u64(1);
        epoll::add(&events, &server.shared.stop, data, epoll::EventFlags::IN).map_err(start("epoll_ctl"))?;
        let (shared, view) = (server.shared.clone(), view.clone());
        let thread = std::thread::Builder::new().name(format!("view-{number}"));
        let thread = thread.spawn(move || shared.run(&events, &view));
        server
            .threads
            .push(thread.map_err(|source| ViewError::Start { operation: "starting a thread", source })?);
    }
    Ok(server)
}

impl Server {
    /// Returns the first fault so far.
    pub fn fault(&self) -> Option<String> {
        self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops serving. If this was the last copy of the descriptor, further uses of the mount get ENOTCONN.
    ///
    /// # Errors
    /// [`ViewError::Fault`] if something went wrong while serving.
    pub fn stop(mut self) -> Result<(), ViewError> {
        self.end();
        self.fault().map_or(Ok(()), |fault| Err(ViewError::Fault(fault)))
    }

    fn end(&mut self) {
        let _ = rustix::io::write(&self.shared.stop, &1u64.to_ne_bytes());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.fail("a serving thread ended in a panic".into());
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn fail(&self, fault: String) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    fn run(&self, events: &OwnedFd, view: &View) {
        let mut requests = Vec::with_capacity(wire::REQUEST_BYTES);
        let (mut reply, mut gift) = (Reply::default(), Reply::default());
        let mut ready = Vec::with_capacity(2);
        loop {
            ready.clear();
            match epoll::wait(events, spare_capacity(&mut ready), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return self.fail(format!("waiting for requests: {error}")),
            }
            if ready.iter().any(|event| event.data.u64() == 1) {
                return;
            }
            requests.clear();
            match rustix::io::read(&self.fuse, spare_capacity(&mut requests)) {
                Ok(_) => {}
                // The other thread was faster; or the request was interrupted meanwhile.
                Err(Errno::AGAIN | Errno::INTR | Errno::NOENT) => continue,
                // Unmounted, or ended by the kernel.
                Err(Errno::NODEV | Errno::CONNABORTED) => return,
                Err(error) => return self.fail(format!("reading requests: {error}")),
            }
            if !self.answer(view, &requests, &mut reply, &mut gift) {
                return;
            }
        }
    }

    /// Replies to one request; false if it was the last.
    fn answer(&self, view: &View, bytes: &[u8], reply: &mut Reply, gift: &mut Reply) -> bool {
        let Some(request) = Request::parse(bytes) else {
            self.fail("the kernel sent a request that is cut".into());
            return false;
        };
        if matches!(request.opcode, wire::FORGET | wire::BATCH_FORGET | wire::INTERRUPT) {
            return true;
        }
        reply.clear();
        let outcome = catch_unwind(AssertUnwindSafe(|| handle(view, &request, reply)));
        let outcome = outcome.unwrap_or_else(|_| Err(Failure::fault(Errno::IO, "internal error: a panic")));
        let errno = outcome.map_or_else(
            |failure| {
                if let Some(fault) = failure.fault {
                    self.fail(format!("request {} on node {}: {fault}", request.opcode, request.node));
                }
                failure.errno.raw_os_error()
            },
            |()| 0,
        );
        if request.opcode == wire::OPEN && errno == 0 {
            self.give(view, request.node, gift);
        }
        match rustix::io::write(self.fuse.as_fd(), reply.finish(request.unique, errno)) {
            // NOENT: the caller was killed while waiting.
            Ok(_) | Err(Errno::NOENT) => {}
            Err(Errno::NODEV | Errno::CONNABORTED) => return false,
            Err(error) => self.fail(format!("answering request {}: {error}", request.opcode)),
        }
        request.opcode != wire::DESTROY
    }

    /// Puts a small file's contents into the kernel's cache, once. If that fails, it requests them.
    fn give(&self, view: &View, number: u64, gift: &mut Reply) {
        let Some(node) = NodeId::from_number(number) else { return };
        let Ok(Attributes { size_bytes: size @ 1..=GIVEN_BYTES, .. }) = view.attributes(node) else { return };
        if !self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(number) {
            return;
        }
        if let Ok(message) = gift.store(number, size as usize, |buffer| view.read(node, 0, buffer)) {
            let _ = rustix::io::write(self.fuse.as_fd(), message);
        }
    }
}

/// Why the reply to a request is an error.
struct Failure {
    errno: Errno,
    /// The fault on our side, if there was one.
    fault: Option<String>,
}

impl Failure {
    fn fault(errno: Errno, fault: impl Into<String>) -> Self {
        Failure { errno, fault: Some(fault.into()) }
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure { errno, fault: None }
    }
}

impl From<FsError> for Failure {
    fn from(refusal: FsError) -> Self {
        let source = std::error::Error::source(&refusal).map(|source| format!(": {source}"));
        let fault = refusal.is_fault().then(|| format!("{refusal}{}", source.unwrap_or_default()));
        Failure { errno: refusal.errno(), fault }
    }
}

/// Turns a request into a call on the view and its result into a reply.
fn handle(view: &View, request: &Request<'_>, reply: &mut Reply) -> Result<(), Failure> {
    let cut = || Failure::fault(Errno::IO, "the request is cut");
    let node = || NodeId::from_number(request.node).ok_or(FsError::NoNode);
    let thread = request.thread;
    match request.opcode {
        wire::INIT => {
            let old = |()| Failure::fault(Errno::PROTO, "this kernel's FUSE is older than Linux 5.10");
            reply.init(request, !view.is_close()).map(drop).map_err(old)?;
        }
        wire::LOOKUP => match view.lookup(thread, node()?, request.name().ok_or_else(cut)?)? {
            Some(found) => {
                let attributes = view.attributes(found)?;
                reply.entry(found.number(), &attributes, view.owner(), view.caching());
            }
            None if view.caching() => reply.absent(),
            None => return Err(Errno::NOENT.into()),
        },
        wire::GETATTR => {
            let attributes = view.attributes(node()?)?;
            reply.stat(request.node, &attributes, view.owner(), view.caching());
        }
        wire::READLINK => reply.bytes(view.read_link(thread, node()?)?),
        wire::OPEN => {
            let flags = request.u32(0).ok_or_else(cut)?;
            let access = flags & OFlags::ACCMODE.bits();
            let writing = access != OFlags::RDONLY.bits() || flags & OFlags::TRUNC.bits() != 0;
            view.open(thread, node()?, OpenMode { executing: flags & wire::EXECUTING != 0, writing })?;
            reply.opened(wire::OPEN_FILE);
        }
        wire::READ => {
            let offset = request.u64(8).ok_or_else(cut)?;
            let size = request.u32(16).ok_or_else(cut)?.min(wire::MAX_READ_BYTES) as usize;
            let node = node()?;
            reply.data(size, |buffer| view.read(node, offset, buffer))?;
        }
        wire::OPENDIR => {
            view.open_directory(thread, node()?)?;
            // The kernel would not request a listing that it keeps again.
            reply.opened(if view.caching() { wire::OPEN_DIRECTORY } else { 0 });
        }
        wire::READDIR => {
            let offset = request.u64(8).ok_or_else(cut)?;
            let limit = request.u32(16).ok_or_else(cut)?.min(wire::MAX_READ_BYTES) as usize;
            let skip = usize::try_from(offset).map_err(|_| Errno::INVAL)?;
            for (next, (name, node, node_type)) in (offset + 1..).zip(view.list(thread, node()?, skip)?) {
                if !reply.directory_entry(limit, name, node.number(), node_type, next) {
                    break;
                }
            }
        }
        wire::STATFS => {
            let (nodes, size_bytes) = view.totals();
            reply.statfs(nodes, size_bytes);
        }
        wire::RELEASE | wire::RELEASEDIR | wire::DESTROY => {}
        wire::ACCESS => {
            let wanted = Access::from_bits_truncate(request.u32(0).ok_or_else(cut)?);
            view.access(thread, node()?, wanted)?;
        }
        wire::SETATTR
        | wire::SYMLINK..=wire::LINK
        | wire::WRITE
        | wire::SETXATTR
        | wire::REMOVEXATTR
        | wire::CREATE
        | wire::FALLOCATE
        | wire::RENAME2
        | wire::TMPFILE => {
            view.refuse_change(thread, node()?, request.name_in_directory());
            return Err(FsError::ReadOnly.into());
        }
        // The kernel remembers each of these and sends no more requests (xattrs, flush, lseek, poll, statx).
        _ => return Err(Errno::NOSYS.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
