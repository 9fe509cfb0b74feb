//! Whose connections are served: a port of the loopback is open to all users of a machine.

use std::net::TcpStream;

use crate::sys;

/// Users whose connections are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// These alone.
    Users(Vec<u32>),
    /// All.
    Any,
}

impl Callers {
    /// Returns the user who runs this process, root, who may do as any user anyway, and, where root runs it
    /// by `sudo`, who asked for that.
    pub fn own() -> Self {
        let own = rustix::process::getuid().as_raw();
        Callers::of(own, std::env::var("SUDO_UID").ok().as_deref())
    }

    fn of(own: u32, sudo: Option<&str>) -> Self {
        let asked = sudo.filter(|_| own == 0).and_then(|user| user.parse().ok());
        Callers::Users([Some(0), Some(own), asked].into_iter().flatten().collect())
    }

    /// Returns whether a connection is served.
    pub fn admit(&self, client: &TcpStream) -> bool {
        match self {
            Callers::Any => true,
            Callers::Users(users) => {
                let user = sys::peer::user_of_peer(client).ok().flatten();
                user.is_some_and(|user| users.contains(&user))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_root_by_sudo_is_served() {
        assert_eq!(Callers::of(1000, Some("33")), Callers::Users(vec![0, 1000]));
        assert_eq!(Callers::of(0, Some("1000")), Callers::Users(vec![0, 0, 1000]));
        assert_eq!(Callers::of(0, Some("x")), Callers::Users(vec![0, 0]));
    }
}
