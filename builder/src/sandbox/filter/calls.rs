//! Lists of system calls, by what they are for.
//!
//! Not listed for a grain, on purpose: what mounts or makes name spaces, `clone3` (its flags lie in memory,
//! out of a filter's sight; glibc goes back to `clone`), `ptrace` and reading other processes' memory, `bpf`,
//! `perf_event_open`, `userfaultfd`, keyrings, `io_uring_*`, `open_by_handle_at`, the kernel's log, modules,
//! clock, swap, quotas and reboot.

use libc::c_long;

/// The calls that a grain may make: those that PHP, nginx, MariaDB, PostgreSQL, Python, Perl, Node.js, Java
/// and git were seen to need, and their like.
#[rustfmt::skip]
pub(super) const GRAIN: &[c_long] = &[
    // Files and directories.
    libc::SYS_read, libc::SYS_write, libc::SYS_open, libc::SYS_close, libc::SYS_stat, libc::SYS_fstat,
    libc::SYS_lstat, libc::SYS_lseek, libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_readv, libc::SYS_writev,
    libc::SYS_access, libc::SYS_dup, libc::SYS_fcntl, libc::SYS_flock, libc::SYS_fsync, libc::SYS_fdatasync,
    libc::SYS_truncate, libc::SYS_ftruncate, libc::SYS_getdents, libc::SYS_getdents64, libc::SYS_getcwd,
    libc::SYS_chdir, libc::SYS_fchdir, libc::SYS_rename, libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_creat,
    libc::SYS_link, libc::SYS_unlink, libc::SYS_symlink, libc::SYS_readlink, libc::SYS_chmod, libc::SYS_fchmod,
    libc::SYS_chown, libc::SYS_fchown, libc::SYS_lchown, libc::SYS_umask, libc::SYS_mknod, libc::SYS_statfs,
    libc::SYS_fstatfs, libc::SYS_sync, libc::SYS_readahead, libc::SYS_setxattr, libc::SYS_lsetxattr,
    libc::SYS_fsetxattr, libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr, libc::SYS_listxattr,
    libc::SYS_llistxattr, libc::SYS_flistxattr, libc::SYS_removexattr, libc::SYS_lremovexattr,
    libc::SYS_fremovexattr, libc::SYS_sendfile, libc::SYS_fadvise64, libc::SYS_utime, libc::SYS_utimes,
    libc::SYS_futimesat, libc::SYS_openat, libc::SYS_mkdirat, libc::SYS_mknodat, libc::SYS_fchownat,
    libc::SYS_newfstatat, libc::SYS_unlinkat, libc::SYS_renameat, libc::SYS_linkat, libc::SYS_symlinkat,
    libc::SYS_readlinkat, libc::SYS_fchmodat, libc::SYS_faccessat, libc::SYS_splice, libc::SYS_tee,
    libc::SYS_sync_file_range, libc::SYS_vmsplice, libc::SYS_utimensat, libc::SYS_fallocate, libc::SYS_preadv,
    libc::SYS_pwritev, libc::SYS_dup2, libc::SYS_dup3, libc::SYS_pipe, libc::SYS_pipe2, libc::SYS_ioctl,
    libc::SYS_inotify_init, libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch, libc::SYS_inotify_init1,
    libc::SYS_name_to_handle_at, libc::SYS_syncfs, libc::SYS_renameat2, libc::SYS_copy_file_range,
    libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_statx, libc::SYS_faccessat2,
    libc::SYS_close_range, libc::SYS_ustat, libc::SYS_fchmodat2,
    // Waiting.
    libc::SYS_poll, libc::SYS_select, libc::SYS_pselect6, libc::SYS_ppoll, libc::SYS_epoll_create,
    libc::SYS_epoll_ctl, libc::SYS_epoll_wait, libc::SYS_epoll_pwait, libc::SYS_epoll_create1,
    libc::SYS_epoll_pwait2, libc::SYS_eventfd, libc::SYS_eventfd2, libc::SYS_signalfd, libc::SYS_signalfd4,
    libc::SYS_timerfd_create, libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime, libc::SYS_pause,
    libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_futex, libc::SYS_futex_waitv,
    // Memory.
    libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_brk, libc::SYS_mremap, libc::SYS_msync,
    libc::SYS_mincore, libc::SYS_madvise, libc::SYS_mlock, libc::SYS_munlock, libc::SYS_mlockall,
    libc::SYS_munlockall, libc::SYS_mlock2, libc::SYS_remap_file_pages, libc::SYS_memfd_create,
    libc::SYS_membarrier, libc::SYS_mbind, libc::SYS_set_mempolicy, libc::SYS_get_mempolicy,
    libc::SYS_pkey_mprotect, libc::SYS_pkey_alloc, libc::SYS_pkey_free, libc::SYS_process_madvise,
    // Processes and threads.
    libc::SYS_clone, libc::SYS_fork, libc::SYS_vfork, libc::SYS_execve, libc::SYS_execveat, libc::SYS_exit,
    libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid, libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill,
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getpgid, libc::SYS_setpgid, libc::SYS_getpgrp,
    libc::SYS_setsid, libc::SYS_getsid, libc::SYS_set_tid_address, libc::SYS_set_robust_list,
    libc::SYS_get_robust_list, libc::SYS_rseq, libc::SYS_arch_prctl, libc::SYS_prctl, libc::SYS_personality,
    libc::SYS_sched_yield, libc::SYS_sched_setparam, libc::SYS_sched_getparam, libc::SYS_sched_setscheduler,
    libc::SYS_sched_getscheduler, libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min,
    libc::SYS_sched_rr_get_interval, libc::SYS_sched_setaffinity, libc::SYS_sched_getaffinity,
    libc::SYS_sched_setattr, libc::SYS_sched_getattr, libc::SYS_getpriority, libc::SYS_setpriority,
    libc::SYS_ioprio_set, libc::SYS_ioprio_get, libc::SYS_getrlimit, libc::SYS_setrlimit, libc::SYS_prlimit64,
    libc::SYS_getrusage, libc::SYS_times, libc::SYS_sysinfo, libc::SYS_uname, libc::SYS_getcpu,
    libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_restart_syscall, libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self,
    libc::SYS_alarm, libc::SYS_getitimer, libc::SYS_setitimer,
    // Signals.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_sigsuspend, libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sigaltstack,
    // Who one is; the kernel decides what may change.
    libc::SYS_getuid, libc::SYS_getgid, libc::SYS_geteuid, libc::SYS_getegid, libc::SYS_setuid, libc::SYS_setgid,
    libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_getgroups, libc::SYS_setgroups, libc::SYS_setresuid,
    libc::SYS_getresuid, libc::SYS_setresgid, libc::SYS_getresgid, libc::SYS_setfsuid, libc::SYS_setfsgid,
    libc::SYS_capget, libc::SYS_capset,
    // Time.
    libc::SYS_time, libc::SYS_gettimeofday, libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_timer_create,
    libc::SYS_timer_settime, libc::SYS_timer_gettime, libc::SYS_timer_getoverrun, libc::SYS_timer_delete,
    // Sockets; families are in a filter of their own.
    libc::SYS_socket, libc::SYS_connect, libc::SYS_accept, libc::SYS_accept4, libc::SYS_sendto, libc::SYS_recvfrom,
    libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_shutdown,
    libc::SYS_bind, libc::SYS_listen, libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_socketpair,
    libc::SYS_setsockopt, libc::SYS_getsockopt,
    // System V and POSIX messages, semaphores and shared memory, of the sandbox's own.
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl, libc::SYS_shmdt, libc::SYS_semget, libc::SYS_semop,
    libc::SYS_semctl, libc::SYS_semtimedop, libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl,
    libc::SYS_mq_open, libc::SYS_mq_unlink, libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive, libc::SYS_mq_notify,
    libc::SYS_mq_getsetattr,
    // Asynchronous files (InnoDB).
    libc::SYS_io_setup, libc::SYS_io_destroy, libc::SYS_io_getevents, libc::SYS_io_submit, libc::SYS_io_cancel,
   
    // Other.
    libc::SYS_getrandom,
];

/// Calls that wait for the disk.
#[rustfmt::skip]
pub(super) const FAKED_SYNC: [u32; 5] = [
    libc::SYS_fsync as u32, libc::SYS_fdatasync as u32, libc::SYS_sync as u32, libc::SYS_syncfs as u32,
    libc::SYS_sync_file_range as u32,
];

/// [`FAKED_SYNC`] for 32-bit programs.
pub(super) const FAKED_SYNC_I386: [u32; 5] = [118, 148, 36, 344, 314];

/// Calls that a single id fakes: owners, ids, capabilities.
#[rustfmt::skip]
pub(super) const FAKED: [u32; 14] = [
    libc::SYS_chown as u32, libc::SYS_fchown as u32, libc::SYS_lchown as u32, libc::SYS_fchownat as u32,
    libc::SYS_setuid as u32, libc::SYS_setgid as u32, libc::SYS_setgroups as u32, libc::SYS_setreuid as u32,
    libc::SYS_setregid as u32, libc::SYS_setresuid as u32, libc::SYS_setresgid as u32, libc::SYS_setfsuid as u32,
    libc::SYS_setfsgid as u32, libc::SYS_capset as u32,
];

/// Calls that make nodes, and which argument is the mode.
pub(super) const FAKED_MKNOD: [(u32, u32); 2] = [(libc::SYS_mknod as u32, 1), (libc::SYS_mknodat as u32, 2)];

/// [`FAKED`] for 32-bit programs (`arch/x86/entry/syscalls/syscall_32.tbl`).
#[rustfmt::skip]
pub(super) const FAKED_I386: [u32; 26] = [
    // lchown, fchown, chown; lchown32, fchown32, chown32; fchownat
    16, 95, 182, 198, 207, 212, 298,
    // setuid, setgid, setreuid, setregid, setgroups, setfsuid, setfsgid, setresuid, setresgid
    23, 46, 70, 71, 81, 138, 139, 164, 170,
    // the same in that order but for their 32 bits
    213, 214, 203, 204, 206, 215, 216, 208, 210,
    // capset
    185,
];

/// [`FAKED_MKNOD`] for 32-bit programs.
pub(super) const FAKED_MKNOD_I386: [(u32, u32); 2] = [(14, 1), (297, 2)];

/// Calls that maintainer scripts do without: they look into other processes, make sockets and name spaces
/// that the filter cannot judge, or lead to parts of the kernel that no script needs. Where `clone3` does not
/// exist, C libraries take `clone`.
#[rustfmt::skip]
pub(super) const UNCONFINED: [u32; 16] = [
    libc::SYS_ptrace as u32, libc::SYS_process_vm_readv as u32, libc::SYS_process_vm_writev as u32,
    libc::SYS_pidfd_getfd as u32, libc::SYS_kcmp as u32, libc::SYS_process_madvise as u32,
    libc::SYS_io_uring_setup as u32, libc::SYS_clone3 as u32, libc::SYS_setns as u32,
    libc::SYS_keyctl as u32, libc::SYS_add_key as u32, libc::SYS_request_key as u32,
    libc::SYS_userfaultfd as u32, libc::SYS_memfd_secret as u32, libc::SYS_bpf as u32, libc::SYS_perf_event_open as u32,
];

/// [`UNCONFINED`] for 32-bit programs, and `socketcall`, whose arguments lie in memory.
pub(super) const UNCONFINED_I386: [u32; 17] =
    [26, 347, 348, 438, 349, 440, 425, 435, 346, 288, 286, 287, 374, 447, 357, 336, 102];
