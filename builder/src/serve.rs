//! Serves apps on this machine: a page that lists them and their grains, and each grain at an origin of its own.
//!
//! Comes in: opened artifacts, the grains on disk, and which recipe folders belong to them. Goes out: one port of the host's
//! loopback. By the name that a browser asks for it leads to the page (`tinyroot.localhost`, `127.0.0.1`) or into a grain
//! (`g-….localhost`; browsers take all of `localhost` for the loopback), so that what one app keeps in a browser no other
//! one sees. Who may see what is decided by [`auth`] alone; every app is taken for hostile.
//!
//! A grain starts when it is opened, and stops when a person says so, when nothing was asked of it for a while, or when the
//! server is closed.

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
    artifact::Artifact,
    error::Hint,
    formats::app_id::AppId,
    grain::{
        library::{Grains, GrainsError},
        runner::{App, RunError},
    },
    proxy::{Callers, ListenError, accept, listen},
    sandbox::Unavailable,
    store::Store,
    web::{Body, Head, Response, policy, read_head},
};
use auth::{Entry, Gate, Place};
use handle::Live;

/// Where the page may be found when no other port is asked for: the first that is free.
pub const PORTS: Range<u16> = 6080..6100;

/// How long a client may be silent before its request is whole. Browsers open connections before they have one.
const SILENCE: Duration = Duration::from_secs(30);

/// How often grains are looked after.
const LOOK: Duration = Duration::from_secs(1);

/// Forms lead to the page itself and, by a redirect, to grains.
const FORMS: &str = "'self' http://*.localhost:*";

/// An app that is served.
pub struct Served {
    /// Whose grains it takes.
    pub app_id: AppId,
    /// Its title.
    pub title: String,
    /// Its version, as people know it.
    pub version: String,
    /// What a grain of it is called.
    pub noun: String,
    /// The size of its package.
    pub size_bytes: u64,
    /// What runs.
    pub app: App,
    /// The folder of its recipe, for what its grains miss.
    pub recipe: Option<PathBuf>,
}

impl Served {
    /// Returns what is served of an artifact.
    ///
    /// # Errors
    /// As [`App::of_artifact`].
    pub fn new(artifact: Artifact, store: &Store) -> Result<Self, RunError> {
        let (app_id, size_bytes) = (artifact.app_id(), artifact.size_bytes);
        let (title, version) = (artifact.title().to_owned(), artifact.version().to_owned());
        let app = App::of_artifact(artifact, store)?;
        let noun = app.recipe.app.noun.clone();
        Ok(Served { app_id, title, version, noun, size_bytes, app, recipe: None })
    }
}

/// How apps are served.
pub struct ServeOptions {
    /// The port on the host's loopback; by default the first free one of [`PORTS`].
    pub port: Option<u16>,
    /// How long nothing is asked of a grain before it is stopped.
    pub idle: Duration,
    /// All grains.
    pub grains: Grains,
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
    Grains(#[from] GrainsError),
    /// The system refuses something that the server needs.
    #[error("cannot {operation}")]
    Io {
        /// The operation, with its object.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Hint for ServeError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            ServeError::Listen(error) => error.hint(),
            ServeError::Grains(error) => error.hint(),
            ServeError::Io { .. } => None,
        }
    }
}

/// Serves until it is closed.
pub struct Server {
    apps: Vec<Arc<Served>>,
    store: Arc<Store>,
    grains: Grains,
    idle: Duration,
    unseen: Option<Unavailable>,
    gate: Gate,
    /// By host.
    lives: Mutex<BTreeMap<String, Arc<Live>>>,
    closing: AtomicBool,
    /// One change of a used.list at a time.
    taking: Mutex<()>,
}

/// Starts to serve apps, in threads that end with this process.
///
/// # Errors
/// [`ServeError`].
pub fn serve(
    apps: Vec<Served>,
    store: &Arc<Store>,
    options: ServeOptions,
) -> Result<Arc<Server>, ServeError> {
    let ServeOptions { port, idle, grains, unseen } = options;
    let listener = listen(port, PORTS)?;
    let failed = |operation| move |source| ServeError::Io { operation, source };
    let bound = listener.local_addr().map_err(failed("read the address of the page"))?;
    let gate = Gate::new(bound.port()).map_err(failed("make random tokens for the page"))?;
    let server = Arc::new(Server {
        apps: apps.into_iter().map(Arc::new).collect(),
        store: store.clone(),
        grains,
        idle,
        unseen,
        gate,
        lives: Mutex::default(),
        closing: AtomicBool::new(false),
        taking: Mutex::default(),
    });
    server.sync()?;
    let tending = server.clone();
    let looks = std::thread::Builder::new().name("grains".into()).spawn(move || {
        while !tending.closing.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
            tending.tend();
        }
    });
    looks.map_err(failed("start a thread"))?;
    server.listen(listener).map_err(failed("start a thread"))?;
    Ok(server)
}

impl Server {
    /// Returns the URL to open in a browser; it gives all the rights of the page.
    pub fn url(&self) -> String {
        self.gate.url()
    }

    /// Stops all grains, side by side, and starts none any more.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let lives: Vec<_> = self.lives().values().cloned().collect();
        std::thread::scope(|scope| {
            for live in &lives {
                if std::thread::Builder::new().spawn_scoped(scope, || live.end(None)).is_err() {
                    live.end(None);
                }
            }
        });
    }

    fn lives(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Live>>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self, host: &str) -> Option<Arc<Live>> {
        self.lives().get(host).cloned()
    }

    /// Takes in the grains that are on disk now: others may have been made or removed.
    fn sync(&self) -> Result<(), GrainsError> {
        // Held throughout, so that no other process gives a grain another host meanwhile.
        let mut lives = self.lives();
        for app in &self.apps {
            let mut there = self.grains.of_app(&app.app_id)?;
            let mut hosts = Vec::new();
            for kept in &mut there {
                hosts.push(kept.host(&app.title)?);
            }
            lives.retain(|host, live| {
                live.app.app_id != app.app_id || hosts.contains(host) || !live.is_stopped()
            });
            for (host, kept) in hosts.into_iter().zip(there) {
                match lives.get(&host) {
                    Some(live) if live.kept().directory == kept.directory => live.known_as(kept),
                    // A directory that was copied with its description: the first one has the host.
                    Some(_) => {}
                    None => {
                        let live = Live::new(app.clone(), host.clone(), kept)?;
                        lives.insert(host, Arc::new(live));
                    }
                }
            }
        }
        Ok(())
    }

    /// Stops what is idle, and notes what has ended by itself.
    fn tend(&self) {
        let lives: Vec<_> = self.lives().values().cloned().collect();
        lives.iter().for_each(|live| live.tend(self.idle));
    }

    fn listen(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let server = self.clone();
        // A client that disconnects affects only itself.
        accept(listener, Callers::own(), move |stream| drop(server.talk(stream)))
    }

    /// Answers one request, or leads it into a grain.
    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let mut reader = BufReader::new(stream);
        let Some(bytes) = read_head(&mut reader)? else { return Ok(()) };
        let is_head = bytes.starts_with(b"HEAD ");
        let head = Head::of_request(&bytes);
        let body = head.as_ref().and_then(Body::of_request);
        let (Some(head), Some(body)) = (head, body) else {
            let why = "no request of HTTP that can be read in one way only";
            let response = Response::refusal("400 Bad Request", why);
            return response.send(&mut stream, &policy("'none'"), is_head);
        };
        let response = match self.gate.place(&head) {
            Place::Page(origin) => actions::respond(self, &head, body, &mut reader, &origin),
            Place::Grain { host, origin } => {
                let live = self.live(&host);
                match live.as_ref().map(|live| (live, self.gate.enter(&head, live, &origin))) {
                    None => Response::refusal("404 Not Found", "there is no such grain"),
                    Some((_, Entry::Response(response))) => response,
                    Some((live, Entry::Granted)) => {
                        match proxy::lead(self, live, stream, reader, head, body)? {
                            Some(response) => response,
                            None => return Ok(()),
                        }
                    }
                }
            }
            Place::Elsewhere => Response::refusal(
                "403 Forbidden",
                "this is for 127.0.0.1 and for names below localhost alone",
            ),
        };
        response.send(&mut stream, &policy(FORMS), is_head)
    }
}
