//! What an app needs of all that its packages say: packages beside it, services, files, setup.

use super::{
    Draft, Service, Shipped, Step, Wanted,
    daemons::{Daemon, daemons},
    database::{Database, database, file, run_directory, service},
    site::{Site, site},
    texts,
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

fn facts(shipped: &Shipped, app: &str) -> Facts {
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
    let database = database(shipped, app).filter(|database| {
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
    let facts = facts(wanted.shipped, wanted.app());
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
    let app = wanted.app();
    let facts = facts(wanted.shipped, app);
    let mut draft = Draft {
        port: (8000, String::new()),
        first_page: "/".into(),
        questions: questions(wanted.shipped),
        own: own(wanted),
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

fn php(site: &Site, wanted: &Wanted<'_>, draft: &mut Draft) {
    let version = wanted.version("php", "-fpm").or_else(|| wanted.version("php", "-common")).unwrap_or("8.2");
    let mut fpm = texts::PHP_FPM.to_owned();
    for (key, value, place) in &site.php_values {
        if !fpm.contains(&format!("[{key}]")) {
            fpm += &format!("; {place}\nphp_admin_value[{key}] = {value}\n");
        }
    }
    draft.files.push(file("php-fpm.conf", &fpm, String::new()));
    let (inside, says) = nginx_inside(site, wanted.shipped, true);
    draft.files.push(file("nginx.conf", &texts::NGINX.replace("INSIDE", &inside), says));
    let program = format!("/usr/sbin/php-fpm{version}");
    draft.services.push(Service {
        more: vec!["stop_signal = \"SIGQUIT\" # SIGTERM breaks requests off".into()],
        ..service(
            "php",
            "PHP, asked by the web server, with the extensions that Debian turns on.",
            &[&program, "-F", "-O", "-y", "/app/php-fpm.conf"],
            Some("socket = \"/run/php.sock\""),
        )
    });
    draft.services.push(nginx_service());
}

fn nginx_service() -> Service {
    Service {
        more: vec!["stop_signal = \"SIGQUIT\" # SIGTERM breaks requests off".into()],
        ..service(
            "web",
            "The web server.",
            &["/usr/sbin/nginx", "-e", "stderr", "-p", "/tmp", "-c", "/app/nginx.conf"],
            Some("http = \"/\""),
        )
    }
}

fn nginx_inside(site: &Site, shipped: &Shipped, php: bool) -> (String, String) {
    let mut text = String::new();
    let mut says = String::new();
    let root = site.root.as_ref().map(|(root, place)| {
        says = format!("The web server, with the root of {place}.");
        root.trim_end_matches('/').to_owned()
    });
    let root = root.unwrap_or_else(|| "/var/www".into());
    text += &format!("        root {root};\n");
    let mut index = site.index.clone();
    for name in ["index.php", "index.html"] {
        let there = shipped.has(&format!("{}/{name}", shipped.target(&root)))
            || index.is_empty() && name == "index.php" && php;
        if there && !index.iter().any(|known| known == name) {
            index.push(name.into());
        }
    }
    if index.is_empty() {
        index.push("index.html".into());
    }
    index.dedup();
    text += &format!("        index {};\n", index.join(" "));
    let denied = site.denied.iter().map(|(path, place)| (path, place, "            deny all;\n"));
    // Without the regular expressions below it, nothing there is run.
    let inert = site.inert.iter().map(|(path, place)| (path, place, ""));
    let mut known: Vec<&str> = Vec::new();
    for (path, place, inside) in denied.chain(inert) {
        let url = path.strip_prefix(&root).filter(|url| url.starts_with('/'));
        if let Some(url) = url.filter(|url| !known.contains(url)) {
            known.push(url);
            text += &format!("\n        # {place}\n        location ^~ {url}/ {{\n{inside}        }}\n");
        }
    }
    for (url, path, place) in &site.aliases {
        let url = format!("/{}", url.trim_matches('/'));
        let path = path.trim_end_matches('/');
        if url == "/" {
            continue;
        }
        text += &format!(
            "\n        # {place}\n        location {url}/ {{\n            alias {path}/;\n        }}\n"
        );
    }
    if let Some((script, place)) = &site.front {
        text += &format!(
            "\n        # {place}\n        location / {{\n            try_files $uri $uri/ /{script}{};\n        }}\n",
            if script.contains('?') { "&$args" } else { "$is_args$args" }
        );
    }
    if php {
        let env: String = site
            .env
            .iter()
            .map(|(name, value, place)| format!("            fastcgi_param {name} \"{value}\"; # {place}\n"))
            .collect();
        text += "\n";
        text += &texts::NGINX_PHP.replace("ENV", &env);
    }
    (text, says)
}

fn pages(site: &Site, draft: &mut Draft) {
    let shipped = Shipped::default();
    let (inside, says) = nginx_inside(site, &shipped, false);
    draft.files.push(file("nginx.conf", &texts::NGINX.replace("INSIDE", &inside), says));
    draft.services.push(nginx_service());
}

fn cgi(site: &Site, wanted: &Wanted<'_>, draft: &mut Draft) {
    let root = site.root.as_ref().map_or("/var/www", |(root, _)| root);
    let index: Vec<String> =
        site.index.iter().map(String::as_str).chain(["index.html", "index.cgi"]).map(quoted).collect();
    let mut text = texts::LIGHTTPD.replace("ROOT", root).replace("INDEX", &index.join(", "));
    text += texts::MIME;
    let all: Vec<_> = site.cgi.iter().chain(&site.aliases).collect();
    text += "alias.url = (\n";
    for (url, path, place) in &all {
        text += &format!("    # {place}\n    {} => {},\n", quoted(url), quoted(path));
    }
    text += ")\n";
    for (url, path, _) in &site.cgi {
        let pattern: String = url
            .chars()
            .flat_map(|letter| {
                [
                    Some('\\').filter(|_| !letter.is_alphanumeric() && letter != '/' && letter != '-'),
                    Some(letter),
                ]
            })
            .flatten()
            .collect();
        let programs = if path.ends_with('/') {
            "\".cgi\" => \"\", \".pl\" => \"/usr/bin/perl\""
        } else {
            "\"\" => \"\""
        };
        text += &format!("$HTTP[\"url\"] =~ \"^{pattern}\" {{\n    cgi.assign = ( {programs} )\n}}\n");
    }
    let says = site
        .cgi
        .first()
        .map_or(String::new(), |(_, _, place)| format!("The web server, with the CGI programs of {place}."));
    draft.files.push(file("lighttpd.conf", &text, says));
    let first = site.cgi.iter().min_by_key(|(_, path, _)| {
        let name = path.rsplit('/').next().unwrap_or_default();
        (!name.contains(wanted.app()) && !path.ends_with('/'), name.len())
    });
    if let Some((url, path, _)) = first {
        draft.first_page = match path.strip_suffix('/') {
            Some(directory) => format!("{}/{}", url.trim_end_matches('/'), page_in(directory, wanted)),
            None => url.clone(),
        };
    }
    let ready = format!("http = \"{}\"", draft.first_page);
    draft.services.push(service(
        "web",
        "The web server.",
        &["/usr/sbin/lighttpd", "-D", "-f", "/app/lighttpd.conf"],
        Some(&ready),
    ));
}

/// Returns the CGI program of a directory that is the app's page: the one of its name, or the only one; else nothing, which is
/// the directory's index.cgi.
fn page_in(directory: &str, wanted: &Wanted<'_>) -> String {
    let paths: Vec<String> = wanted.shipped.paths().map(|(_, path)| path).collect();
    let below = paths.iter().filter_map(|path| path.strip_prefix(directory)?.strip_prefix('/'));
    let programs: Vec<&str> = below
        .filter(|name| !name.contains('/') && (name.ends_with(".cgi") || name.ends_with(".pl")))
        .collect();
    let is_own = |name: &&&str| name.rsplit_once('.').is_some_and(|(stem, _)| stem == wanted.app());
    let page = match &programs[..] {
        [only] => Some(only),
        several if several.iter().any(|name| name.starts_with("index.")) => None,
        several => several.iter().find(is_own),
    };
    page.map(|name| (*name).to_owned()).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', ""))
}

fn wsgi(site: &Site, shipped: &Shipped, draft: &mut Draft) {
    let Some((path, place)) = &site.wsgi else { return };
    let mut command = vec![
        "/usr/bin/uwsgi-core",
        "--plugin",
        "python3",
        "--http-socket",
        "127.0.0.1:8000",
        "--die-on-term",
        // Else it answers without the app, and what kept the app from loading is far up in the log.
        "--need-app",
        "--threads",
        "4",
    ];
    let module = module_of(path);
    match &module {
        // By its name, so that it can import what stands beside it.
        Some(module) => command.extend(["--module", module]),
        None => command.extend(["--wsgi-file", path]),
    }
    // PEP 3333 has no name for it; servers look for `application`.
    let text = shipped.text(path).map_or("", |found| found.text);
    let names = |word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
    if !names("application") && !text.contains("import application") && names("app = ") {
        command.extend(["--callable", "app"]);
    }
    let maps: Vec<String> = site
        .aliases
        .iter()
        .map(|(url, path, _)| format!("/{}={}", url.trim_matches('/'), path.trim_end_matches('/')))
        .collect();
    for map in &maps {
        command.extend(["--static-map", map]);
    }
    draft.services.push(service("web", &format!("uWSGI with {place}."), &command, Some("http = \"/\"")));
}

/// Returns the name of a Python module that lies where Debian's Python looks for modules.
fn module_of(path: &str) -> Option<String> {
    let (_, below) = path.split_once("/dist-packages/")?;
    Some(below.strip_suffix(".py")?.replace('/', "."))
}

fn psgi(site: &Site, draft: &mut Draft) {
    let Some((path, place)) = &site.psgi else { return };
    let command = ["/usr/bin/plackup", "--host", "127.0.0.1", "--port", "8000", "--env", "deployment", path];
    draft.services.push(service("web", &format!("plackup with {place}."), &command, Some("http = \"/\"")));
}

fn rack(site: &Site, draft: &mut Draft) {
    let Some((path, place)) = &site.rack else { return };
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let command =
        ["/usr/bin/puma", "--dir", folder, "--bind", "tcp://127.0.0.1:8000", "--environment", "production"];
    draft.services.push(service("web", &format!("Puma with {place}."), &command, Some("http = \"/\"")));
    draft.proc = Some("Ruby's gems are found by it".into());
}

fn servlet(wanted: &Wanted<'_>, draft: &mut Draft) {
    let mut found = wanted
        .shipped
        .paths()
        .filter(|(_, path)| path.ends_with(".war") || path.ends_with("/WEB-INF/web.xml"));
    let Some((package, path)) = found.next() else { return };
    let base = path.strip_suffix("/WEB-INF/web.xml").unwrap_or(&path).to_owned();
    let tomcat = wanted.version("tomcat", "").unwrap_or("10");
    draft.setup.push(Step {
        says: format!("A Tomcat of the grain's own, with {package}: {base}."),
        text: format!(
            "base=/var/lib/tomcat{tomcat}\nmkdir -p $base/lib $base/logs $base/temp $base/work $base/webapps\nrm -rf $base/conf $base/webapps/ROOT*\n\
             cp -rL /usr/share/tomcat{tomcat}/etc $base/conf\n\
             sed -i -e 's/port=\"8080\"/port=\"8000\" address=\"127.0.0.1\"/' -e 's/<Server port=\"8005\"/<Server port=\"-1\"/' $base/conf/server.xml\n\
             ln -s {base} $base/webapps/ROOT{}\n",
            if base.ends_with(".war") { ".war" } else { "" }
        ),
    });
    draft.env.insert("CATALINA_BASE".into(), format!("/var/lib/tomcat{tomcat}"));
    draft.env.insert("CATALINA_TMPDIR".into(), "/tmp".into());
    draft.env.insert("JAVA_HOME".into(), "/usr/lib/jvm/default-java".into());
    draft.proc = Some("Java finds its libraries by it".into());
    let command = format!("/usr/share/tomcat{tomcat}/bin/catalina.sh");
    draft.services.push(Service {
        more: vec!["timeout_s = 120".into()],
        ..service(
            "web",
            &format!("Tomcat, as its unit runs it, with {path}."),
            &[&command, "run"],
            Some("http = \"/\""),
        )
    });
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
