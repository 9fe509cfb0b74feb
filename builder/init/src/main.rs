//! The first process of a grain.
//!
//! Reads `/tinyroot/services`, fills a new `/var` from the skeleton `/tinyroot/var`, runs setup
//! once per grain, starts the services in order, each when the one before is ready, reaps what
//! ends, passes a request to stop on to the services, and ends when a service ends. Services have
//! no descriptor of its own but 0, 1 and 2. Its own words go to stderr as `tinyroot-init: …`; what
//! services print is left alone.
//!
//! Uses no libc and no allocator: its bytes, which go into artifacts, depend on the toolchain
//! alone, and it starts in well under a millisecond.
//!
//! Arguments: none, or `new` or `continue` (as a Sandstorm package starts a grain; `/var` itself
//! tells which it is). `TINYROOT_READY_FD=N` in the environment: `ready\n` is written to that
//! descriptor once all services are ready. Ends with the status of the service that ended (128 +
//! the signal's number if one killed it), 0 when it was asked to stop, 125 on a fault of its own.

#![no_std]
#![no_main]

mod arena;
mod config;
mod fill;
mod log;
mod mem;
mod path;
mod ready;
mod sha256;
mod supervise;
mod sys;
mod upgrade;

use core::{arch::global_asm, ffi::CStr};

use arena::Arena;

/// Our own faults end with this, as `env(1)` and container runners do.
const FAULT: i32 = 125;

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym start
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {start}",
    "brk #1",
    start = sym start
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    log::line(&[b"internal error: a check failed"]);
    sys::exit(FAULT)
}

/// `stack`: the argument count, arguments, null, environment, null, as the kernel lays them.
extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the kernel starts a program with a count, that many pointers and a null there.
    let (arguments, environment) = unsafe {
        let count = *stack;
        let arguments = core::slice::from_raw_parts(stack.add(1).cast::<*const u8>(), count);
        let first = stack.add(count + 2).cast::<*const u8>();
        let mut length = 0;
        while !(*first.add(length)).is_null() {
            length += 1;
        }
        (arguments, core::slice::from_raw_parts(first, length))
    };
    for argument in arguments.iter().skip(1) {
        if !matches!(text(*argument), b"new" | b"continue") {
            log::line(&[b"unknown argument ", text(*argument), b" (new and continue are known)"]);
            sys::exit(2);
        }
    }
    sys::exit(run(environment))
}

/// Returns a string of the kernel's without its NUL.
pub(crate) fn text(pointer: *const u8) -> &'static [u8] {
    // SAFETY: only strings of the initial stack and of the arena come here; both end in NUL and
    // live as long as the process.
    unsafe { CStr::from_ptr(pointer.cast()) }.to_bytes()
}

fn run(environment: &[*const u8]) -> i32 {
    let mut arena = Arena::new();
    let (config, environment, ready_fd) = match config::read(&mut arena, c"/tinyroot/services", environment) {
        Ok(found) => found,
        Err(fault) => {
            log::fault(&fault);
            return FAULT;
        }
    };
    sys::umask(0o022);
    // Such as the socket that Sandstorm gives a grain's first process alone.
    sys::close_on_exec_from(3);
    let mut supervisor = supervise::Supervisor::new(&config, environment, ready_fd);
    for directory in config.directories {
        fill::make_directories(text(*directory));
    }
    let _ = sys::mkdir(c"/run/lock", 0o777);
    let state = match fill::prepare(&mut arena) {
        Ok(state) => state,
        Err(fault) => {
            log::fault(&fault);
            fill::explain(&fault);
            return FAULT;
        }
    };
    if state.is_new() {
        if let Some(setup) = &config.setup
            && let Err(status) = supervisor.set_up(&mut arena, setup)
        {
            return status;
        }
        if let Err(fault) = fill::conclude(&state) {
            log::fault(&fault);
            return FAULT;
        }
    }
    supervisor.serve(&mut arena)
}
