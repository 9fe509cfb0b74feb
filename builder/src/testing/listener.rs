//! A thread that takes connections at a free port of the loopback, each answered in a thread of its own, until
//! it is dropped.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The listening thread.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Listener {
    /// Starts it. `stop` is set when it is dropped, so that long answers end.
    pub(super) fn start(
        stop: &Arc<AtomicBool>,
        answer: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds a port");
        let address = listener.local_addr().expect("has an address");
        let (answer, stopped) = (Arc::new(answer), stop.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let answer = answer.clone();
                // A client that goes away is what some tests are about.
                thread::spawn(move || stream.and_then(|stream| answer(&stream)));
            }
        });
        Listener { address, stop: stop.clone(), thread: Some(thread) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
