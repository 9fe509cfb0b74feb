//! A shell for the user in a sandbox: `stage --shell-on-failure`.

use std::{
    io::{self, IsTerminal},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{read, retry_on_intr},
    termios::{tcgetwinsize, tcsetwinsize},
};

use super::output::say;
use crate::{
    configure::ConfigureError,
    progress::Progress,
    sandbox::{Program, Running},
    shutdown::RawTerminal,
};

/// How often the size of the terminal is looked at, and whether the shell has ended and left a program behind
/// that holds its terminal.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Shows a failed root. Where results go to standard output, `spare_output` keeps the shell's words out of
/// them.
pub(super) fn show(
    running: &Running,
    mut shell: Program,
    error: &ConfigureError,
    spare_output: bool,
    progress: &Progress,
) {
    let text = error.to_string();
    say(text.lines().next().unwrap_or_default());
    say("a shell in its root, as the failure left it; `exit` ends it and all of it is thrown away");
    shell.env.extend(std::env::var_os("TERM").map(|value| ("TERM".into(), value)));
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let output = if spare_output { stderr.as_fd() } else { stdout.as_fd() };
    let shown = if io::stdin().is_terminal() && output.is_terminal() {
        on_terminal(running, &shell, output)
    } else {
        on_streams(running, &shell, output)
    };
    if let Err(error) = shown {
        progress.warn(&format!("cannot open a shell there: {error}"));
    }
}

fn on_streams(running: &Running, shell: &Program, output: BorrowedFd<'_>) -> io::Result<()> {
    let (input, errors) = (io::stdin(), io::stderr());
    let streams = [input.as_fd(), output, errors.as_fd()].map(|stream| stream.try_clone_to_owned());
    let [input, output, errors] = streams;
    running.exec(shell, [input?, output?, errors?])?.wait();
    Ok(())
}

/// Gives the shell a terminal of the sandbox's own, so that Ctrl-C and jobs are for what runs there, and not
/// for us.
fn on_terminal(running: &Running, shell: &Program, screen: BorrowedFd<'_>) -> io::Result<()> {
    let keyboard = io::stdin();
    let (ours, theirs) = running.terminal()?;
    // A shell that begins without a size keeps to 80 columns.
    follow_size(screen, &ours);
    let streams = [theirs.try_clone()?, theirs.try_clone()?, theirs];
    let execution = running.exec(shell, streams)?;
    let _raw = RawTerminal::begin()?;
    let mut buffer = [0; 4096];
    loop {
        follow_size(screen, &ours);
        let ended = execution.try_wait().is_some();
        let mut ready = [PollFd::new(&ours, PollFlags::IN), PollFd::new(&keyboard, PollFlags::IN)];
        let wait = if ended { Timespec { tv_sec: 0, tv_nsec: 0 } } else { LOOK };
        retry_on_intr(|| poll(&mut ready, Some(&wait)))?;
        let [said, typed] = ready.map(|fd| !fd.revents().is_empty());
        if said {
            // EIO: the other end is closed.
            let Ok(count @ 1..) = retry_on_intr(|| read(&ours, &mut buffer)) else { break };
            write_all(screen, &buffer[..count])?;
        } else if ended {
            break;
        }
        if typed {
            // A terminal that was closed.
            let Ok(count @ 1..) = retry_on_intr(|| read(&keyboard, &mut buffer)) else { break };
            write_all(ours.as_fd(), &buffer[..count])?;
        }
    }
    Ok(())
}

fn follow_size(from: BorrowedFd<'_>, to: &OwnedFd) {
    // A terminal without a size has none to follow.
    let _ = tcgetwinsize(from).and_then(|size| tcsetwinsize(to, size));
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[retry_on_intr(|| rustix::io::write(to, bytes))?..];
    }
    Ok(())
}
