//! Names of hosts and users in a static program.

/// Makes a static program look up hosts in `/etc/hosts` and by DNS, users and groups in `/etc`, with glibc's
/// own code (since 2.34).
///
/// As `nsswitch.conf(5)` has it, glibc would load the libraries of other services, such as
/// `libnss_systemd.so.2`, and with them the host's libc: into a static program that is a crash where that
/// libc is another. Does nothing in a dynamic program. To be called before the first look-up.
pub fn use_built_in_services() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    {
        unsafe extern "C" {
            /// `<nss.h>`: overrides the lines of nsswitch.conf; keeps the second text by its address.
            fn __nss_configure_lookup(
                database: *const libc::c_char,
                services: *const libc::c_char,
            ) -> libc::c_int;
        }
        for (database, services) in [(c"hosts", c"files dns"), (c"passwd", c"files"), (c"group", c"files")] {
            // SAFETY: Both are texts that end with a zero and live as long as the program.
            unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
        }
    }
}
