//! The readers of files and output of dpkg and maintainer scripts, as functions that take anything
//! ([`testing::readers`](crate::testing::READERS)).

use super::{clean, dpkg_status, java_keystore};
use crate::progress::{Progress, Unit};

/// A key store of Java: all that is changed of one is its times.
pub(crate) fn key_store(bytes: &[u8]) {
    // The sum at its end is made good, so that the bytes before it are parsed.
    for mut store in [bytes.to_vec(), java_keystore::with_sum(bytes)] {
        let before = store.clone();
        match java_keystore::restamp(&mut store, 1_700_000_000) {
            true => {
                assert_eq!(store.len(), before.len());
                let again = store.clone();
                assert!(java_keystore::restamp(&mut store, 1_700_000_000));
                assert_eq!(store, again);
            }
            false => assert_eq!(store, before),
        }
    }
}

/// dpkg's output, with the output of scripts in it; lists of owners and of diversions.
pub(crate) fn dpkg(bytes: &[u8]) {
    let progress = Progress::silent();
    let task = progress.task("configuring packages", 2, Unit::Items);
    let mut follower = dpkg_status::Follower::new(&task, &progress, vec!["/proc", "/dev"]);
    let exit = follower.read(bytes).expect("memory can be read");
    assert!(follower.missed("/proc").iter().all(|line| line.contains("/proc/")));
    let _ = follower.conclude(exit.unwrap_or(crate::sandbox::Exit::Code(1)));
    let _ = clean::parse_owned(bytes);
    clean::parse_diversions(&String::from_utf8_lossy(bytes));
}
