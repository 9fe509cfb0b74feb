//! The web servers of apps that have none: services and their configuration, for each way to serve.

use super::{
    Draft, Service, Shipped, Step, Wanted,
    database::{file, service},
    site::Site,
    texts,
};

/// PHP-FPM behind nginx.
pub fn php(site: &Site, wanted: &Wanted<'_>, draft: &mut Draft) {
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

/// Pages alone, by nginx.
pub fn pages(site: &Site, draft: &mut Draft) {
    let shipped = Shipped::default();
    let (inside, says) = nginx_inside(site, &shipped, false);
    draft.files.push(file("nginx.conf", &texts::NGINX.replace("INSIDE", &inside), says));
    draft.services.push(nginx_service());
}

/// CGI programs behind lighttpd.
pub fn cgi(site: &Site, wanted: &Wanted<'_>, draft: &mut Draft) {
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

/// A WSGI file in uWSGI.
pub fn wsgi(site: &Site, shipped: &Shipped, draft: &mut Draft) {
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

/// A PSGI file in plackup.
pub fn psgi(site: &Site, draft: &mut Draft) {
    let Some((path, place)) = &site.psgi else { return };
    let command = ["/usr/bin/plackup", "--host", "127.0.0.1", "--port", "8000", "--env", "deployment", path];
    draft.services.push(service("web", &format!("plackup with {place}."), &command, Some("http = \"/\"")));
}

/// A `config.ru` in Puma.
pub fn rack(site: &Site, draft: &mut Draft) {
    let Some((path, place)) = &site.rack else { return };
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let command =
        ["/usr/bin/puma", "--dir", folder, "--bind", "tcp://127.0.0.1:8000", "--environment", "production"];
    draft.services.push(service("web", &format!("Puma with {place}."), &command, Some("http = \"/\"")));
    draft.proc = Some("Ruby's gems are found by it".into());
}

/// A servlet in Tomcat.
pub fn servlet(wanted: &Wanted<'_>, draft: &mut Draft) {
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
