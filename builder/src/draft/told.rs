//! What README.Debian and desktop entries tell a person: the address of the app, and its first user.

use std::sync::LazyLock;

use regex::Regex;

use super::shipped::{Place, Shipped};

/// The address of an app, as a text for people has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As it is written.
    pub url: String,
    /// Its port, where it names one.
    pub port: Option<u16>,
    /// Its path.
    pub path: String,
    /// Where it stands.
    pub place: Place,
}

/// A URL of this machine, or of one whose name a reader is to fill in.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let host = r"localhost|127\.0\.0\.1|\[::1\]|[<\[{]?(?:your[-_. ]?|my[-_.]?)?(?:server|host|hostname|machine|fqdn)(?:[-_.]?name)?[>\]}]?";
    Regex::new(&format!(r#"(?i)https?://(?:{host})(?::(\d{{2,5}}))?(/[^\s<>"'`),;]*)?(?:[\s<>"'`),;.]|$)"#))
        .expect("compiles")
});

/// How many lines are told of.
const MOST: usize = 3;

fn is_told(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.starts_with("README.Debian") || name.ends_with(".desktop")
}

/// Returns the addresses that texts for people name, each once.
pub fn addresses(shipped: &Shipped) -> Vec<Address> {
    let mut out: Vec<Address> = Vec::new();
    for found in shipped.texts(is_told) {
        for (at, line) in found.text.lines().enumerate() {
            for url in ADDRESS.captures_iter(line) {
                let path = url.get(2).map_or("/", |path| path.as_str().trim_end_matches('.')).to_owned();
                let port = url.get(1).and_then(|port| port.as_str().parse().ok());
                if !out.iter().any(|known| (known.port, &known.path) == (port, &path)) {
                    let text =
                        url[0].trim_end_matches(|c: char| c.is_whitespace() || "<>\"'`),;.".contains(c));
                    out.push(Address { url: text.to_owned(), port, path, place: found.at(at + 1) });
                }
            }
        }
    }
    out
}

/// Returns comments for a recipe: addresses, and lines that tell of a first user or password.
pub fn comments(shipped: &Shipped) -> Vec<String> {
    let addresses = addresses(shipped);
    let addresses =
        addresses.iter().take(MOST).map(|address| format!("{} names {}", address.place, address.url));
    let mut users = Vec::new();
    for found in shipped.texts(|path| path.contains("/README.Debian")) {
        for (at, line) in found.text.lines().enumerate() {
            let lower = line.to_ascii_lowercase();
            let is_first = ["default", "initial", "first"].iter().any(|word| lower.contains(word));
            if is_first && ["password", "passwd", "login"].iter().any(|word| lower.contains(word)) {
                users.push(format!("{}: {}", found.at(at + 1), crate::shown::line(line.trim())));
            }
        }
    }
    users.truncate(MOST);
    addresses.chain(users).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_first_users_are_told_with_their_lines() {
        let readme = "Tea for Debian\n\nPoint your browser to http://localhost:3142/tea-report.html.\n\
                      The default login is admin with password tea.\nSee http://www.example.org/ and http://your-server/tea/\n";
        let desktop = "[Desktop Entry]\nExec=xdg-open http://127.0.0.1:3142/\n";
        let files = [
            ("/usr/share/doc/tea/README.Debian", readme),
            ("/usr/share/applications/tea.desktop", desktop),
            ("/usr/share/doc/tea/examples/x", "http://localhost:1/"),
        ];
        let shipped = Shipped::made("tea", &[], &files);
        let found: Vec<(Option<u16>, String)> =
            addresses(&shipped).into_iter().map(|address| (address.port, address.path)).collect();
        assert_eq!(
            found,
            [(Some(3142), "/".into()), (Some(3142), "/tea-report.html".into()), (None, "/tea/".into())]
        );
        let comments = comments(&shipped);
        assert_eq!(
            comments[1],
            "tea: /usr/share/doc/tea/README.Debian:3 names http://localhost:3142/tea-report.html"
        );
        assert_eq!(
            comments[3],
            "tea: /usr/share/doc/tea/README.Debian:4: The default login is admin with password tea."
        );
    }
}
