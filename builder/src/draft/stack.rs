//! What an app needs of all that its packages say: packages beside it, services, files, setup.

use super::{
    Draft, Service, Shipped, Step, Wanted,
    daemons::{Daemon, daemons},
    database::{Database, database, file, run_directory, service},
    servers::{cgi, pages, php, psgi, rack, servlet, wsgi},
    site::{Site, site},
    told,
};

/// How an app is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// PHP behind nginx.
    Php,
    /// CGI programs behind lighttpd.
    Cgi,
    /// A WSGI file in uWSGI.
    Wsgi,
    /// A PSGI file in plackup.
    Psgi,
    /// A `config.ru` in Puma.
    Rack,
    /// A servlet in Tomcat.
    Servlet,
    /// By its own daemon.
    Daemon,
    /// Pages alone, by nginx.
    Pages,
    /// By a program of which nothing else is known.
    Program,
}

/// What was found out of an app's packages.
struct Facts {
    site: Site,
    daemons: Vec<Daemon>,
    database: Option<Database>,
    way: Way,
}

fn facts(wanted: &Wanted<'_>) -> Facts {
    let (shipped, app) = (wanted.shipped, wanted.app());
    let site = site(shipped, app);
    let mut daemons = daemons(shipped, app);
    // What packages ship to be run by a web server counts more than an example of a daemon beside it.
    if site.wsgi.is_some() || site.psgi.is_some() || site.rack.is_some() {
        daemons.retain(|daemon| !daemon.is_example());
    }
    let root = site.root.as_ref().map(|(root, _)| shipped.target(root));
    let has_php = root.as_ref().is_some_and(|root| {
        let below = format!("{}/", root.trim_end_matches('/'));
        let behind = shipped.target(&format!("{below}index.php"));
        shipped.paths().any(|(_, path)| path.ends_with(".php") && path.starts_with(&below))
            || shipped.has(&behind)
    });
    let is_php = has_php
        && shipped.wants(|name| name.starts_with("php") || name.starts_with("libapache2-mod-php")).is_some();
    let servlet =
        shipped.paths().any(|(_, path)| path.ends_with(".war") || path.ends_with("/WEB-INF/web.xml"));
    let way = match () {
        () if is_php => Way::Php,
        () if servlet && daemons.is_empty() => Way::Servlet,
        () if !daemons.is_empty() && (site.cgi.is_empty() || site.proxied.is_some()) => Way::Daemon,
        () if !site.cgi.is_empty() => Way::Cgi,
        () if site.wsgi.is_some() => Way::Wsgi,
        () if site.psgi.is_some() => Way::Psgi,
        () if site.rack.is_some() => Way::Rack,
        () if site.root.is_some() && !has_program(shipped, app) => Way::Pages,
        () => Way::Program,
    };
    let database = database(shipped, app, wanted.packages).filter(|database| {
        way == Way::Php
            || !matches!(database.kind, super::database::Kind::Sqlite)
            || !database.packages().is_empty()
    });
    Facts { site, daemons, database, way }
}

fn has_program(shipped: &Shipped, app: &str) -> bool {
    program(shipped, app).is_some()
}

/// Returns the program that is the app: the one of its name, or the only one.
fn program(shipped: &Shipped, app: &str) -> Option<(String, String)> {
    let mut programs: Vec<(&str, String)> = shipped
        .paths()
        .filter(|(_, path)| {
            ["/usr/bin/", "/usr/sbin/", "/usr/games/"].iter().any(|folder| path.starts_with(folder))
        })
        .collect();
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let best = programs.iter().position(|(_, path)| name(path) == app).or_else(|| {
        programs.iter().position(|(_, path)| name(path) == format!("{app}d") || name(path).starts_with(app))
    });
    let at = best.or((programs.len() == 1).then_some(0))?;
    let (package, path) = programs.swap_remove(at);
    Some((path, package.to_owned()))
}

/// Returns the packages that an app wants beside its own Depends, each with the reason; names from the first resolution
/// (`installed`) tell the versions of languages. `has` tells whether the archive has a package.
pub fn beside(wanted: &Wanted<'_>, has: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
    let facts = facts(wanted);
    let mut out: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, why: &str| {
        if has(name) && !out.iter().any(|(known, _)| known == name) {
            out.push((name.to_owned(), why.to_owned()));
        }
    };
    match facts.way {
        Way::Php => {
            add("nginx", "the web server, instead of Apache");
            let version = wanted.version("php", "-common").unwrap_or("").to_owned();
            add(&format!("php{version}-fpm"), "PHP, asked by nginx");
            if let Some(database) = &facts.database {
                add(&format!("php{version}-{}", database.php()), "PHP's driver of the database");
            }
        }
        Way::Cgi => add("lighttpd", "the web server, which runs CGI programs itself"),
        Way::Wsgi => {
            add("uwsgi-core", "serves Python by HTTP");
            add("uwsgi-plugin-python3", "runs its WSGI file");
        }
        Way::Psgi => add("libplack-perl", "serves Perl by HTTP"),
        Way::Rack => add("puma", "serves Ruby by HTTP"),
        Way::Pages => add("nginx", "the web server"),
        Way::Servlet => {
            for name in ["tomcat10", "tomcat11", "tomcat9"] {
                if has(name) {
                    add(name, "the servlet container");
                    break;
                }
            }
        }
        Way::Daemon | Way::Program => {}
    }
    if let Some(database) = &facts.database {
        // Some apps have a package for each kind.
        for ending in database.endings() {
            add(&format!("{}-{ending}", wanted.app()), "the app's own package for that database");
        }
        database.packages().iter().for_each(|name| add(name, "a database of the grain's own"));
    }
    if wanted.shipped.wants(|name| name.starts_with("dbconfig-")).is_some() {
        add("dbconfig-no-thanks", "the grain makes its own database, not the package's scripts");
    }
    out.retain(|(name, _)| !wanted.packages.contains(name));
    out
}

/// Makes the draft.
pub(super) fn draft(wanted: &Wanted<'_>) -> Draft {
    let facts = facts(wanted);
    let mut draft = Draft {
        port: (8000, String::new()),
        first_page: "/".into(),
        questions: questions(wanted.shipped),
        own: own(wanted),
        told: told::comments(wanted.shipped),
        ..Draft::default()
    };
    if let Some(database) = &facts.database {
        database.add(wanted, &mut draft);
    }
    let serves_itself = facts.way == Way::Daemon;
    if !serves_itself {
        facts.daemons.iter().for_each(|daemon| add_daemon(daemon, false, &mut draft));
    }
    let app_env = |draft: &mut Draft| {
        for (name, value, _) in &facts.site.env {
            draft.env.insert(name.clone(), value.clone());
        }
    };
    match facts.way {
        Way::Php => php(&facts.site, wanted, &mut draft),
        Way::Cgi => {
            app_env(&mut draft);
            cgi(&facts.site, wanted, &mut draft);
        }
        Way::Wsgi => {
            app_env(&mut draft);
            wsgi(&facts.site, wanted.shipped, &mut draft);
        }
        Way::Psgi => psgi(&facts.site, &mut draft),
        Way::Rack => rack(&facts.site, &mut draft),
        Way::Servlet => servlet(wanted, &mut draft),
        Way::Pages => pages(&facts.site, &mut draft),
        Way::Daemon => {
            let last = facts.daemons.len().saturating_sub(1);
            for (at, daemon) in facts.daemons.iter().enumerate() {
                add_daemon(daemon, at == last, &mut draft);
            }
            if let Some((to, place)) = &facts.site.proxied
                && let Some(port) = port_of(to)
            {
                draft.port = (port, format!("as {place} has it"));
            }
        }
        Way::Program => unknown(wanted, &mut draft),
    }
    // What a web server serves for the app has its place by the recipe, not by the text.
    if matches!(facts.way, Way::Daemon | Way::Program)
        && let Some(address) =
            told::addresses(wanted.shipped).into_iter().find(|address| address.port.is_some())
        && let Some(port) = address.port
        && (draft.port.1.is_empty() || draft.port.0 == port)
    {
        draft.port = (port, format!("as {} has it", address.place));
        draft.first_page = address.path;
        draft.todo.retain(|todo| !todo.starts_with("the port of "));
    }
    if draft.services.is_empty() {
        draft.todo.push("nothing was found that serves: add a [[service]]".into());
    }
    draft
}

/// Returns the app's packages: the first, and others of the same name that would be installed.
fn own(wanted: &Wanted<'_>) -> Vec<String> {
    let app = wanted.app();
    let mut out = vec![app.to_owned()];
    let parts = wanted.installed.iter().filter(|name| wanted.shipped.names().any(|own| own == **name));
    out.extend(parts.filter(|name| **name != app).map(|name| (*name).to_owned()));
    out
}

/// Returns the questions of debconf with a default that is no secret.
fn questions(shipped: &Shipped) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    for found in shipped.control("templates") {
        for stanza in super::shipped::stanzas(found.text) {
            let (Some(name), Some(kind)) = (stanza.get("Template"), stanza.get("Type")) else { continue };
            if ["string", "select", "multiselect", "boolean"].contains(&kind.as_str())
                && !name.contains("dbconfig")
            {
                let default = stanza.get("Default").cloned().unwrap_or_default();
                out.push((name.clone(), kind.clone(), default));
            }
        }
    }
    out
}

/// Adds a daemon as a service. The last one is what serves.
fn add_daemon(daemon: &Daemon, serves: bool, draft: &mut Draft) {
    let mut command = daemon.command.clone();
    let port = command_port(&command);
    if serves {
        match port {
            Some(port) => draft.port = (port, format!("as {} has it", daemon.place)),
            None => draft
                .todo
                .push(format!("the port of {}: no option of its command line names one", daemon.name)),
        }
    }
    let (run, var): (Vec<&String>, Vec<&String>) =
        daemon.directories.iter().partition(|path| path.starts_with("/run"));
    if !var.is_empty() {
        let text: String = var.iter().map(|path| format!("mkdir -p {path}\n")).collect();
        draft.setup.push(Step { says: format!("Directories of {}.", daemon.place), text });
    }
    let mut says = format!("{}.", daemon.place);
    if daemon.forks {
        draft.todo.push(format!(
            "{} leaves the foreground, which a service must not: give it the option that keeps it there",
            daemon.name
        ));
        says += " It leaves the foreground: give it the option that keeps it there.";
    }
    for doubt in &daemon.doubts {
        draft.todo.push(format!("{}: {doubt}", daemon.place));
    }
    draft.files.extend(run.iter().map(|path| run_directory(path)));
    if !daemon.before.is_empty() || daemon.directory.is_some() {
        let mut text = String::from("#!/bin/sh\nset -eu\n");
        if let Some(directory) = &daemon.directory {
            text += &format!("cd {directory}\n");
        }
        daemon.before.iter().for_each(|words| text += &format!("{}\n", shell_line(words)));
        text += &format!("exec {}\n", shell_line(&command));
        let name = format!("{}.sh", daemon.name);
        draft.files.push(file(&name, &text, format!("What its unit does before: {}.", daemon.place)));
        command = vec!["/bin/sh".into(), format!("/app/{name}")];
    }
    let mut more = Vec::new();
    if let Some(signal) = &daemon.stop_signal {
        more.push(format!("stop_signal = \"{signal}\""));
    }
    draft.services.push(Service {
        name: daemon.name.clone(),
        says,
        command,
        env: daemon.env.clone(),
        ready: serves.then(|| "http = \"/\"".to_owned()),
        more,
    });
}

fn shell_line(words: &[String]) -> String {
    let plain = |word: &String| {
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.,:=+@%".contains(&byte))
    };
    let quote = |word: &String| {
        if plain(word) && !word.is_empty() {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Returns the port that a command line names.
fn command_port(command: &[String]) -> Option<u16> {
    for (at, word) in command.iter().enumerate().skip(1) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), command.get(at + 1).map(String::as_str)),
        };
        let name = name.trim_start_matches('-').to_ascii_lowercase();
        if !word.starts_with('-') {
            continue;
        }
        if ["p", "port", "http-port", "webui-port", "http_port"].contains(&name.as_str())
            && let Some(port) = value.and_then(|value| value.parse().ok())
        {
            return Some(port);
        }
        let listens = ["listen", "address", "addr", "bind", "http", "web", "host"]
            .iter()
            .any(|part| name.contains(part));
        if listens && let Some(port) = value.and_then(port_of) {
            return Some(port);
        }
    }
    None
}

/// Returns the port of an address.
fn port_of(address: &str) -> Option<u16> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split('/').next()?;
    rest.rsplit_once(':')?.1.parse().ok()
}

fn unknown(wanted: &Wanted<'_>, draft: &mut Draft) {
    match program(wanted.shipped, wanted.app()) {
        Some((path, package)) => {
            draft.services.push(service(
                "web",
                &format!("A guess, since no unit or web server's file was found: the program of {package}."),
                &[&path],
                Some("http = \"/\""),
            ));
            draft.todo.push(format!(
                "how {path} serves HTTP on 127.0.0.1:8000, in the foreground: nothing in its packages says it"
            ));
        }
        None => {
            draft.services.push(service(
                "web",
                "Nothing was found that serves: no unit, no web server's file, no page, no program.",
                &["/bin/false"],
                Some("http = \"/\""),
            ));
            draft.todo.push("which program serves HTTP on 127.0.0.1:8000: the packages have none".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_off_command_lines() {
        let port = |text: &str| command_port(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(port("/usr/bin/tea --port 81"), Some(81));
        assert_eq!(port("/usr/bin/tea -p 82 -x"), Some(82));
        assert_eq!(port("/usr/bin/tea --web.listen-address=:9090"), Some(9090));
        assert_eq!(port("/usr/bin/tea --listen 127.0.0.1:83/x"), Some(83));
        assert_eq!(port("/usr/bin/tea -paper 80 8080"), None);
    }
}
