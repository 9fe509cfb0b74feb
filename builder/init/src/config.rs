//! `/tinyroot/services`, read. The format is described where it is written, in the builder's
//! `image::services`.

use core::ffi::CStr;

use crate::{
    arena::Arena,
    log::Fault,
    sys::{self, Fd},
    text,
};

/// The whole configuration.
pub struct Config {
    /// The web port; 0 if there is none.
    pub port: u16,
    /// `NAME=VALUE`s for all programs.
    pub env: &'static [*const u8],
    /// Directories to make at each start.
    pub directories: &'static [*const u8],
    pub setup: Option<Program>,
    pub services: [Option<Program>; MAX_SERVICES],
}

/// More services than any app of ours has; the builder refuses more.
pub const MAX_SERVICES: usize = 32;

/// What is started, and when it is ready.
pub struct Program {
    pub name: &'static [u8],
    /// Null-terminated.
    pub command: &'static [*const u8],
    pub env: &'static [*const u8],
    pub ready: Ready,
    pub timeout_ms: i64,
    /// What asks it to end.
    pub stop_signal: i32,
    /// How long it may take to end then, where the recipe says so.
    pub stop_ms: Option<i64>,
}

pub enum Ready {
    Started,
    Socket(*const u8),
    Http(*const u8),
    Port(u16),
    File(*const u8),
}

/// Reads the configuration. Returns it with the environment given to us less what is ours, and the
/// descriptor that waits for our word.
pub fn read(
    arena: &mut Arena,
    path: &'static CStr,
    environment: &[*const u8],
) -> Result<(Config, &'static [*const u8], Option<Fd>), Fault> {
    let bytes = slurp(arena, path)?;
    let config = parse(arena, bytes).map_err(|what| Fault { what, subject: path.to_bytes(), errno: 0 })?;
    let kept = arena.pointers(environment.len());
    let mut count = 0;
    let mut ready_fd = None;
    for variable in environment {
        match text(*variable).strip_prefix(b"TINYROOT_READY_FD=") {
            Some(value) => ready_fd = number(value).map(|fd| fd as Fd),
            None => {
                kept[count] = *variable;
                count += 1;
            }
        }
    }
    Ok((config, &kept[..count], ready_fd))
}

/// Reads a whole file.
pub fn slurp(arena: &mut Arena, path: &'static CStr) -> Result<&'static [u8], Fault> {
    let fault = |errno| Fault { what: "cannot read", subject: path.to_bytes(), errno };
    let file = sys::open(path, sys::O_RDONLY, 0).map_err(fault)?;
    let mut buffer = arena.bytes(1 << 14);
    let mut length = 0;
    loop {
        if length == buffer.len() {
            let larger = arena.bytes(2 * length);
            larger[..length].copy_from_slice(buffer);
            buffer = larger;
        }
        match sys::read(file.0, &mut buffer[length..]) {
            Ok(0) => return Ok(&buffer[..length]),
            Ok(count) => length += count,
            Err(sys::EINTR) => {}
            Err(errno) => return Err(fault(errno)),
        }
    }
}

/// Where a line's meaning goes.
enum Scope {
    All,
    Setup,
    Service(usize),
}

fn parse(arena: &mut Arena, bytes: &'static [u8]) -> Result<Config, &'static str> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    if lines.next() != Some(b"tinyroot-services 1") {
        return Err("a first line that this program does not know in");
    }
    let capacity = bytes.iter().filter(|byte| **byte == b'\n').count();
    let mut directories = List::new(arena, capacity);
    let mut env = List::new(arena, capacity);
    let mut config =
        Config { port: 0, env: &[], directories: &[], setup: None, services: [const { None }; MAX_SERVICES] };
    let mut scope = Scope::All;
    let mut count = 0;
    for line in lines.filter(|line| !line.is_empty()) {
        let words = words(arena, line)?;
        // One null at the end; the first word is always there.
        let given = &words[1..words.len() - 1];
        let first = given.first().map(|word| text(*word));
        let program = match &scope {
            Scope::All => None,
            Scope::Setup => config.setup.as_mut(),
            Scope::Service(at) => config.services[*at].as_mut(),
        };
        match (text(words[0]), first, program) {
            (b"port", Some(port), None) => config.port = port_number(port)?,
            (b"directory", Some(_), None) => directories.push(given[0]),
            (b"env", Some(_), None) => {
                env.push(given[0]);
                config.env = env.done();
            }
            (b"setup", None, _) => {
                config.setup = Some(Program::new(b"setup"));
                scope = Scope::Setup;
            }
            (b"service", Some(name), _) => {
                *config.services.get_mut(count).ok_or("too many services in")? = Some(Program::new(name));
                scope = Scope::Service(count);
                count += 1;
            }
            (b"command", Some(_), Some(program)) => program.command = &words[1..],
            (b"env", Some(_), Some(program)) => {
                let mut own = List::new(arena, program.env.len() + 1);
                program.env.iter().for_each(|variable| own.push(*variable));
                own.push(given[0]);
                program.env = own.done();
            }
            (b"timeout", Some(seconds), Some(program)) => {
                program.timeout_ms = number(seconds).ok_or("a wrong timeout in")? * 1000;
            }
            (b"stop-timeout", Some(seconds), Some(program)) => {
                program.stop_ms = Some(number(seconds).ok_or("a wrong stop-timeout in")? * 1000);
            }
            (b"stop-signal", Some(signal), Some(program)) => {
                let signal = number(signal).filter(|signal| (1..=31).contains(signal));
                program.stop_signal = signal.ok_or("a wrong stop-signal in")? as i32;
            }
            (b"ready", Some(kind), Some(program)) => {
                let what = *given.get(1).ok_or("a wrong `ready` in")?;
                program.ready = match kind {
                    b"socket" => Ready::Socket(what),
                    b"http" => Ready::Http(what),
                    b"port" => Ready::Port(port_number(text(what))?),
                    b"file" => Ready::File(what),
                    _ => return Err("a wrong `ready` in"),
                };
            }
            _ => return Err("a line that this program does not know in"),
        }
    }
    config.directories = directories.done();
    let whole = |program: &Program| program.command.len() > 1;
    if !config.setup.iter().chain(config.services.iter().flatten()).all(whole) {
        return Err("a program without `command` in");
    }
    if count == 0 {
        return Err("no service in");
    }
    Ok(config)
}

impl Program {
    fn new(name: &'static [u8]) -> Self {
        Program {
            name,
            command: &[],
            env: &[],
            ready: Ready::Started,
            timeout_ms: 60_000,
            stop_signal: sys::SIGTERM,
            stop_ms: None,
        }
    }
}

/// A list that was made long enough.
struct List {
    items: *mut *const u8,
    capacity: usize,
    count: usize,
}

impl List {
    fn new(arena: &mut Arena, capacity: usize) -> Self {
        let items = arena.pointers(capacity);
        List { items: items.as_mut_ptr(), capacity, count: 0 }
    }

    fn push(&mut self, item: *const u8) {
        if self.count < self.capacity {
            // SAFETY: within the list, which is ours for ever; items handed out are not written again.
            unsafe { self.items.add(self.count).write(item) };
            self.count += 1;
        }
    }

    fn done(&self) -> &'static [*const u8] {
        // SAFETY: so many items have been written, and live for ever.
        unsafe { core::slice::from_raw_parts(self.items, self.count) }
    }
}

/// Returns the words of a line, unescaped, and a null.
fn words(arena: &mut Arena, line: &[u8]) -> Result<&'static [*const u8], &'static str> {
    let count = line.iter().filter(|byte| **byte == b' ').count() + 1;
    let out = arena.pointers(count + 1);
    for (at, word) in line.split(|byte| *byte == b' ').enumerate() {
        let plain = arena.bytes(word.len() + 1);
        let mut length = 0;
        let mut rest = word;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            let mut value = *byte;
            if value == b'\\' {
                match rest {
                    [b'e', after @ ..] => {
                        rest = after;
                        continue;
                    }
                    [b'x', high, low, after @ ..] => {
                        rest = after;
                        value = hex(*high)? << 4 | hex(*low)?;
                    }
                    _ => return Err("a wrong escape in"),
                }
            }
            if value == 0 {
                return Err("a NUL in");
            }
            plain[length] = value;
            length += 1;
        }
        out[at] = plain.as_ptr();
    }
    Ok(out)
}

fn hex(digit: u8) -> Result<u8, &'static str> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err("a wrong escape in"),
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    let valid = !digits.is_empty() && digits.len() < 10 && digits.iter().all(u8::is_ascii_digit);
    valid.then(|| digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

fn port_number(digits: &[u8]) -> Result<u16, &'static str> {
    number(digits).and_then(|port| u16::try_from(port).ok()).ok_or("a wrong port in")
}
