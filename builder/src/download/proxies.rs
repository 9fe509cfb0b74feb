//! Which proxy a mirror is reached through, by apt's configuration and by the environment, in apt's order.
//!
//! For a host: `Acquire::http::Proxy::HOST`, then `Acquire::http::Proxy`, then the variable `http_proxy`;
//! `DIRECT` means no proxy, and so is any for a host in `no_proxy`. For https each is looked for under
//! `https` first. Source: apt.conf(5), apt-transport-http(1), apt's http method. `Proxy-Auto-Detect` is a
//! program, and none is run for it.

use std::{
    collections::BTreeMap,
    env, fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use super::without_password;
use crate::{
    files,
    formats::apt_conf::{self, Setting},
};

/// Where requests go through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Settings of apt's below `Acquire::http` and `Acquire::https`.
    settings: BTreeMap<String, String>,
    /// Variables of the environment, by their names in lower case.
    environment: BTreeMap<&'static str, Variable>,
}

/// A variable of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    /// Its name as it is set: `http_proxy` or `HTTP_PROXY`.
    name: String,
    value: String,
}

/// A proxy, and the setting that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Its URL, with the user name and password that it may have.
    pub url: String,
    /// A variable, or a setting of apt's.
    pub named_by: String,
}

impl fmt::Display for Via {
    /// Without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = without_password(&self.url);
        write!(f, "the proxy {} ({})", url.trim_end_matches('/'), self.named_by)
    }
}

/// The variables that count; capital letters count where small ones do not say anything, but for programs
/// that a web server starts, whose visitors could set `HTTP_PROXY`.
const VARIABLES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/// How deep `#include` may go.
const MOST_INCLUDES: usize = 8;

impl Proxies {
    /// Returns the proxies of this process' environment, and of no configuration.
    pub fn of_environment() -> Self {
        let named = |name: &'static str| {
            let capital = name != "http_proxy" || env::var_os("REQUEST_METHOD").is_none();
            let names = [Some(name.to_owned()), capital.then(|| name.to_uppercase())];
            let mut set = names.into_iter().flatten().filter_map(|name| Some((env::var(&name).ok()?, name)));
            let (value, own_name) = set.find(|(value, _)| !value.is_empty())?;
            Some((name, Variable { name: own_name, value }))
        };
        let environment = VARIABLES.into_iter().filter_map(named).collect();
        Proxies { settings: BTreeMap::new(), environment }
    }

    /// Returns the proxies of this process' environment and of apt's configuration in a directory such as
    /// `/etc/apt`: the file that `APT_CONFIG` names, `apt.conf.d`, and `apt.conf`, later ones above earlier
    /// ones.
    pub fn as_apt(directory: &Path) -> Self {
        let mut proxies = Proxies::of_environment();
        let mut files: Vec<PathBuf> = env::var_os("APT_CONFIG").map(PathBuf::from).into_iter().collect();
        let parts = files::list(directory.join("apt.conf.d")).into_iter().flatten();
        let mut parts: Vec<PathBuf> = parts
            .filter(|entry| {
                entry.file_name().to_str().is_some_and(|name| apt_conf::is_read(name, &["", "conf"]))
            })
            .map(|entry| entry.path())
            .collect();
        parts.sort();
        files.extend(parts);
        files.push(directory.join("apt.conf"));
        files.iter().for_each(|file| proxies.read(file, MOST_INCLUDES));
        proxies
    }

    /// Takes in a file; one that cannot be read says nothing, as to apt when an ordinary user runs it.
    fn read(&mut self, file: &Path, includes: usize) {
        let Ok(text) = files::read(file) else { return };
        for setting in apt_conf::parse(&String::from_utf8_lossy(&text)) {
            match setting {
                Setting::Value { name, value } if name.starts_with("acquire::http") => {
                    self.settings.insert(name, value);
                }
                Setting::Value { .. } => {}
                Setting::Clear(name) => {
                    let below = format!("{}::", name.trim_end_matches(':'));
                    self.settings.retain(|other, _| *other != name && !other.starts_with(&below));
                }
                Setting::Include(other) if includes > 0 => self.read(Path::new(&other), includes - 1),
                Setting::Include(_) => {}
            }
        }
    }

    /// Returns the proxy for a scheme and a host; `None` for a direct connection.
    pub fn of(&self, scheme: &str, host: &str) -> Option<Via> {
        let host = host.to_ascii_lowercase();
        let schemes: &[&str] = if scheme == "https" { &["https", "http"] } else { &["http"] };
        let setting = |field: &str| {
            let named = |scheme: &&str| {
                let value = self.settings.get(&format!("acquire::{scheme}::{field}"));
                let value = value.filter(|value| !value.is_empty())?;
                Some((value, format!("Acquire::{scheme}::P{} of apt's configuration", field.get(1..)?)))
            };
            schemes.iter().find_map(named)
        };
        let variable = |name: &str| self.environment.get(name);
        let from_variables = || {
            let names = schemes.iter().map(|scheme| format!("{scheme}_proxy")).chain(["all_proxy".into()]);
            let found = names.into_iter().find_map(|name| variable(&name))?;
            Some((&found.value, found.name.clone()))
        };
        let (proxy, named_by) =
            setting(&format!("proxy::{host}")).or_else(|| setting("proxy")).or_else(from_variables)?;
        let direct = ["direct", "false"].iter().any(|word| proxy.eq_ignore_ascii_case(word));
        if direct || variable("no_proxy").is_some_and(|list| lists(&list.value, &host)) {
            return None;
        }
        let url = if proxy.contains("://") { proxy.clone() } else { format!("http://{proxy}") };
        Some(Via { url, named_by })
    }
}

/// Returns whether a list of ends of host names, and of networks, has a host in it.
fn lists(list: &str, host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    list.split(',').map(str::trim).filter(|end| !end.is_empty()).any(|end| {
        let end = end.to_ascii_lowercase();
        end == "*" || host.ends_with(&end) || address.is_some_and(|address| is_within(address, &end))
    })
}

/// Returns whether an address is in a network such as `10.0.0.0/8`.
fn is_within(address: IpAddr, network: &str) -> bool {
    let Some((base, length)) = network.split_once('/') else { return false };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let (base, address, bits) = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            (u128::from(base.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    length <= bits && (base ^ address).checked_shr(bits - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn proxies(files: &[(&str, &str)], environment: &[(&'static str, &str)]) -> Proxies {
        let directory = tempfile::tempdir().expect("a directory");
        let mut paths = Vec::new();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().expect("below")).expect("makes");
            fs::write(&path, text.replace("DIRECTORY", &directory.path().display().to_string()))
                .expect("writes");
            paths.push(path);
        }
        let variable = |value: &str, name: &str| Variable { name: name.into(), value: value.into() };
        let environment = environment.iter().map(|(name, value)| (*name, variable(value, name))).collect();
        Proxies { environment, ..Proxies::as_apt(directory.path()) }
    }

    fn url(via: Option<Via>) -> Option<String> {
        via.map(|via| via.url)
    }

    #[test]
    fn each_proxy_says_what_names_it_and_hides_its_password() {
        let conf =
            "Acquire::http::Proxy \"http://me:secret@conf:1/\"; Acquire::http::Proxy::own.org \"own:2\";";
        let all = proxies(&[("apt.conf", conf)], &[]);
        let shown = |proxies: &Proxies, host| proxies.of("http", host).map(|via| via.to_string());
        let named = |url: &str, by: &str| Some(format!("the proxy {url} ({by})"));
        let of = |name: &str| format!("{name} of apt's configuration");
        assert_eq!(shown(&all, "a"), named("http://conf:1", &of("Acquire::http::Proxy")));
        assert_eq!(shown(&all, "own.org"), named("http://own:2", &of("Acquire::http::Proxy::own.org")));
        let env = proxies(&[], &[("http_proxy", "http://env:1")]);
        assert_eq!(shown(&env, "a"), named("http://env:1", "http_proxy"));
    }

    #[test]
    fn the_configuration_goes_before_the_environment() {
        let conf = "Acquire::http::Proxy \"http://conf:1\";\nAcquire::http::Proxy::own.org \"DIRECT\";\n\
                    Acquire::http::Proxy::Other.org \"http://other:1\";\n";
        let both = proxies(&[("apt.conf", conf)], &[("http_proxy", "http://env:1"), ("no_proxy", "no.org")]);
        for (scheme, host, expected) in [
            ("http", "deb.org", Some("http://conf:1")),
            ("https", "deb.org", Some("http://conf:1")),
            ("http", "own.org", None),
            ("https", "OWN.org", None),
            ("http", "other.org", Some("http://other:1")),
            ("http", "very.no.org", None),
        ] {
            assert_eq!(url(both.of(scheme, host)).as_deref(), expected, "{scheme} {host}");
        }
        let https = "Acquire::https::Proxy \"DIRECT\"; Acquire::http::Proxy \"http://conf:1\";";
        let https = proxies(&[("apt.conf", https)], &[]);
        assert_eq!(
            (https.of("https", "a"), url(https.of("http", "a")).as_deref()),
            (None, Some("http://conf:1"))
        );
        let empty = proxies(&[("apt.conf", "Acquire::http::Proxy \"\";")], &[("http_proxy", "env:1")]);
        assert_eq!(url(empty.of("https", "a")).as_deref(), Some("http://env:1"));
        assert_eq!(proxies(&[], &[]).of("http", "a"), None);
    }

    #[test]
    fn files_are_read_in_apts_order() {
        let set = |to: &str| format!("Acquire::http::Proxy \"http://{to}\";");
        let of = |files: &[(&str, &str)]| url(proxies(files, &[]).of("http", "a"));
        let (one, two, main) = (set("one"), set("two"), set("main"));
        let parts = [("apt.conf.d/01a", &*one), ("apt.conf.d/02b.conf", &*two)];
        assert_eq!(of(&parts).as_deref(), Some("http://two"));
        assert_eq!(of(&[parts[0], parts[1], ("apt.conf", &main)]).as_deref(), Some("http://main"));
        let unread = [("apt.conf.d/03.save", &*one), ("apt.conf.d/04 a", &*one), ("apt.conf.d/.05", &*one)];
        assert_eq!(of(&unread), None);
        let cleared = [parts[0], ("apt.conf", "#clear Acquire::http;")];
        assert_eq!(of(&cleared), None);
        let included = [("more", &*one), ("apt.conf", "#include \"DIRECTORY/more\";")];
        assert_eq!(of(&included).as_deref(), Some("http://one"));
        assert_eq!(of(&[("apt.conf", "#include \"DIRECTORY/apt.conf\";")]), None);
    }

    #[test]
    fn no_proxy_names_ends_of_hosts_and_networks() {
        for (list, host, expected) in [
            ("example.org", "deb.example.org", true),
            (".example.org, b.org", "b.org", true),
            ("example.org", "example.com", false),
            ("", "a", false),
            ("*", "a", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("fd00::/8", "[fd12::1]", true),
            ("10.0.0.0/33,10.0.0.0/x", "10.0.0.0", false),
        ] {
            assert_eq!(lists(list, host), expected, "{list} {host}");
        }
    }
}
