//! Traces an app while a person uses it in a browser.
//!
//! The exercise does not run: its uses are in the known list already. The person starts with the same fresh
//! grain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Instant,
};

use super::{
    Driver, Inputs, Started, Trace, TraceError, gather,
    news::{News, Told},
    page::Page,
};
use crate::{
    evidence::{UsedList, step},
    grain::GrainError,
    progress::{Progress, Task, Unit},
    proxy::{self, Front, Guards, OnRequest, Tape},
    sandbox::Exit,
    shutdown::StopHandler,
    store::Store,
    view::View,
};

/// How an app is offered to a browser.
pub struct Browsing<'a> {
    /// The port of the app on the host's loopback; by default the first free one from 8000.
    pub port: Option<u16>,
    /// The uses that are known already, which the page leaves out.
    pub known: UsedList,
    /// Records what the browser and the app say to each other.
    pub tape: Option<Arc<Tape>>,
    /// Called with the URLs once the app is ready.
    pub on_ready: &'a dyn Fn(&Urls),
}

/// The URLs for a browser.
#[derive(Clone, Debug)]
pub struct Urls {
    /// The app.
    pub app: String,
    /// The page of its new uses; below it lies `new.json?since=N`.
    pub page: String,
}

enum Event {
    /// A request for the new uses from a number on.
    Look(usize, mpsc::Sender<Told>),
    Stop,
    Ended(Exit),
}

/// Traces an app until a request to stop comes to this process or the app ends by itself. Requests are steps.
///
/// # Errors
/// [`TraceError`].
pub fn browse(
    inputs: &Inputs<'_>,
    browsing: Browsing<'_>,
    store: &Arc<Store>,
    progress: &Progress,
) -> Result<Trace, TraceError> {
    let recipe = inputs.recipe;
    let web = recipe.web.clone().ok_or(TraceError::NoWeb)?;
    let app_port = proxy::listen(browsing.port, proxy::PORTS)?;
    let page_port = proxy::listen(None, proxy::PORTS)?;
    let url = |listener| proxy::url(listener).map_err(TraceError::Serve);
    let urls = Urls { app: url(&app_port)?, page: url(&page_port)? };

    let started = Started::new(inputs, store, progress)?;
    let names = gather::Names::new(recipe, inputs.tree, store, inputs.owner);
    let running = started.grain.running().expect("it has just started");
    started.view.mark(step::BROWSER);
    let (sender, events) = mpsc::channel();
    let to_end = sender.clone();
    let watch = std::thread::Builder::new().name("grain-end".into());
    let grain = running.clone();
    // The receiver is gone after a request to stop.
    let watch = watch.spawn(move || drop(to_end.send(Event::Ended(grain.wait()))));
    let watch = watch.map_err(|source| TraceError::of(GrainError::Thread(source)))?;
    let to_stop = sender.clone();
    let _instead = StopHandler::new(move || drop(to_stop.send(Event::Stop)));
    // Connections wait in the queue until a thread takes them. Called before the task, which a terminal shows
    // below all else.
    (browsing.on_ready)(&urls);
    let began = Instant::now();
    let task = Arc::new(progress.task("tracing the requests of the browser", 0, Unit::Items));
    let requests = Arc::new(AtomicUsize::new(0));
    let on_request = marking(&started.view, &task, &requests);
    let front =
        Front { web, guards: Guards::Stand, on_request: Some(on_request), tape: browsing.tape.clone() };
    proxy::forward(app_port, running, front).map_err(TraceError::Serve)?;
    let page = Page { title: recipe.app.title.clone(), app_url: urls.app.clone() };
    let by_button = sender.clone();
    let stop = move || drop(by_button.send(Event::Stop));
    let look = move |since| {
        let (reply, response) = mpsc::channel();
        sender.send(Event::Look(since, reply)).ok()?;
        response.recv().ok()
    };
    page.serve(page_port, look, stop).map_err(TraceError::Serve)?;

    let ended = respond_until_stopped(&events, &started, &names, browsing.known, &requests)?;
    drop(events);
    drop(task);
    let driver = Driver::Browser { requests: requests.load(Ordering::Relaxed), ended };
    let traced = started.finish(&names, driver, began.elapsed());
    let _ = watch.join();
    traced
}

/// Makes each request the step that evidence belongs to, and counts it.
fn marking(view: &Arc<View>, task: &Arc<Task>, requests: &Arc<AtomicUsize>) -> OnRequest {
    // The proxy's threads outlive the trace.
    let (view, task, requests) = (Arc::downgrade(view), Arc::downgrade(task), requests.clone());
    Arc::new(move |method, target| {
        let (Some(view), Some(task)) = (view.upgrade(), task.upgrade()) else { return };
        let step = step::mark_of_request(method, target);
        view.mark(&step);
        requests.fetch_add(1, Ordering::Relaxed);
        task.now(&step);
    })
}

/// Responds to requests for new uses until the app is to stop or has ended; returns how it ended then.
fn respond_until_stopped(
    events: &mpsc::Receiver<Event>,
    started: &Started,
    names: &gather::Names<'_>,
    known: UsedList,
    requests: &AtomicUsize,
) -> Result<Option<Exit>, TraceError> {
    let mut news = News::new(known);
    loop {
        match events.recv().expect("the page holds a sender") {
            Event::Look(since, reply) => {
                news.ingest(&started.used(names)?);
                // The requester may have gone.
                let _ = reply.send(news.since(since, requests.load(Ordering::Relaxed)));
            }
            Event::Stop => return Ok(None),
            Event::Ended(exit) => return Ok(Some(exit)),
        }
    }
}
