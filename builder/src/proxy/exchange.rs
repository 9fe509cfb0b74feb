//! One request of a client to an app, and the response: heads are written anew, bodies go through as they
//! come, however long they take. Behind an upgrade that the app agrees to, such as to a WebSocket, all bytes
//! go both ways as they are; a recorder reads the messages of WebSockets and event streams beside that.
//!
//! A connection carries one request (`Connection: close` to both sides), so that each request is inspected.

use std::{
    io::{self, BufReader, Write as _},
    net::{Shutdown, TcpStream},
};

use super::{
    both_ways,
    overheard::Overheard,
    tape::{Kept, Noted, Recorder, Side},
    ways,
};
use crate::web::{Authorities, Body, Head, Response, read_head};

/// Fields that concern one connection only (RFC 9110, 7.6.1).
const CONNECTION_FIELDS: [&str; 3] = ["connection", "keep-alive", "proxy-connection"];

/// The changes of heads, beside the fields of the connection.
pub(crate) trait Rewrite: Sync {
    /// Changes a request to what the app is given.
    fn request(&self, head: &mut Head);
    /// Changes a response to what the client is given.
    fn response(&self, head: &mut Head);
}

impl Rewrite for Option<Authorities> {
    fn request(&self, head: &mut Head) {
        if let Some(authorities) = self {
            authorities.to_app(head);
        }
    }

    fn response(&self, head: &mut Head) {
        if let Some(authorities) = self {
            authorities.to_client(head);
        }
    }
}

/// Both ends of an exchange.
pub(crate) struct Exchange<'a, R> {
    /// The client.
    pub client: &'a TcpStream,
    /// The client's bytes behind its head.
    pub reader: BufReader<&'a TcpStream>,
    /// The app.
    pub app: &'a TcpStream,
    /// The changes on the way.
    pub rewrite: &'a R,
    /// Whether the app is left alone once the client has said all. Else the app is heard to its end, as some
    /// clients close their half of a connection behind a request.
    pub gone_at_end: bool,
    /// Notes the exchange.
    pub recorder: Option<Recorder>,
}

impl<R: Rewrite> Exchange<'_, R> {
    /// Passes a request on and its response back; returns a response of our own where the app gives none.
    ///
    /// # Errors
    /// As reading and writing; a thread that cannot be started.
    pub fn run(mut self, head: Head, body: Body) -> io::Result<Option<Response>> {
        let upgrade = head.lists("connection", "upgrade");
        (&mut &*self.app).write_all(&self.to_app(head, upgrade).to_bytes())?;
        self.client.set_read_timeout(None)?;
        self.client.set_write_timeout(None)?;
        let mut from_app = BufReader::new(self.app);
        if upgrade {
            return self.upgraded(&mut from_app, body);
        }
        let (client, app, rewrite) = (self.client, self.app, self.rewrite);
        let recorder = self.recorder.as_ref();
        std::thread::scope(|scope| {
            std::thread::Builder::new().name("proxy-upload".into()).spawn_scoped(scope, || {
                let reader = &mut self.reader;
                let uploaded = body.copy(reader, &mut Noted { to: app, recorder, side: Side::Request });
                // Further bytes are not a request of this connection. An error here means that the client is
                // gone: it reset the connection, as browsers do where a response was not read to its end.
                let is_gone = uploaded.is_err() || io::copy(reader, &mut io::sink()).is_err();
                let both = is_gone || self.gone_at_end;
                let _ = app.shutdown(if both { Shutdown::Both } else { Shutdown::Write });
            })?;
            let responded = respond(client, &mut from_app, rewrite, recorder);
            // Wakes the thread above.
            let _ =
                client.shutdown(if matches!(responded, Ok(None)) { Shutdown::Both } else { Shutdown::Read });
            responded
        })
    }

    fn to_app(&self, mut head: Head, upgrade: bool) -> Head {
        drop_connection_fields(&mut head, upgrade);
        self.rewrite.request(&mut head);
        if self.recorder.is_some() {
            Recorder::plain(&mut head);
        }
        head.add("Connection", if upgrade { "Upgrade" } else { "close" });
        head
    }

    /// Waits for what the app says to an upgrade. If it agrees, the connection is not looked at any more, except by a
    /// recorder; else its response is the last that the connection carries.
    fn upgraded(mut self, from_app: &mut BufReader<&TcpStream>, body: Body) -> io::Result<Option<Response>> {
        let (mut client, mut app) = (self.client, self.app);
        body.copy(&mut self.reader, &mut app)?;
        let Some(head) = next_head(from_app) else { return Ok(Some(no_response())) };
        let status = head.status();
        let head = to_client(head, self.rewrite);
        client.write_all(&head.to_bytes())?;
        if let Some(recorder) = &self.recorder {
            recorder.respond(&head);
        }
        if status != 101 {
            io::copy(from_app, &mut client)?;
            return Ok(None);
        }
        // Bytes that were read ahead go first.
        match self.recorder.as_ref().filter(|_| head.lists("upgrade", "websocket")) {
            Some(recorder) => {
                let mut to_client = Overheard::socket(client, recorder, Side::Response);
                let mut to_app = Overheard::socket(app, recorder, Side::Request);
                to_client.write_all(from_app.buffer())?;
                to_app.write_all(self.reader.buffer())?;
                ways((client, &mut to_client), (app, &mut to_app))?;
            }
            None => {
                client.write_all(from_app.buffer())?;
                app.write_all(self.reader.buffer())?;
                both_ways(client, app)?;
            }
        }
        Ok(None)
    }
}

/// Passes a response on, interim ones before it; returns one of our own if there is none.
fn respond(
    mut client: &TcpStream,
    from_app: &mut BufReader<&TcpStream>,
    rewrite: &impl Rewrite,
    recorder: Option<&Recorder>,
) -> io::Result<Option<Response>> {
    loop {
        let Some(head) = next_head(from_app) else { return Ok(Some(no_response())) };
        let status = head.status();
        let head = to_client(head, rewrite);
        client.write_all(&head.to_bytes())?;
        if !matches!(status, 100..200) {
            let kept = recorder.map(|recorder| (recorder, recorder.respond(&head)));
            match kept {
                None | Some((_, Kept::Head)) => io::copy(from_app, &mut client)?,
                Some((recorder, Kept::Events)) => {
                    io::copy(from_app, &mut Overheard::events(client, recorder, &head))?
                }
                Some((recorder, Kept::Body)) => {
                    let mut noted = Noted { to: client, recorder: Some(recorder), side: Side::Response };
                    let copied = io::copy(from_app, &mut noted)?;
                    recorder.end();
                    copied
                }
            };
            return Ok(None);
        }
    }
}

fn to_client(mut head: Head, rewrite: &impl Rewrite) -> Head {
    let upgrade = head.status() == 101;
    drop_connection_fields(&mut head, upgrade);
    rewrite.response(&mut head);
    match head.status() {
        101 => head.add("Connection", "Upgrade"),
        100..200 => {}
        _ => head.add("Connection", "close"),
    }
    head
}

fn drop_connection_fields(head: &mut Head, upgrade: bool) {
    CONNECTION_FIELDS.iter().for_each(|name| head.remove(name));
    if !upgrade {
        head.remove("upgrade");
    }
}

fn next_head(from_app: &mut BufReader<&TcpStream>) -> Option<Head> {
    Head::of_answer(&read_head(from_app).ok()??)
}

fn no_response() -> Response {
    Response::refusal("502 Bad Gateway", "the app gives no answer of HTTP/1")
}
