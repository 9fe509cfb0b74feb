//! Filters of system calls, as programs for `seccomp(2)`.
//!
//! - [`grain`]: a list of what is allowed, so that calls that later kernels add are not. What is not on it
//!   does not exist (ENOSYS), which programs are prepared for; what exists but is refused says EPERM.
//! - [`root_like`]: waiting for the disk succeeds at once (a root is not needed after a power cut, and dpkg
//!   waits hundreds of times); making device nodes, which no user namespace allows, succeeds and does
//!   nothing; with a single id so do changes of owner and of one's own ids. With it maintainer scripts run to
//!   the same contents and modes every way.
//! - [`confined`]: in front of [`root_like`]: what would reach a network, other processes, another name space
//!   or the kernel around the other filters does not exist. AF_VSOCK, say, is in no name space, and leads to
//!   the host of a virtual machine.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Compare,
    SeccompCondition as Condition, SeccompFilter, SeccompRule as Rule, TargetArch, sock_filter,
};

use super::Filter;

mod calls;

impl Filter {
    /// Returns the programs to install, in this order, for a program that is given a terminal or not.
    pub(super) fn programs(self, terminal: bool) -> Vec<BpfProgram> {
        match self {
            Filter::None => Vec::new(),
            Filter::Grain if terminal => grain(),
            Filter::Grain => [grain(), vec![without_terminals()]].concat(),
        }
    }
}

/// The flags of `clone(2)` that make name spaces.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Returns the filters of a grain; the last decides last, but the strictest result holds (`seccomp(2)`).
fn grain() -> Vec<BpfProgram> {
    let condition = |argument, compare, value| {
        Condition::new(argument, Length::Dword, compare, value).expect("there are six arguments")
    };
    let rule = |conditions: Vec<Condition>| Rule::new(conditions).expect("a rule has conditions");

    let listed = calls::GRAIN.iter().map(|call| (*call, Vec::new())).collect();
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
    let strange = vec![rule(families.map(|family| condition(0, Compare::Ne, family as u64)).to_vec())];
    // `SOCK_PACKET`, which makes AF_INET another family.
    const PACKET: i32 = 10;
    // All types but streams and datagrams; all protocols but the usual ones (of AF_UNIX, 1 is the only one,
    // else that is ICMP).
    let types = [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, PACKET];
    let mut odd = types.map(|kind| rule(vec![condition(1, Compare::MaskedEq(0xf), kind as u64)])).to_vec();
    let protocols = [0, 1, libc::IPPROTO_TCP, libc::IPPROTO_UDP];
    odd.push(rule(protocols.map(|protocol| condition(2, Compare::Ne, protocol as u64)).to_vec()));
    odd.push(rule(vec![condition(0, Compare::Ne, libc::AF_UNIX as u64), condition(2, Compare::Eq, 1)]));
    let sockets =
        |rules: Vec<Rule>| BTreeMap::from([(libc::SYS_socket, rules.clone()), (libc::SYS_socketpair, rules)]);
    let clones = NAMESPACES
        .map(|flag| rule(vec![condition(0, Compare::MaskedEq(flag as u32 as u64), flag as u32 as u64)]))
        .to_vec();
    // Typing into the terminal of a program that attached to the grain, and drawing on the console.
    let terminals = [libc::TIOCSTI, libc::TIOCLINUX]
        .map(|request| rule(vec![condition(1, Compare::Eq, request)]))
        .to_vec();
    // Calls that make a fault of the app easier to use, as in Docker's list; -1 only queries.
    let personalities = [libc::READ_IMPLIES_EXEC, libc::ADDR_NO_RANDOMIZE]
        .map(|flag| {
            let has = condition(0, Compare::MaskedEq(flag as u64), flag as u64);
            rule(vec![has, condition(0, Compare::Ne, u64::from(u32::MAX))])
        })
        .to_vec();
    vec![
        filter(listed, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow),
        filter(sockets(odd), SeccompAction::Allow, SeccompAction::Errno(libc::EPROTONOSUPPORT as u32)),
        filter(sockets(strange), SeccompAction::Allow, SeccompAction::Errno(libc::EAFNOSUPPORT as u32)),
        filter(other_ids(), SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32)),
        filter(
            BTreeMap::from([
                (libc::SYS_clone, clones),
                (libc::SYS_ioctl, terminals),
                (libc::SYS_personality, personalities),
            ]),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM as u32),
        ),
    ]
}

/// Returns the rules that match whatever makes a file that runs with its owner's ids (setuid, setgid).
/// Inside, such a file is like any other; on the host another user could run it.
fn other_ids() -> BTreeMap<c_long, Vec<Rule>> {
    let bits = [libc::S_ISUID, libc::S_ISGID];
    let has = |argument, bit: u32| {
        Condition::new(argument, Length::Dword, Compare::MaskedEq(u64::from(bit)), u64::from(bit))
            .expect("there are six arguments")
    };
    let rule = |conditions: Vec<Condition>| Rule::new(conditions).expect("a rule has conditions");
    let modes = [
        (libc::SYS_chmod, 1),
        (libc::SYS_fchmod, 1),
        (libc::SYS_fchmodat, 2),
        (libc::SYS_fchmodat2, 2),
        (libc::SYS_creat, 1),
        (libc::SYS_mknod, 1),
        (libc::SYS_mknodat, 2),
        (libc::SYS_mkdir, 1),
        (libc::SYS_mkdirat, 2),
    ];
    let mut rules: BTreeMap<c_long, Vec<Rule>> =
        modes.map(|(call, mode)| (call, bits.map(|bit| rule(vec![has(mode, bit)])).to_vec())).into();
    // Their mode counts, and may be anything else, only where they make a file.
    for (call, flags) in [(libc::SYS_open, 1), (libc::SYS_openat, 2)] {
        let making = [libc::O_CREAT as u32, libc::O_TMPFILE as u32 & !(libc::O_DIRECTORY as u32)];
        let each =
            making.iter().flat_map(|flag| bits.map(|bit| rule(vec![has(flags, *flag), has(flags + 1, bit)])));
        rules.insert(call, each.collect());
    }
    rules
}

/// Returns the filter that replies, where there are no terminals, whether something is one. Python queries
/// that for every file that it opens, and in a view the kernel would pass the question on to us.
fn without_terminals() -> BpfProgram {
    let rule = |request| {
        let asked = Condition::new(1, Length::Dword, Compare::Eq, request).expect("there are six arguments");
        Rule::new(vec![asked]).expect("a rule has conditions")
    };
    // The second, of `asm-generic/ioctls.h`, is the call of glibc from 2.42 on.
    let rules = [libc::TCGETS, 0x802c_542a].map(rule).to_vec();
    let rules = BTreeMap::from([(libc::SYS_ioctl, rules)]);
    filter(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOTTY as u32))
}

fn filter(
    rules: BTreeMap<c_long, Vec<Rule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> BpfProgram {
    SeccompFilter::new(rules, otherwise, matched, TargetArch::x86_64)
        .and_then(TryInto::try_into)
        .expect("the lists above fit into a filter")
}

// Of `linux/audit.h`: machine number with the bits for 64 bit and little endian.
const ARCHITECTURE_X86_64: u32 = 62 | 0xc000_0000;
const ARCHITECTURE_I386: u32 = 3 | 0x4000_0000;

// Offsets in `struct seccomp_data`; arguments are of 8 bytes, the low half first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// "It is done", without doing it: the error number 0.
const DONE: u32 = libc::SECCOMP_RET_ERRNO;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// Returns the filter for programs that are root in some way, with other ids or without. It knows the 32-bit
/// calls of the machine as well; a maintainer script may run such a program.
pub(super) fn root_like(has_owners: bool) -> BpfProgram {
    let (mut native, mut old) = (calls::FAKED_SYNC.to_vec(), calls::FAKED_SYNC_I386.to_vec());
    if !has_owners {
        native.extend(calls::FAKED);
        old.extend(calls::FAKED_I386);
    }
    let (native, old) = (faked(&native, calls::FAKED_MKNOD), faked(&old, calls::FAKED_MKNOD_I386));
    let mut program = vec![load(ARCHITECTURE)];
    program.push(jump_unless_equal(ARCHITECTURE_X86_64, native.len()));
    program.extend(native);
    program.push(jump_unless_equal(ARCHITECTURE_I386, old.len()));
    program.extend(old);
    program.push(answer(ALLOW));
    program
}

/// Fakes these calls, and of the two that make nodes (number, which argument is the mode) devices only.
fn faked(numbers: &[u32], nodes: [(u32, u32); 2]) -> Vec<sock_filter> {
    let mut program = vec![load(NUMBER)];
    for number in numbers {
        program.extend([jump_unless_equal(*number, 1), answer(DONE)]);
    }
    for (number, mode) in nodes {
        let device = [
            load(ARGUMENTS + 8 * mode),
            statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, libc::S_IFMT),
            jump_unless_equal(libc::S_IFCHR, 1),
            answer(DONE),
            jump_unless_equal(libc::S_IFBLK, 1),
            answer(DONE),
            answer(ALLOW),
        ];
        program.push(jump_unless_equal(number, device.len()));
        program.extend(device);
    }
    program.push(answer(ALLOW));
    program
}

/// Where [`confined`] confines to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confined {
    /// To name spaces: the network of these is a loopback interface.
    NameSpaces,
    /// To a chroot, where the network, the processes and process 1 are the host's.
    Chroot,
}

/// Returns the filter that keeps root inside from what leads around name spaces, or, in a chroot, from what
/// those would keep it from: sockets but those of the file system and of a loopback interface (nor netlink
/// and so the audit log), new name spaces, looking into processes, in a chroot signals to all processes and
/// to process 1. Numbers beyond the usual, those of x32, would get around the others.
pub(super) fn confined(to: Confined) -> BpfProgram {
    let error = |errno: i32| answer(libc::SECCOMP_RET_ERRNO | errno as u32);
    let sockets = |call: u32| {
        let mut part = vec![load(ARGUMENTS), jump_unless_equal(libc::AF_UNIX as u32, 1), answer(ALLOW)];
        let usual = [
            load(ARGUMENTS + 8),
            statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xf),
            jump_unless_equal(libc::SOCK_STREAM as u32, 1),
            answer(ALLOW),
            jump_unless_equal(libc::SOCK_DGRAM as u32, 1),
            answer(ALLOW),
            error(libc::ESOCKTNOSUPPORT),
        ];
        if to == Confined::NameSpaces {
            for family in [libc::AF_INET, libc::AF_INET6] {
                part.push(jump_unless_equal(family as u32, usual.len()));
                part.extend(usual.iter().cloned());
            }
        }
        part.push(error(libc::EAFNOSUPPORT));
        (call, part)
    };
    let namespaces = NAMESPACES.iter().fold(0, |all, flag| all | *flag as u32);
    let no_namespaces = |call: u32| {
        let mask = statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, namespaces);
        (call, vec![load(ARGUMENTS), mask, jump_unless_equal(0, 1), answer(ALLOW), error(libc::EPERM)])
    };
    let not_all = |call: u32| {
        let all = [jump_unless_equal(u32::MAX, 1), error(libc::EPERM)];
        let first = [jump_unless_equal(1, 1), error(libc::EPERM), answer(ALLOW)];
        (call, [vec![load(ARGUMENTS)], all.to_vec(), first.to_vec()].concat())
    };
    let gone = |call: &u32| (*call, vec![error(libc::ENOSYS)]);

    let mut native = [libc::SYS_socket, libc::SYS_socketpair].map(|call| sockets(call as u32)).to_vec();
    native.extend([libc::SYS_clone, libc::SYS_unshare].map(|call| no_namespaces(call as u32)));
    native.extend(calls::UNCONFINED.iter().map(gone));
    let mut old = vec![sockets(359), sockets(360), no_namespaces(120), no_namespaces(310)];
    if to == Confined::Chroot {
        native.push(not_all(libc::SYS_kill as u32));
        old.push(not_all(37));
    }
    old.extend(calls::UNCONFINED_I386.iter().map(gone));

    let native = [vec![load(NUMBER), below(0x4000_0000), error(libc::ENOSYS)], chosen(native)].concat();
    let old = [vec![load(NUMBER)], chosen(old)].concat();
    let mut program = vec![load(ARCHITECTURE), jump_unless_equal(ARCHITECTURE_X86_64, native.len())];
    program.extend(native);
    program.push(jump_unless_equal(ARCHITECTURE_I386, old.len()));
    program.extend(old);
    program.push(error(libc::ENOSYS));
    program
}

/// Rules on these calls as their parts do, and allows all others; the number is loaded.
fn chosen(parts: Vec<(u32, Vec<sock_filter>)>) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for (number, part) in parts {
        program.push(jump_unless_equal(number, part.len()));
        program.extend(part);
    }
    program.push(answer(ALLOW));
    program
}

/// Skips the next instruction for a value below this one.
fn below(value: u32) -> sock_filter {
    sock_filter { jf: 1, ..statement(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, value) }
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn answer(value: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, value)
}

fn jump_unless_equal(value: u32, over: usize) -> sock_filter {
    let over = u8::try_from(over).expect("these parts are short");
    sock_filter { jf: over, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter as the kernel would, on `seccomp_data`.
    fn answer_of(program: &[sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(number.to_le_bytes());
        data.extend(architecture.to_le_bytes());
        data.extend([0; 8]);
        data.extend(arguments.iter().flat_map(|a| a.to_le_bytes()));
        let (mut at, mut accumulator) = (0, 0_u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let jump = |taken: bool| usize::from(if taken { jt } else { jf });
            let code = u32::from(code);
            at += 1;
            if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS {
                let bytes = data[k as usize..][..4].try_into().expect("four bytes");
                accumulator = u32::from_le_bytes(bytes);
            } else if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K {
                accumulator &= k;
            } else if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K {
                at += jump(accumulator == k);
            } else if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K {
                at += jump(accumulator >= k);
            } else if code == libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K {
                at += jump(accumulator > k);
            } else if code & 0x07 == libc::BPF_JMP {
                assert_eq!(code & 0xf0, libc::BPF_JA, "an instruction of these filters");
                at += k as usize;
            } else {
                assert_eq!(code, libc::BPF_RET | libc::BPF_K, "an instruction of these filters");
                return k;
            }
        }
    }

    /// Of several filters the least permissive result counts; among errors and "allow" that is the error.
    fn answer_of_all(programs: &[BpfProgram], number: c_long, arguments: [u64; 6]) -> u32 {
        let answers = programs.iter().map(|p| answer_of(p, ARCHITECTURE_X86_64, number as u32, arguments));
        answers.min_by_key(|answer| answer & 0xffff_0000).expect("there are filters")
    }

    #[test]
    fn a_grain_may_do_what_servers_do() {
        let error = |errno: i32| libc::SECCOMP_RET_ERRNO | errno as u32;
        let (new_user, thread) = (libc::CLONE_NEWUSER as u64, libc::CLONE_THREAD as u64);
        let rows = [
            (libc::SYS_openat, [0; 6], ALLOW),
            (libc::SYS_clone, [thread, 0, 0, 0, 0, 0], ALLOW),
            (libc::SYS_clone, [new_user | libc::SIGCHLD as u64, 0, 0, 0, 0, 0], error(libc::EPERM)),
            (libc::SYS_clone3, [0; 6], error(libc::ENOSYS)),
            (libc::SYS_socket, [libc::AF_INET6 as u64, 0, 0, 0, 0, 0], ALLOW),
            (libc::SYS_socket, [libc::AF_NETLINK as u64, 0, 0, 0, 0, 0], error(libc::EAFNOSUPPORT)),
            (libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0], error(libc::EPERM)),
            (libc::SYS_ioctl, [0, libc::FIONREAD, 0, 0, 0, 0], ALLOW),
            (libc::SYS_ioctl, [0, libc::TCGETS, 0, 0, 0, 0], error(libc::ENOTTY)),
            (libc::SYS_mount, [0; 6], error(libc::ENOSYS)),
            (libc::SYS_io_uring_setup, [0; 6], error(libc::ENOSYS)),
            (libc::SYS_ptrace, [0; 6], error(libc::ENOSYS)),
            // The x32 form of `read`.
            (0x4000_0000, [0; 6], error(libc::ENOSYS)),
        ];
        let programs = Filter::Grain.programs(false);
        for (number, arguments, expected) in rows {
            assert_eq!(answer_of_all(&programs, number, arguments), expected, "call {number} {arguments:?}");
        }
        assert_eq!(answer_of(&programs[0], ARCHITECTURE_I386, 5, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
        let at_a_terminal = Filter::Grain.programs(true);
        assert_eq!(answer_of_all(&at_a_terminal, libc::SYS_ioctl, [0, libc::TCGETS, 0, 0, 0, 0]), ALLOW);
    }

    #[test]
    fn owners_are_faked_for_both_kinds_of_programs_and_nodes_for_devices_only() {
        let program = root_like(false);
        let native =
            |number: c_long, arguments| answer_of(&program, ARCHITECTURE_X86_64, number as u32, arguments);
        assert_eq!(native(libc::SYS_fchownat, [0; 6]), DONE);
        assert_eq!(native(libc::SYS_setgroups, [0; 6]), DONE);
        assert_eq!(native(libc::SYS_chmod, [0; 6]), ALLOW);
        let mode = |kind: u32| u64::from(kind | 0o644);
        assert_eq!(native(libc::SYS_mknod, [0, mode(libc::S_IFBLK), 0, 0, 0, 0]), DONE);
        assert_eq!(native(libc::SYS_mknodat, [0, 0, mode(libc::S_IFCHR), 0, 0, 0]), DONE);
        assert_eq!(native(libc::SYS_mknodat, [0, 0, mode(libc::S_IFIFO), 0, 0, 0]), ALLOW);
        assert_eq!(answer_of(&program, ARCHITECTURE_I386, 212, [0; 6]), DONE);
        assert_eq!(answer_of(&program, ARCHITECTURE_I386, 15, [0; 6]), ALLOW);
        assert_eq!(answer_of(&program, ARCHITECTURE_I386, 92, [0; 6]), ALLOW);
        assert_eq!(answer_of(&program, 0xc000_00b7, 92, [0; 6]), ALLOW);
        let program = root_like(true);
        let native =
            |number: c_long, arguments| answer_of(&program, ARCHITECTURE_X86_64, number as u32, arguments);
        assert_eq!(native(libc::SYS_fchownat, [0; 6]), ALLOW);
        assert_eq!(native(libc::SYS_fsync, [0; 6]), DONE);
        assert_eq!(native(libc::SYS_mknod, [0, mode(libc::S_IFBLK), 0, 0, 0, 0]), DONE);
    }
    #[test]
    fn root_in_a_chroot_reaches_no_network_and_no_other_processes() {
        let program = confined(Confined::Chroot);
        let error = |errno: i32| libc::SECCOMP_RET_ERRNO | errno as u32;
        let first = |value: u64| [value, 0, 0, 0, 0, 0];
        let (user, all) = (libc::CLONE_NEWUSER as u64, u64::from(u32::MAX));
        let rows = [
            (libc::SYS_socket as u32, first(libc::AF_UNIX as u64), ALLOW),
            (libc::SYS_socket as u32, first(libc::AF_INET as u64), error(libc::EAFNOSUPPORT)),
            (libc::SYS_socket as u32, first(libc::AF_NETLINK as u64), error(libc::EAFNOSUPPORT)),
            (libc::SYS_clone as u32, first(libc::SIGCHLD as u64), ALLOW),
            (libc::SYS_clone as u32, first(user | libc::SIGCHLD as u64), error(libc::EPERM)),
            (libc::SYS_unshare as u32, first(user), error(libc::EPERM)),
            (libc::SYS_clone3 as u32, [0; 6], error(libc::ENOSYS)),
            (libc::SYS_kill as u32, first(7), ALLOW),
            (libc::SYS_kill as u32, first(all), error(libc::EPERM)),
            (libc::SYS_kill as u32, first(1), error(libc::EPERM)),
            (libc::SYS_ptrace as u32, [0; 6], error(libc::ENOSYS)),
            (libc::SYS_io_uring_setup as u32, [0; 6], error(libc::ENOSYS)),
            (libc::SYS_openat as u32, [0; 6], ALLOW),
            // The x32 form of `socket`.
            (0x4000_0000 | libc::SYS_socket as u32, first(libc::AF_INET as u64), error(libc::ENOSYS)),
        ];
        for (number, arguments, expected) in rows {
            let answer = answer_of(&program, ARCHITECTURE_X86_64, number, arguments);
            assert_eq!(answer, expected, "call {number} {arguments:?}");
        }
        let old = |number, argument| answer_of(&program, ARCHITECTURE_I386, number, first(argument));
        assert_eq!(old(359, libc::AF_INET as u64), error(libc::EAFNOSUPPORT));
        assert_eq!(old(102, 1), error(libc::ENOSYS));
        assert_eq!(old(5, 0), ALLOW);
        assert_eq!(answer_of(&program, 0xc000_00b7, 198, first(libc::AF_INET as u64)), error(libc::ENOSYS));
    }
}
