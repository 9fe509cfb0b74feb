//! Serves apps on this machine: a page that lists them and their grains, and each grain at an origin of its
//! own.
//!
//! Input: apps, the library of grains, and the recipe folders of the apps. Output: one port of the host's
//! loopback. The `Host` of a request selects the page (`tinyroot.localhost`, `127.0.0.1`) or a grain
//! (`g-….localhost`; browsers resolve all of `localhost` to the loopback). Each grain has its own origin, so
//! no app can read what another one stores in the browser. [`auth`] alone decides access; every app counts as
//! hostile.
//!
//! A grain starts when it is opened. It stops on request, after a time without requests, or when the server
//! closes.

mod actions;
mod auth;

mod handle;
mod pages;
mod proxy;

pub use auth::PAGE_HOST;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, BufReader},
    net::{TcpListener, TcpStream},
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    artifact::{self, Artifact},
    error::Hint,
    formats::app_id::AppId,
    grain::{
        library::{GrainLibrary, LibraryError},
        runner::RunnableApp,
    },
    papers::EnclosedError,
    proxy::{CONNECTIONS, Callers, ListenError, Slots, accept, listen},
    sandbox::Unavailable,
    store::Store,
    web::{Body, Head, Response, policy, read_head},
};
use auth::{Access, Auth, Route};
use handle::GrainHandle;

/// The ports for the page if none is requested: the first that is free.
pub const PORTS: Range<u16> = 6080..6100;

/// Connections that are kept free of requests to grains, so that the page stays usable while grains hold all
/// of theirs.
const PAGE_CONNECTIONS: usize = 16;

/// How long a client may be silent before its request is complete. Browsers open connections in advance.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a client may be silent within the head of its request. Browsers open connections in advance and
/// leave them silent; each holds a place that a request may need.
const HEAD_SILENCE: Duration = Duration::from_secs(5);

/// How often idle and ended grains are reaped.
const LOOK: Duration = Duration::from_secs(1);

/// The targets of forms: the page itself and, by a redirect, grains.
const FORMS: &str = "'self' http://*.localhost:*";

/// An app that is served.
pub struct ServedApp {
    /// Its app id, which its grains have too.
    pub app_id: AppId,
    /// Its title.
    pub title: String,
    /// Its version, for people.
    pub version: String,
    /// The noun for a grain of it.
    pub noun: String,
    /// The size of its package.
    pub size_bytes: u64,
    /// The tree and the recipe of its grains.
    pub app: RunnableApp,
    /// The folder of its recipe, whose used.list takes the misses of its grains.
    pub recipe: Option<PathBuf>,
}

impl ServedApp {
    /// Returns the app of an artifact.
    ///
    /// # Errors
    /// [`EnclosedError`]: the artifact encloses no recipe, or one that cannot be read.
    pub fn new(artifact: Artifact, store: &Arc<Store>) -> Result<Self, EnclosedError> {
        let (app_id, size_bytes) = (artifact.app_id(), artifact.size_bytes);
        let (title, version) = (artifact.title().to_owned(), artifact.version().to_owned());
        let app = artifact::app(artifact, store)?;
        let noun = app.recipe.app.noun.clone();
        Ok(ServedApp { app_id, title, version, noun, size_bytes, app, recipe: None })
    }
}

/// How apps are served.
pub struct ServeOptions {
    /// The port on the host's loopback; by default the first free one of [`PORTS`].
    pub port: Option<u16>,
    /// The time without requests after which a grain is stopped.
    pub idle: Duration,
    /// The grains on disk.
    pub grains: GrainLibrary,
    /// Why misses cannot be seen on this host, if so.
    pub unseen: Option<Unavailable>,
}

/// Why apps are not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No port on the host.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The grains on disk.
    #[error(transparent)]
    GrainLibrary(#[from] LibraryError),
    /// The kernel refuses an operation that the server needs.
    #[error("cannot {operation}")]
    Io {
        /// The operation, with its object.
        operation: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
}

impl Hint for ServeError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            ServeError::Listen(error) => error.hint(),
            ServeError::GrainLibrary(error) => error.hint(),
            ServeError::Io { .. } => None,
        }
    }
}

/// Serves until it is closed.
pub struct Server {
    apps: Vec<Arc<ServedApp>>,
    store: Arc<Store>,
    grains: GrainLibrary,
    idle: Duration,
    unseen: Option<Unavailable>,
    auth: Auth,
    /// By host.
    handles: Mutex<BTreeMap<String, Arc<GrainHandle>>>,
    closing: AtomicBool,
    /// For the requests to all grains.
    slots: Arc<Slots>,
    /// Held during a change of a used.list.
    merging: Mutex<()>,
}

/// Starts to serve apps, in threads that end with this process.
///
/// # Errors
/// [`ServeError`].
pub fn serve(
    apps: Vec<ServedApp>,
    store: &Arc<Store>,
    options: ServeOptions,
) -> Result<Arc<Server>, ServeError> {
    let ServeOptions { port, idle, grains, unseen } = options;
    let listener = listen(port, PORTS)?;
    let failed = |operation| move |source| ServeError::Io { operation, source };
    let bound = listener.local_addr().map_err(failed("read the address of the page"))?;
    let auth = Auth::new(bound.port()).map_err(failed("make random tokens for the page"))?;
    let server = Arc::new(Server {
        apps: apps.into_iter().map(Arc::new).collect(),
        store: store.clone(),
        grains,
        idle,
        unseen,
        auth,
        handles: Mutex::default(),
        closing: AtomicBool::new(false),
        slots: Slots::new(CONNECTIONS - PAGE_CONNECTIONS),
        merging: Mutex::default(),
    });
    server.sync()?;
    let reaping = server.clone();
    let looks = std::thread::Builder::new().name("grains".into()).spawn(move || {
        while !reaping.closing.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
            reaping.reap_idle();
        }
    });
    looks.map_err(failed("start a thread"))?;
    server.listen(listener).map_err(failed("start a thread"))?;
    Ok(server)
}

impl Server {
    /// Returns the URL for a browser. Its token grants full access to the page.
    pub fn url(&self) -> String {
        self.auth.url()
    }

    /// Stops all grains in parallel, and starts none any more.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let handles: Vec<_> = self.handles().values().cloned().collect();
        std::thread::scope(|scope| {
            for handle in &handles {
                if std::thread::Builder::new().spawn_scoped(scope, || handle.stop(None)).is_err() {
                    handle.stop(None);
                }
            }
        });
    }

    fn handles(&self) -> MutexGuard<'_, BTreeMap<String, Arc<GrainHandle>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, host: &str) -> Option<Arc<GrainHandle>> {
        self.handles().get(host).cloned()
    }

    /// Reads the library again: other processes may have created or removed grains.
    fn sync(&self) -> Result<(), LibraryError> {
        // The lock is held throughout, so that no other request gives a grain another host meanwhile.
        let mut handles = self.handles();
        for app in &self.apps {
            let mut there = self.grains.of_app(&app.app_id)?;
            let mut hosts = Vec::new();
            for stored in &mut there {
                hosts.push(stored.host(&app.title)?);
            }
            handles.retain(|host, handle| {
                handle.app.app_id != app.app_id || hosts.contains(host) || !handle.is_stopped()
            });
            for (host, stored) in hosts.into_iter().zip(there) {
                match handles.get(&host) {
                    Some(handle) if handle.stored().directory == stored.directory => {
                        handle.set_stored(stored)
                    }
                    // A directory that was copied with its grain.json: the first one has the host.
                    Some(_) => {}
                    None => {
                        let handle = GrainHandle::new(app.clone(), host.clone(), stored)?;
                        handles.insert(host, Arc::new(handle));
                    }
                }
            }
        }
        Ok(())
    }

    /// Stops idle grains, and cleans up after grains that ended by themselves.
    fn reap_idle(&self) {
        let handles: Vec<_> = self.handles().values().cloned().collect();
        handles.iter().for_each(|handle| handle.reap_idle(self.idle));
    }

    fn listen(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let server = self.clone();
        // A client that disconnects affects only itself.
        accept(listener, Callers::own(), move |stream| drop(server.serve_connection(stream)))
    }

    /// Serves the one request of a connection: responds, or forwards it to a grain.
    fn serve_connection(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HEAD_SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let mut reader = BufReader::new(stream);
        let Some(bytes) = read_head(&mut reader)? else { return Ok(()) };
        stream.set_read_timeout(Some(SILENCE))?;
        let is_head = bytes.starts_with(b"HEAD ");
        let head = Head::of_request(&bytes);
        let body = head.as_ref().and_then(Body::of_request);
        let (Some(head), Some(body)) = (head, body) else {
            let why = "no request of HTTP that can be read in one way only";
            let response = Response::refusal("400 Bad Request", why);
            return response.send(&mut stream, &policy("'none'"), is_head);
        };
        let response = match self.auth.route(&head) {
            Route::Page(origin) => actions::respond(self, &head, body, &mut reader, &origin),
            Route::Grain { host, origin } => {
                let handle = self.handle(&host);
                match handle.as_ref().map(|handle| (handle, self.auth.access(&head, handle, &origin))) {
                    None => Response::refusal("404 Not Found", "there is no such grain"),
                    Some((_, Access::Response(response))) => response,
                    Some((handle, Access::Granted)) => {
                        match proxy::forward_request(self, handle, stream, reader, head, body)? {
                            Some(response) => response,
                            None => return Ok(()),
                        }
                    }
                }
            }
            Route::Elsewhere => Response::refusal(
                "403 Forbidden",
                "this is for 127.0.0.1 and for names below localhost alone",
            ),
        };
        response.send(&mut stream, &policy(FORMS), is_head)
    }
}
