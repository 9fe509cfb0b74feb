//! Setup and services as processes: started, awaited, reaped, stopped.

use core::ffi::CStr;

use crate::{
    FAULT,
    arena::Arena,
    config::{Config, MAX_SERVICES, Program},
    log, ready,
    sys::{self, Fd},
    text,
};

/// Signals that are waited for rather than delivered.
const AWAITED: [i32; 4] = [sys::SIGCHLD, sys::SIGTERM, sys::SIGINT, sys::SIGHUP];

/// How long one service may take to end once it is asked to, and all of them together; what the recipe gives a service is
/// added to the latter. The builder waits a little longer (`app::services`, `stop_limit_s`).
const GRACE_MS: i64 = 10_000;
const GRACE_ALL_MS: i64 = 20_000;

/// How long what services left behind has before it is told that its terminal is gone, where a grain has terminals: a shell that a
/// person types into passes over SIGTERM, and ends by SIGHUP.
const HANG_UP_MS: i64 = 1_000;

/// Where terminals are, if a grain has any.
const TERMINALS: &CStr = c"/dev/pts/ptmx";

/// What a service is doing.
#[derive(Clone, Copy, PartialEq)]
enum State {
    NotStarted,
    /// By its pid, which is that of its session and process group, too.
    Running(i32),
    /// Ended with this raw wait status; others of its group may go on.
    Ended {
        pid: i32,
        status: i32,
    },
}

pub struct Supervisor<'a> {
    config: &'a Config,
    environment: &'static [*const u8],
    ready_fd: Option<Fd>,
    services: [State; MAX_SERVICES],
    setup: State,
    /// SIGTERM, SIGINT or SIGHUP has come.
    asked_to_stop: bool,
}

impl<'a> Supervisor<'a> {
    pub fn new(config: &'a Config, environment: &'static [*const u8], ready_fd: Option<Fd>) -> Self {
        sys::block(&AWAITED);
        sys::disposition(sys::SIGPIPE, true);
        // A parent that ignores SIGCHLD hands that down, and then nothing is left to reap.
        sys::disposition(sys::SIGCHLD, false);
        let services = [State::NotStarted; MAX_SERVICES];
        Supervisor { config, environment, ready_fd, services, setup: State::NotStarted, asked_to_stop: false }
    }

    /// Runs setup to its end; `Err` is the status to end with.
    pub fn set_up(&mut self, arena: &mut Arena, program: &Program) -> Result<(), i32> {
        let pid = self.spawn(arena, program)?;
        self.setup = State::Running(pid);
        let end = sys::now_ms() + program.timeout_ms;
        loop {
            self.take_signals(20);
            if let State::Ended { status: 0, .. } = self.setup {
                return Ok(());
            }
            let status = if let State::Ended { status, .. } = self.setup {
                tell_end(program, status);
                exit_status(status).max(1)
            } else if self.asked_to_stop {
                128 + sys::SIGTERM
            } else if sys::now_ms() >= end {
                log::line(&[b"setup has not ended in time"]);
                FAULT
            } else {
                continue;
            };
            self.kill_all(pid);
            return Err(status);
        }
    }

    /// Starts all services and stays until one ends or we are asked to stop. Returns the status to end with.
    pub fn serve(&mut self, arena: &mut Arena) -> i32 {
        let config = self.config;
        for (at, program) in config.services.iter().flatten().enumerate() {
            let started = self.spawn(arena, program);
            let result = started.and_then(|pid| {
                self.services[at] = State::Running(pid);
                self.await_ready(program)
            });
            if let Err(status) = result {
                return self.stop(status);
            }
        }
        log::line(&[b"ready"]);
        if let Some(fd) = self.ready_fd.take() {
            let _ = sys::write_all(fd, b"ready\n");
            drop(sys::Owned(fd));
        }
        loop {
            self.take_signals(60_000);
            if let Err(status) = self.go_on() {
                return self.stop(status);
            }
        }
    }

    /// Returns the status to end with if a service has ended or we are asked to stop.
    fn go_on(&self) -> Result<(), i32> {
        for (state, program) in self.services.iter().zip(self.config.services.iter().flatten()) {
            if let State::Ended { status, .. } = state {
                tell_end(program, *status);
                return Err(exit_status(*status));
            }
        }
        if self.asked_to_stop { Err(0) } else { Ok(()) }
    }

    fn await_ready(&mut self, program: &Program) -> Result<(), i32> {
        let port = self.config.port;
        let end = sys::now_ms() + program.timeout_ms;
        let mut pause_ms = 1;
        loop {
            let mut status = Ok(());
            let is_ready = ready::is_ready(program, port, &mut || {
                self.take_signals(0);
                status = self.go_on();
                status.is_ok() && sys::now_ms() < end
            });
            if is_ready {
                return Ok(());
            }
            status?;
            if sys::now_ms() >= end {
                log::line(&[b"service ", program.name, b" is not ready in time"]);
                return Err(FAULT);
            }
            self.take_signals(pause_ms);
            pause_ms = (pause_ms + 1).min(5);
            self.go_on()?;
        }
    }

    /// Starts a program in a session of its own.
    fn spawn(&self, arena: &mut Arena, program: &Program) -> Result<i32, i32> {
        let env = self.env_of(arena, program);
        match sys::fork() {
            Ok(0) => become_program(arena, program, env),
            Ok(pid) => Ok(pid),
            Err(errno) => {
                log::fault(&log::Fault { what: "cannot start", subject: program.name, errno });
                Err(FAULT)
            }
        }
    }

    /// Returns the environment of a program: ours, then what is for all, then its own; the last wins.
    fn env_of(&self, arena: &mut Arena, program: &Program) -> &'static [*const u8] {
        let layers = [self.environment, self.config.env, program.env];
        let out = arena.pointers(layers.iter().map(|layer| layer.len()).sum::<usize>() + 1);
        let mut count = 0;
        for variable in layers.into_iter().flatten() {
            let name = name_of(*variable);
            let place = out[..count].iter().position(|known| name_of(*known) == name);
            out[place.unwrap_or(count)] = *variable;
            count += usize::from(place.is_none());
        }
        &out[..=count]
    }

    /// Waits for a signal at most so long, takes all that have come, and reaps.
    fn take_signals(&mut self, limit_ms: i64) {
        let mut limit_ms = limit_ms;
        while let Some(signal) = sys::wait_signal(&AWAITED, limit_ms) {
            self.asked_to_stop |= signal != sys::SIGCHLD;
            limit_ms = 0;
        }
        while let Some((pid, status)) = sys::reap() {
            for state in self.services.iter_mut().chain([&mut self.setup]) {
                if *state == State::Running(pid) {
                    *state = State::Ended { pid, status };
                }
            }
        }
    }

    /// Stops all services, last first, and returns the status.
    fn stop(&mut self, status: i32) -> i32 {
        let config = self.config;
        let given: i64 = config.services.iter().flatten().filter_map(|program| program.stop_ms).sum();
        let end_of_all = sys::now_ms() + GRACE_ALL_MS + given;
        for (at, program) in config.services.iter().enumerate().rev() {
            let (State::Running(pid) | State::Ended { pid, .. }) = self.services[at] else { continue };
            let Some(program) = program else { continue };
            let end = end_of_all.min(sys::now_ms() + program.stop_ms.unwrap_or(GRACE_MS));
            // Its group, not it alone: a shell ends at once and leaves the database that it started behind.
            if !self.end(-pid, &[(program.stop_signal, end)]) {
                log::line(&[b"service ", program.name, b" does not end by itself: killed"]);
            }
        }
        // What left its group, as a database that `pg_ctl` starts.
        let now = sys::now_ms();
        let asks = [(sys::SIGTERM, now + HANG_UP_MS), (sys::SIGHUP, now + GRACE_MS)];
        let asks = if sys::exists(TERMINALS) { &asks[..] } else { &[(sys::SIGTERM, now + GRACE_MS)] };
        if sys::pid() == 1 && !self.end(-1, asks) {
            log::line(&[b"what services left behind does not end by itself: killed"]);
        }
        self.take_signals(0);
        status
    }

    /// Asks processes, as `kill(2)` numbers them, to end by one signal after the other, each with the time until which it may take,
    /// and kills them when they have not. Returns whether they ended by themselves.
    fn end(&mut self, processes: i32, asks: &[(i32, i64)]) -> bool {
        self.asked_to_stop = false;
        for (signal, end_ms) in asks {
            sys::kill(processes, *signal);
            // What is stopped takes no other signal before it goes on.
            sys::kill(processes, sys::SIGCONT);
            // Asked once more: no more patience.
            while !self.asked_to_stop {
                self.take_signals(0);
                if !sys::reaches(processes) {
                    return true;
                }
                if sys::now_ms() >= *end_ms {
                    break;
                }
                self.take_signals(20);
            }
        }
        sys::kill(processes, sys::SIGKILL);
        false
    }

    /// Kills what is left: as first process everything, else one process group.
    fn kill_all(&mut self, pid: i32) {
        if sys::pid() == 1 {
            sys::kill(-1, sys::SIGKILL);
        } else if pid > 0 {
            sys::kill(-pid, sys::SIGKILL);
        }
        self.take_signals(0);
    }
}

/// What the child does between fork and exec.
fn become_program(arena: &mut Arena, program: &Program, env: &[*const u8]) -> ! {
    sys::setsid();
    sys::disposition(sys::SIGPIPE, false);
    sys::block(&[]);
    if let Ok(null) = sys::open(c"/dev/null", sys::O_RDONLY, 0) {
        sys::dup(null.0, 0);
    }
    let name = text(program.command[0]);
    let mut errno = sys::ENOENT;
    if name.contains(&b'/') {
        errno = execute(program.command[0], program, env);
    } else {
        let path = env.iter().filter(|v| !v.is_null()).find_map(|v| text(*v).strip_prefix(b"PATH="));
        for directory in path.unwrap_or(b"/usr/bin:/bin").split(|byte| *byte == b':') {
            let full = arena.string(&[directory, b"/", name]);
            match execute(full, program, env) {
                sys::ENOENT => {}
                other => errno = other,
            }
        }
    }
    let mut digits = [0; 12];
    let reason = match errno {
        // What execve says for a script or program whose interpreter is missing, too.
        sys::ENOENT => b"it or its interpreter is missing".as_slice(),
        other => log::reason(other, &mut digits),
    };
    log::line(&[b"cannot start ", program.name, b": ", name, b": ", reason]);
    sys::exit(if errno == sys::ENOENT { 127 } else { 126 })
}

fn execute(path: *const u8, program: &Program, env: &[*const u8]) -> i32 {
    // SAFETY: strings of the arena end in NUL and live for ever.
    sys::exec(unsafe { CStr::from_ptr(path.cast()) }, program.command, env)
}

fn name_of(variable: *const u8) -> &'static [u8] {
    let text = text(variable);
    text.split(|byte| *byte == b'=').next().unwrap_or(text)
}

/// Returns the exit status that stands for a raw wait status.
fn exit_status(status: i32) -> i32 {
    match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => 128 + signal,
    }
}

fn tell_end(program: &Program, status: i32) {
    let mut digits = [0; 12];
    let subject: [&[u8]; 2] = match program.name {
        b"setup" => [b"", b"setup"],
        name => [b"service ", name],
    };
    let (how, value) = match status & 0x7f {
        0 => (&b" ended with status "[..], status >> 8 & 0xff),
        signal => (&b" was killed by signal "[..], signal),
    };
    log::line(&[subject[0], subject[1], how, log::number(i64::from(value), &mut digits, b"")]);
}
