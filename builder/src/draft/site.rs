//! What of an app is served where, out of snippets for Apache, nginx and lighttpd, and out of what its packages ship
//! for web servers to run: CGI programs, WSGI and PSGI files, pages.

use super::shipped::{Found, Place, Shipped};
use crate::formats::web_conf::{self, Directive};

/// The site of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The directory of its pages, which is served at `/`.
    pub root: Option<(String, Place)>,
    /// Further directories or files: the path in URLs, and what lies there.
    pub aliases: Vec<(String, String, Place)>,
    /// CGI programs or directories of them: the path in URLs, and what runs there.
    pub cgi: Vec<(String, String, Place)>,
    /// The names of a directory's page, best first.
    pub index: Vec<String>,
    /// Directories that must not be served.
    pub denied: Vec<(String, Place)>,
    /// Directories in which nothing is run, such as those of uploads.
    pub inert: Vec<(String, Place)>,
    /// The script that gets all that is no file.
    pub front: Option<(String, Place)>,
    /// Values of PHP.
    pub php_values: Vec<(String, String, Place)>,
    /// Environment of the app.
    pub env: Vec<(String, String, Place)>,
    /// A WSGI file.
    pub wsgi: Option<(String, Place)>,
    /// A PSGI file.
    pub psgi: Option<(String, Place)>,
    /// A `config.ru`.
    pub rack: Option<(String, Place)>,
    /// The address of the app itself, where the server is a proxy for it.
    pub proxied: Option<(String, Place)>,
}

impl Site {
    /// Returns whether anything was found that a web server would serve or run.
    pub fn is_found(&self) -> bool {
        self.root.is_some()
            || !self.cgi.is_empty()
            || self.wsgi.is_some()
            || self.psgi.is_some()
            || self.rack.is_some()
    }
}

/// Reads what packages say of their site.
pub fn site(shipped: &Shipped, app: &str) -> Site {
    let mut site = Site::default();
    let apache = shipped.texts(|path| is_snippet(path, "apache") || path.starts_with("/etc/apache2/"));
    for found in best(apache, app) {
        read_apache(&found, shipped, &mut site);
    }
    if !site.is_found() && site.proxied.is_none() {
        let nginx = shipped.texts(|path| is_snippet(path, "nginx") || path.starts_with("/etc/nginx/"));
        for found in best(nginx, app) {
            read_nginx(&found, &mut site);
        }
    }
    if !site.is_found() {
        for found in best(shipped.texts(|path| is_snippet(path, "lighttpd")), app) {
            read_lighttpd(&found, &mut site);
        }
    }
    look(shipped, app, &mut site);
    // What Apache would read there too.
    if let Some((root, _)) = &site.root {
        let own = format!("{}/.htaccess", shipped.target(root.trim_end_matches('/')));
        if let Some(found) = shipped.text(&own) {
            read_rules(&found, &web_conf::apache(found.text), &mut site);
        }
    }
    site
}

fn is_snippet(path: &str, server: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let in_place = path.contains(&format!("/{server}"));
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    in_place
        && !["js", "css", "py", "php", "pl", "png", "html", "md5sum", "service", "init", "txt"]
            .contains(&ending)
}

/// Returns the snippets to go by: those in /etc before examples, and of several examples the one for a place of its own
/// (`host`) or that is named for the app.
fn best<'a>(all: impl Iterator<Item = Found<'a>>, app: &str) -> Vec<Found<'a>> {
    let all: Vec<Found<'a>> = all.collect();
    let (placed, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|found| found.path.starts_with("/etc/"));
    if !placed.is_empty() {
        return placed;
    }
    let rank = |found: &Found<'_>| {
        let name = found.path.rsplit('/').next().unwrap_or_default();
        (name.contains("passenger"), !name.contains("host"), !name.contains(app))
    };
    others.into_iter().min_by_key(rank).into_iter().collect()
}

fn read_apache(found: &Found<'_>, shipped: &Shipped, site: &mut Site) {
    let all = web_conf::apache(found.text);
    let each = |name: &str| web_conf::find(&all, name);
    let path_of = |directive: &Directive, index| directive.argument(index).map(filled);
    for (directive, _) in each("DocumentRoot") {
        if let Some(root) = path_of(directive, 0).filter(|root| shipped.has(root)) {
            site.root.get_or_insert((root, found.at(directive.line)));
        }
    }
    for (directive, _) in each("ScriptAlias") {
        if let (Some(url), Some(program)) = (directive.argument(0), path_of(directive, 1)) {
            site.cgi.push((url.to_owned(), program, found.at(directive.line)));
        }
    }
    for (directive, _) in each("WSGIScriptAlias") {
        // Examples name files that their reader is to write.
        if let Some(file) = path_of(directive, 1).filter(|file| shipped.has(file)) {
            site.wsgi.get_or_insert((file, found.at(directive.line)));
        }
    }
    for (directive, _) in each("ProxyPass") {
        if let Some(to) = directive.argument(1).or(directive.argument(0)).filter(|to| to.contains("://")) {
            site.proxied.get_or_insert((to.to_owned(), found.at(directive.line)));
        }
    }
    let mut aliases: Vec<(String, String, Place)> = Vec::new();
    for (directive, _) in each("Alias") {
        if let (Some(url), Some(path)) = (directive.argument(0), path_of(directive, 1)) {
            aliases.push((url.to_owned(), path, found.at(directive.line)));
        }
    }
    let mut directories = Vec::new();
    for (block, _) in each("Directory").into_iter().chain(each("DirectoryMatch")) {
        let Some(path) = block.argument(0) else { continue };
        let path = path.trim_end_matches('/').to_owned();
        let inside = |name: &str| web_conf::find(&block.inside, name);
        let deny = inside("Require")
            .into_iter()
            .find(|(directive, _)| directive.arguments.join(" ") == "all denied");
        // The same for older servers stands beside it, in <IfVersion>.
        let grants =
            inside("Require").iter().any(|(directive, _)| directive.arguments.join(" ") == "all granted");
        if let Some((directive, _)) = deny.filter(|_| !grants) {
            site.denied.push((path.clone(), found.at(directive.line)));
        } else if !path.contains(['*', '^', '(']) {
            directories.push((path.clone(), found.at(block.line)));
        }
        let flags = inside("php_admin_flag").into_iter().chain(inside("php_flag"));
        let off =
            |directive: &Directive| directive.arguments.iter().map(String::as_str).eq(["engine", "off"]);
        if let Some((directive, _)) = flags.into_iter().find(|(directive, _)| off(directive)) {
            site.inert.push((path.clone(), found.at(directive.line)));
        }
        let runs_all = inside("Options").iter().any(|(directive, _)| {
            directive
                .arguments
                .iter()
                .any(|word| word.trim_start_matches('+').eq_ignore_ascii_case("ExecCGI"))
        });
        if runs_all {
            let alias = aliases.iter().find(|(_, to, _)| to.trim_end_matches('/') == path);
            let url = alias.map_or("/", |(url, ..)| url).to_owned();
            site.cgi.push((url, path.clone() + "/", found.at(block.line)));
            aliases.retain(|(_, to, _)| to.trim_end_matches('/') != path);
        }
    }
    read_rules(found, &all, site);
    // Of several aliases the first that leads to a directory with pages is the site's root.
    if site.root.is_none() {
        let has_pages = |path: &str| {
            let inside = shipped.target(path);
            ["index.php", "index.html", "index.cgi", "doku.php"]
                .iter()
                .any(|page| shipped.has(&format!("{}/{page}", inside.trim_end_matches('/'))))
        };
        let best = aliases.iter().position(|(_, path, _)| has_pages(path));
        // A snippet whose alias is commented out still says which directory is served.
        if let Some(at) = best {
            let (_, path, place) = aliases.remove(at);
            site.root = Some((path.trim_end_matches('/').to_owned(), place));
        } else if let Some((path, place)) = directories.iter().find(|(path, _)| has_pages(path)) {
            site.root = Some((path.clone(), place.clone()));
        } else if site.cgi.is_empty() && !aliases.is_empty() && site.wsgi.is_none() {
            let (_, path, place) = aliases.remove(0);
            site.root = Some((path.trim_end_matches('/').to_owned(), place));
        }
    }
    site.aliases.extend(aliases);
}

/// Reads what holds for a directory, whether it stands in a snippet or in the directory itself.
fn read_rules(found: &Found<'_>, all: &[Directive], site: &mut Site) {
    let each = |name: &str| web_conf::find(all, name);
    for (directive, _) in each("DirectoryIndex") {
        site.index.extend(directive.arguments.iter().filter(|name| !name.contains("error")).cloned());
    }
    for (directive, _) in each("RewriteRule") {
        let script = directive.argument(1).unwrap_or_default().trim_start_matches('/');
        let whole = directive
            .argument(0)
            .is_some_and(|pattern| [".*", "^.*$", "^(.*)$", "(.*)", "^", "."].contains(&pattern));
        if whole && script.contains(".php") && !script.contains("%{") {
            let script = script.replace("$1", "$uri").replace("$0", "$uri");
            site.front.get_or_insert((script, found.at(directive.line)));
        }
    }
    for (directive, _) in each("FallbackResource") {
        if let Some(script) = directive.argument(0).filter(|script| script.ends_with(".php")) {
            site.front.get_or_insert((
                script.rsplit('/').next().unwrap_or(script).to_owned(),
                found.at(directive.line),
            ));
        }
    }
    for name in ["php_value", "php_admin_value", "php_flag", "php_admin_flag"] {
        for (directive, _) in each(name) {
            if let (Some(key), value) =
                (directive.argument(0), directive.arguments.get(1..).unwrap_or_default())
            {
                let value = value.join(" ");
                // `engine` is of Apache's module alone, which runs what FPM is asked to run.
                if key != "engine" && !site.php_values.iter().any(|(known, ..)| known == key) {
                    site.php_values.push((key.to_owned(), value, found.at(directive.line)));
                }
            }
        }
    }
    for (directive, _) in each("SetEnv") {
        if let (Some(name), Some(value)) = (directive.argument(0), directive.argument(1)) {
            site.env.push((name.to_owned(), value.to_owned(), found.at(directive.line)));
        }
    }
}

/// Returns a path of a snippet, with the variables of Debian's Apache filled in.
fn filled(path: &str) -> String {
    path.replace("${APACHE_LOG_DIR}", "/var/log/apache2")
}

fn read_nginx(found: &Found<'_>, site: &mut Site) {
    let all = web_conf::nginx(found.text);
    let each = |name: &str| web_conf::find(&all, name);
    let location = |within: &[&Directive]| -> Option<String> {
        let block = within.iter().rev().find(|block| block.is("location"))?;
        block.arguments.last().filter(|url| url.starts_with('/')).cloned()
    };
    for (directive, within) in each("root") {
        if location(&within).is_none_or(|url| url == "/") {
            let root = directive.argument(0).unwrap_or_default().to_owned();
            site.root.get_or_insert((root, found.at(directive.line)));
        }
    }
    for (directive, within) in each("alias") {
        if let (Some(url), Some(path)) = (location(&within), directive.argument(0)) {
            site.aliases.push((url, path.to_owned(), found.at(directive.line)));
        }
    }
    for (directive, within) in each("proxy_pass").into_iter().chain(each("uwsgi_pass")) {
        if let Some(to) =
            directive.argument(0).filter(|_| location(&within).is_some_and(|url| url.len() < 20))
        {
            site.proxied.get_or_insert((to.to_owned(), found.at(directive.line)));
        }
    }
    for (directive, _) in each("index") {
        site.index.extend(directive.arguments.iter().cloned());
    }
    if site.root.is_none() && !site.aliases.is_empty() {
        let (_, path, place) = site.aliases.remove(0);
        site.root = Some((path.trim_end_matches('/').to_owned(), place));
    }
}

fn read_lighttpd(found: &Found<'_>, site: &mut Site) {
    for (index, line) in
        found.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'))
    {
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let [url, path] = quoted[..] else { continue };
        if url.starts_with('/') && path.starts_with('/') {
            let place = found.at(index + 1);
            match path.contains("cgi") {
                true => site.cgi.push((url.to_owned(), path.to_owned(), place)),
                false => drop(site.root.get_or_insert((path.trim_end_matches('/').to_owned(), place))),
            }
        }
    }
}

/// Looks for what snippets did not name.
fn look(shipped: &Shipped, app: &str, site: &mut Site) {
    let mut pages: Vec<(String, Place)> = Vec::new();
    for (package, path) in shipped.paths() {
        let place = || Place { package: package.to_owned(), path: path.clone(), line: 0 };
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_example = path.starts_with("/usr/share/doc/");
        if path.starts_with("/usr/lib/cgi-bin/") && site.cgi.is_empty() && !path.contains("/htbin/") {
            site.cgi.push((
                format!("/cgi-bin/{}", path.trim_start_matches("/usr/lib/cgi-bin/")),
                path.clone(),
                place(),
            ));
        } else if (name.ends_with(".wsgi") || name == "wsgi.py") && (!is_example || site.wsgi.is_none()) {
            site.wsgi.get_or_insert((path.clone(), place()));
        } else if name.ends_with(".psgi") && !is_example {
            site.psgi.get_or_insert((path.clone(), place()));
        } else if name == "config.ru" && !is_example {
            site.rack.get_or_insert((path.clone(), place()));
        } else if ["index.php", "index.html"].contains(&name) && !is_example {
            pages.push((path.clone(), place()));
        }
    }
    if site.root.is_some()
        || site.wsgi.is_some()
        || site.psgi.is_some()
        || site.rack.is_some()
        || !site.cgi.is_empty()
    {
        return;
    }
    // Pages lie where the app does; the directory that is named for being served counts before those beside it.
    let rank = |(path, _): &&(String, Place)| {
        let named = ["/public/", "/public_html/", "/htdocs/", "/www/", "/web/", "/html/"]
            .iter()
            .any(|name| path.contains(name));
        let of_app = path.contains(&format!("/{app}/"));
        (path.ends_with(".html"), !of_app, !named, path.matches('/').count(), path.clone())
    };
    if let Some((path, place)) = pages
        .iter()
        .filter(|(path, _)| path.starts_with("/usr/share/") || path.starts_with("/var/"))
        .min_by_key(rank)
    {
        let root = path.rsplit_once('/').map_or("/", |(directory, _)| directory).to_owned();
        site.root = Some((root, place.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_of_apache_names_root_front_and_what_is_denied() {
        let snippet = "#Alias /tea /usr/share/tea/public\nAlias /icons /usr/share/tea/icons\n\
                       <Directory /usr/share/tea/public/>\n  Require all granted\n  DirectoryIndex tea.php\n  \
                       RewriteCond %{REQUEST_FILENAME} !-f\n  RewriteRule ^(.*)$ index.php?q=$1 [L]\n  \
                       php_value upload_max_filesize 5M\n</Directory>\n\
                       <Directory /usr/share/tea/public/config>\n  Require all denied\n</Directory>\n\
                       <Directory /usr/share/tea/public/images>\n  php_admin_flag engine off\n</Directory>\n";
        let files = [("/etc/tea/apache.conf", snippet), ("/usr/share/tea/public/index.php", "")];
        let site = site(&Shipped::made("tea", &[], &files), "tea");
        assert_eq!(
            site.root.as_ref().map(|(root, place)| (root.as_str(), place.line)),
            Some(("/usr/share/tea/public", 3))
        );
        assert_eq!(site.aliases[0].0, "/icons");
        assert_eq!(site.front.as_ref().map(|(script, _)| script.as_str()), Some("index.php?q=$uri"));
        assert_eq!(site.denied[0].0, "/usr/share/tea/public/config");
        assert_eq!(site.inert[0].0, "/usr/share/tea/public/images");
        assert_eq!(site.index, ["tea.php"]);
        assert_eq!(site.php_values[0].1, "5M");
    }

    #[test]
    fn cgi_programs_are_found_with_and_without_a_snippet() {
        let snippet = "ScriptAlias /tea/tea.cgi /usr/lib/cgi-bin/tea.cgi\nAlias /tea /usr/share/tea/www\n";
        let files =
            [("/etc/apache2/conf-available/tea.conf", snippet), ("/usr/lib/cgi-bin/tea.cgi", "#!/bin/sh\n")];
        let with = site(&Shipped::made("tea", &[], &files), "tea");
        assert_eq!(with.cgi[0].0, "/tea/tea.cgi");
        assert_eq!(with.aliases[0].1, "/usr/share/tea/www");
        let without = site(&Shipped::made("tea", &[], &files[1..]), "tea");
        assert_eq!(
            (without.cgi[0].0.as_str(), without.cgi[0].1.as_str()),
            ("/cgi-bin/tea.cgi", "/usr/lib/cgi-bin/tea.cgi")
        );
    }

    #[test]
    fn pages_are_looked_for_where_nothing_is_said() {
        let files = [
            ("/usr/share/doc/tea/html/index.html", ""),
            ("/usr/share/tea/lib/deep/index.php", ""),
            ("/usr/share/tea/htdocs/index.php", ""),
        ];
        let site = site(&Shipped::made("tea", &[], &files), "tea");
        assert_eq!(site.root.map(|(root, _)| root).as_deref(), Some("/usr/share/tea/htdocs"));
    }

    #[test]
    fn a_proxy_names_the_address_of_the_app() {
        let snippet = "server {\n  location / {\n    proxy_pass http://127.0.0.1:5232/;\n  }\n}\n";
        let site =
            site(&Shipped::made("tea", &[], &[("/usr/share/doc/tea/examples/nginx-tea", snippet)]), "tea");
        assert_eq!(
            site.proxied.map(|(to, place)| (to, place.line)),
            Some(("http://127.0.0.1:5232/".into(), 3))
        );
    }
}
