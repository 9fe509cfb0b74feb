//! A forge on the loopback: keeps what is posted, and hands out one program.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// A request that posts something.
#[derive(Clone, Debug)]
pub struct Posted {
    pub path: String,
    /// All lines before the body.
    pub head: String,
    pub body: String,
}

impl Posted {
    /// Returns a field of a form.
    pub fn form(&self, name: &str) -> String {
        let mut fields = form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(field, _)| field == name).expect("is a field").1.into_owned()
    }
}

pub struct Forge {
    address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Forge {
    /// Listens until the test ends.
    pub fn start(program: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let address = listener.local_addr().expect("has an address");
        let posted: Arc<Mutex<Vec<Posted>>> = Arc::default();
        let heard = posted.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                respond(stream, &program, &heard);
            }
        });
        Forge { address, posted }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what was posted since this was asked last.
    pub fn posted(&self) -> Vec<Posted> {
        std::mem::take(&mut self.posted.lock().expect("no panic"))
    }
}

fn respond(mut stream: TcpStream, program: &[u8], posted: &Mutex<Vec<Posted>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("is open"));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let lower = head.to_lowercase();
    if lower.contains("expect: 100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").expect("writes");
    }
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).expect("is whole");
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
    let (status, response): (&str, &[u8]) = match method {
        "POST" => {
            let body = String::from_utf8(body).expect("is text");
            posted.lock().expect("no panic").push(Posted { path, head: head.clone(), body });
            ("201 Created", b"{}")
        }
        "GET" if path.ends_with("/packages/generic/tinyroot/0.1.0/tinyroot") => ("200 OK", program),
        _ => ("404 Not Found", b""),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", response.len());
    stream.write_all(&[head.as_bytes(), response].concat()).expect("writes");
}
