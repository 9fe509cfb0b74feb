//! The beginnings of a recipe, guessed from the names of the packages that would be installed.
//!
//! Comes in: the app's packages and their resolution. Goes out: the files of a recipe folder. The recipe can
//! be read and locked as it is; its comments mark the parts that a person must look at. It reads no package.

use std::fmt::Write as _;

/// The input of a draft.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The packages that were named, the app first.
    pub packages: &'a [String],
    /// The suite.
    pub suite: &'a str,
    /// The names of all that would be installed, sorted.
    pub installed: &'a [&'a str],
}

/// One service of the draft.
struct Part {
    name: &'static str,
    /// The comment above it.
    says: &'static str,
    command: Vec<String>,
    ready: &'static str,
    /// Its configuration: file name and text.
    file: Option<(&'static str, String)>,
}

/// Returns the files of a recipe folder: their paths in it and their texts.
pub fn draft(wanted: &Wanted<'_>) -> Vec<(String, String)> {
    let app = wanted.packages.first().map_or("app", String::as_str);
    let parts = parts(app, wanted);
    let mut files: Vec<(String, String)> = parts
        .iter()
        .filter_map(|part| part.file.as_ref())
        .map(|(name, text)| (format!("files/{name}"), text.clone()))
        .collect();
    files.push(("files/setup.sh".into(), format!("{SETUP}mkdir -p /var/lib/{app}\n")));
    files.push(("recipe.toml".into(), recipe(app, wanted, &parts)));
    files
}

fn recipe(app: &str, wanted: &Wanted<'_>, parts: &[Part]) -> String {
    let own: Vec<&str> = wanted.installed.iter().copied().filter(|name| is_part_of(app, name)).collect();
    let all: Vec<&str> = std::iter::once(app).chain(own.iter().copied()).collect();
    let others = wanted.packages.iter().skip(1).map(String::as_str).filter(|name| !own.contains(name));
    let mut text = format!(
        "# {app}, begun by tinyroot init: say here what it stands on and where its data lies.\n\n\
         [app]\nname = \"{app}\"\ntitle = \"{}\"\nversion = \"deb:{app}\"\n\
         noun = \"document\" # what one grain is: \"wiki\", \"blog\", \"repository\"\n\
         # Kept whole; all else is pruned to what the exercise uses.\npackages = {}\n\n\
         [debian]\nsuite = \"{}\"\n\
         # What the app stands on besides its own Depends: a web server, extensions, a database.\n\
         packages = {}\n\n",
        title(app),
        list(all),
        wanted.suite,
        list(others),
    );
    let laid = parts.iter().filter_map(|part| part.file.as_ref().map(|(name, _)| *name));
    for name in laid {
        let _ = write!(text, "[[file]]\npath = \"/app/{name}\"\nsource = \"files/{name}\"\n\n");
    }
    text += "[[file]]\npath = \"/app/setup.sh\"\nsource = \"files/setup.sh\"\nmode = \"0755\"\n\n\
             # Once per grain, on an empty /var.\n\
             [setup]\ncommand = [\"/bin/sh\", \"/app/setup.sh\"]\n\n";
    for Part { name, says, command, ready, .. } in parts {
        let command = list(command.iter().map(String::as_str));
        let _ = write!(
            text,
            "# {says}\n[[service]]\nname = \"{name}\"\ncommand = {command}\nready = {{ {ready} }}\n\n"
        );
    }
    text + EXERCISE
}

const SETUP: &str = "#!/bin/sh
# The first start of a grain: make what the app wants below /var. It runs as the grain's one user.
set -eu
";

const EXERCISE: &str = "[web]
port = 8000

# The conversation that shows what is used and proves what is left: visit each page that matters, log in, write
# something, read it again. `status` and `contains` say what must come back; `capture` takes a token along.
[[exercise]]
get = \"/\"
status = [200, 301, 302, 303]
# contains = \"a word of the first page\"

# [[exercise]]
# get = \"/login\"
# status = 200
# capture.token = 'name=\"token\" value=\"([^\"]*)\"'
# [[exercise]]
# post = \"/login\"
# form = { user = \"admin\", password = \"tea-for-two\", token = \"{token}\" }
# status = 302

# The grain is stopped and started again on the same /var.
[[exercise]]
restart = true
[[exercise]]
get = \"/\"
status = [200, 301, 302, 303]

# [prune]
# keep = [\"/usr/share/APP/themes/**\"]  # what the exercise does not show and people will want
# drop = []

[budget]
artifact = \"20 MB\"
";

/// Packages that are the app as well, by how Debian names the parts of one program.
fn is_part_of(app: &str, name: &str) -> bool {
    let suffix = name.strip_prefix(app).and_then(|rest| rest.strip_prefix('-'));
    suffix.is_some_and(|rest| !rest.starts_with("doc"))
        || name == format!("python3-{app}")
        || name == format!("ruby-{app}")
        || name == format!("lib{app}-perl")
}

fn title(app: &str) -> String {
    let mut letters = app.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    format!("[{}]", words.join(", "))
}

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The programs to start, in order: databases, then the app's runtime, then the web server.
fn parts(app: &str, wanted: &Wanted<'_>) -> Vec<Part> {
    let has = |name: &str| wanted.installed.contains(&name);
    let versioned = |before: &str, after: &str| {
        let version = |name: &&str| {
            name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).map(str::to_owned)
        };
        let number = |version: &String| version.starts_with(|c: char| c.is_ascii_digit());
        wanted.installed.iter().filter_map(version).find(number)
    };
    let mut parts = Vec::new();
    if has("mariadb-server") {
        parts.push(Part {
            name: "database",
            says: "MariaDB: setup.sh must make /var/lib/mysql, by `mariadbd --bootstrap` on the SQL in /usr/share/mysql.",
            command: command(&["/usr/sbin/mariadbd", "--defaults-file=/app/my.cnf"]),
            ready: "socket = \"/run/mysqld.sock\"",
            file: Some(("my.cnf", MY_CNF.into())),
        });
    }
    if let Some(version) = versioned("postgresql-", "").filter(|version| !version.contains('-')) {
        let program = format!("/usr/lib/postgresql/{version}/bin/postgres");
        parts.push(Part {
            name: "database",
            says: "PostgreSQL: setup.sh must run initdb, beside it, on /var/lib/postgresql/grain.",
            command: command(&[
                &program,
                "-D",
                "/var/lib/postgresql/grain",
                "-k",
                "/run",
                "-c",
                "listen_addresses=",
            ]),
            ready: "socket = \"/run/.s.PGSQL.5432\"",
            file: None,
        });
    }
    if has("redis-server") {
        parts.push(Part {
            name: "redis",
            says: "Redis: setup.sh must make /var/lib/redis.",
            command: command(&[
                "/usr/bin/redis-server",
                "--port",
                "0",
                "--unixsocket",
                "/run/redis.sock",
                "--dir",
                "/var/lib/redis",
            ]),
            ready: "socket = \"/run/redis.sock\"",
            file: None,
        });
    }
    let fpm = versioned("php", "-fpm");
    if let Some(version) = &fpm {
        let program = format!("/usr/sbin/php-fpm{version}");
        parts.push(Part {
            name: "php",
            says: "PHP, asked by the web server, with the extensions that Debian turns on.",
            command: command(&[&program, "-F", "-O", "-y", "/app/php-fpm.conf"]),
            ready: "socket = \"/run/php.sock\"",
            file: Some(("php-fpm.conf", PHP_FPM.into())),
        });
    }
    let (says, program, file) = if has("nginx") {
        let asks_php = if fpm.is_some() { NGINX_PHP } else { "" };
        let text = NGINX.replace("APP", app).replace("        PHP\n", asks_php);
        let program = command(&["/usr/sbin/nginx", "-e", "stderr", "-p", "/tmp", "-c", "/app/nginx.conf"]);
        ("The web server: look where the app's pages lie.", program, Some(("nginx.conf", text)))
    } else if has("lighttpd") {
        let program = command(&["/usr/sbin/lighttpd", "-D", "-f", "/app/lighttpd.conf"]);
        let text = LIGHTTPD.replace("APP", app);
        (
            "The web server: look where the app's pages and CGI programs lie.",
            program,
            Some(("lighttpd.conf", text)),
        )
    } else if let Some(version) = versioned("php", "-cli") {
        let program = format!("/usr/bin/php{version}");
        let root = format!("/usr/share/{app}");
        ("PHP's own web server.", command(&[&program, "-S", "127.0.0.1:8000", "-t", &root]), None)
    } else {
        let program = format!("/usr/bin/{app}");
        (
            "A guess: the program that serves HTTP on 127.0.0.1:8000, in the foreground.",
            command(&[&program]),
            None,
        )
    };
    parts.push(Part { name: "web", says, command: program, ready: "http = \"/\"", file });
    parts
}

const MY_CNF: &str = "[mysqld]
datadir = /var/lib/mysql
socket = /run/mysqld.sock
pid-file = /run/mysqld.pid
tmpdir = /tmp
skip-networking
skip-log-bin
innodb_buffer_pool_size = 16M
innodb_log_file_size = 4M
innodb_autoextend_increment = 1
";

const PHP_FPM: &str = "[global]
error_log = /run/php-fpm.log
daemonize = no

[app]
listen = /run/php.sock
pm = ondemand
pm.max_children = 4
catch_workers_output = yes
";

const NGINX: &str = "daemon off;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr warn;

events {
    worker_connections 128;
}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    client_body_temp_path /tmp/nginx-body;
    proxy_temp_path /tmp/nginx-proxy;
    fastcgi_temp_path /tmp/nginx-fastcgi;
    uwsgi_temp_path /tmp/nginx-uwsgi;
    scgi_temp_path /tmp/nginx-scgi;

    server {
        listen 127.0.0.1:8000;
        root /usr/share/APP;
        index index.php index.html;
        PHP
    }
}
";

const NGINX_PHP: &str = "
        location ~ \\.php$ {
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_pass unix:/run/php.sock;
        }
";

const LIGHTTPD: &str = "server.modules = ( \"mod_alias\", \"mod_cgi\" )
server.bind = \"127.0.0.1\"
server.port = 8000
server.document-root = \"/usr/share/APP\"
server.upload-dirs = ( \"/tmp\" )
index-file.names = ( \"index.html\", \"index.cgi\" )
mimetype.assign = (
    \".css\" => \"text/css\",
    \".html\" => \"text/html\",
    \".js\" => \"text/javascript\",
    \".png\" => \"image/png\",
)
cgi.assign = ( \".cgi\" => \"\" )
";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(packages: &[&str], installed: &[&str]) -> (crate::recipe::Recipe, Vec<(String, String)>) {
        let packages: Vec<String> = packages.iter().map(|name| (*name).to_owned()).collect();
        let files = draft(&Wanted { packages: &packages, suite: "bookworm", installed });
        let directory = tempfile::tempdir().expect("a directory");
        for (path, text) in &files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("creates");
            std::fs::write(path, text).expect("writes");
        }
        (crate::recipe::read(directory.path()).expect("a draft is a good recipe"), files)
    }

    #[test]
    fn the_stack_is_guessed_from_what_would_be_installed() {
        let cases: [(&[&str], &[&str], &[&str]); 6] = [
            (&["wiki", "nginx"], &["nginx", "php8.2-cli", "php8.2-fpm", "wiki"], &["php", "web"]),
            (&["blog"], &["mariadb-server", "php8.2-cli"], &["database", "web"]),
            (
                &["shop"],
                &["postgresql-15", "postgresql-client-15", "redis-server"],
                &["database", "redis", "web"],
            ),
            (&["shop"], &["postgresql-client-15"], &["web"]),
            (&["git-view", "lighttpd"], &["lighttpd"], &["web"]),
            (&["calendar"], &["python3"], &["web"]),
        ];
        for (packages, installed, expected) in cases {
            let (recipe, _) = read(packages, installed);
            let names: Vec<&str> = recipe.services.iter().map(|service| service.name.as_str()).collect();
            assert_eq!(names, expected, "{packages:?}");
        }
    }

    #[test]
    fn parts_of_the_app_are_the_app() {
        let installed =
            ["python3", "python3-radicale", "radicale", "radicale-doc", "radicale-web", "radicaleish"];
        let (recipe, files) = read(&["radicale", "nginx"], &installed);
        assert_eq!(recipe.app.packages, ["radicale", "python3-radicale", "radicale-web"]);
        assert_eq!(recipe.debian.packages, ["nginx"]);
        assert_eq!(recipe.app.title, "Radicale");
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["files/setup.sh", "recipe.toml"]);
    }
}
