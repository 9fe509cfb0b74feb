//! The database that an app wants, as dbconfig-common would make it, and the file that tells the app of it.

use super::{
    Draft, Laid, Service, Step, Wanted, What,
    shipped::{Place, Shipped},
    texts,
};
use crate::formats::shell_assignments::Assignments;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server of MariaDB.
    MariaDb,
    /// A server of PostgreSQL.
    PostgreSql,
}

/// The database of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Which.
    pub kind: Kind,
    /// What says so.
    pub place: String,
    /// The name of the database.
    name: String,
    user: String,
    /// The directory of a database that is a file.
    directory: String,
    /// The SQL that makes its tables.
    schema: Option<String>,
    include: Option<Include>,
    /// Scripts that dbconfig-common would run after that.
    scripts: Option<String>,
}

/// The file from which the app learns of its database.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Include {
    /// `php`, `perl`, `sh` or `template`.
    format: String,
    path: String,
    template: Option<String>,
    /// Names of the values that are other than dbconfig's.
    renamed: Vec<(String, String)>,
    place: Place,
}

/// The words of dbconfig-common for kinds, best first.
const KINDS: [(&str, Kind); 3] =
    [("sqlite3", Kind::Sqlite), ("mysql", Kind::MariaDb), ("pgsql", Kind::PostgreSql)];

/// Finds out which database an app wants: of several kinds that of a package that was named beside it, such as `postgresql`,
/// else the best.
pub fn database(shipped: &Shipped, app: &str, packages: &[String]) -> Option<Database> {
    let is_named =
        |words: &[&str]| packages.iter().skip(1).any(|name| words.iter().any(|word| name.contains(word)));
    let named = match () {
        () if is_named(&["postgresql", "pgsql"]) => Some(Kind::PostgreSql),
        () if is_named(&["mariadb", "mysql"]) => Some(Kind::MariaDb),
        () if is_named(&["sqlite"]) => Some(Kind::Sqlite),
        () => None,
    };
    of_dbconfig(shipped, named).or_else(|| of_depends(shipped, app, named))
}

fn of_dbconfig(shipped: &Shipped, named: Option<Kind>) -> Option<Database> {
    let postinst = shipped.control("postinst").find(|found| found.text.contains("dbconfig-common/dpkg/"))?;
    let package = postinst.package.to_owned();
    let mut known = Assignments::default();
    let config = shipped.control("config").find(|found| found.package == package);
    known.read(config.as_ref().map(|found| found.text).unwrap_or_default(), true);
    known.read(postinst.text, true);
    // `dbc_go NAME "$@"` has the name by which dbconfig-common knows it.
    let go = postinst.text.lines().find_map(|line| line.trim().strip_prefix("dbc_go "));
    let go = go.and_then(|rest| rest.split_whitespace().next()).filter(|name| !name.contains('$'));
    let package = go.unwrap_or(&package).to_owned();
    let data = |what: &str, kind: &str| {
        let path = format!("/usr/share/dbconfig-common/{what}/{package}/install/{kind}");
        shipped.has(&path).then_some(path)
    };
    let types = known.get("dbc_dbtypes").unwrap_or_default().to_owned();
    let single = ["mysql", "pgsql", "sqlite3"]
        .into_iter()
        .find(|kind| postinst.text.contains(&format!("dpkg/postinst.{kind}")));
    let offers = |kind: &str| types.contains(kind) || single == Some(kind) || data("data", kind).is_some();
    let offered = || KINDS.into_iter().filter(|(word, _)| offers(word));
    let (word, kind) = offered().find(|(_, kind)| Some(*kind) == named).or_else(|| offered().next())?;
    // What scripts say of the kind that was chosen.
    let mut known = Assignments::default();
    known.read(&format!("dbtype={word}\n"), true);
    known.read(config.as_ref().map(|found| found.text).unwrap_or_default(), true);
    known.read(postinst.text, true);
    let plain = package.replace(['+', '.', '-'], "");
    let line = |name: &str| postinst.text.lines().position(|line| line.contains(name)).map_or(0, |at| at + 1);
    let include =
        known.get("dbc_generate_include").and_then(|value| value.split_once(':')).map(|(format, path)| {
            let arguments = known.get("dbc_generate_include_args").unwrap_or_default();
            let mut template = None;
            let mut renamed = Vec::new();
            for word in arguments.split_whitespace() {
                if let Some(path) = word.strip_prefix("template_infile=") {
                    template = Some(path.to_owned());
                } else if let Some((name, value)) =
                    word.strip_prefix("--").and_then(|word| word.split_once('='))
                {
                    renamed.push((name.to_owned(), value.to_owned()));
                }
            }
            let place = postinst.at(line("dbc_generate_include="));
            Include { format: format.to_owned(), path: path.to_owned(), template, renamed, place }
        });
    Some(Database {
        kind,
        place: postinst.at(line("dbconfig-common/dpkg/")).to_string(),
        name: known.get("dbc_dbname").filter(|name| !name.is_empty()).unwrap_or(&plain).to_owned(),
        user: known.get("dbc_dbuser").filter(|name| !name.is_empty()).unwrap_or(&plain).to_owned(),
        directory: known
            .get("dbc_basepath")
            .filter(|path| path.starts_with("/var/"))
            .map_or_else(|| format!("/var/lib/dbconfig-common/sqlite3/{package}"), str::to_owned),
        schema: data("data", word),
        include,
        scripts: data("scripts", word),
    })
}

/// Packages that an app wants for a kind of database, best first.
fn of_depends(shipped: &Shipped, app: &str, named: Option<Kind>) -> Option<Database> {
    /// A kind, and the packages that are a sign of it.
    type Sign = (Kind, fn(&str) -> bool);
    // Drivers count that the app cannot be without; of the drivers that it recommends, one may be for something else.
    let drivers: [Sign; 3] = [
        (Kind::Sqlite, |name| {
            name.contains("php") && name.ends_with("sqlite3") || name == "libdbd-sqlite3-perl"
        }),
        (Kind::MariaDb, |name| {
            name.contains("php") && (name.ends_with("-mysql") || name.ends_with("-mysqlnd"))
        }),
        (Kind::PostgreSql, |name| name.contains("php") && name.ends_with("-pgsql")),
    ];
    let servers: [Sign; 2] = [
        (Kind::MariaDb, |name| name.contains("mysql-server") || name.contains("mariadb-server")),
        (Kind::PostgreSql, |name| name == "postgresql"),
    ];
    let plain = app.replace(['+', '.', '-'], "");
    let by_name = drivers.into_iter().find(|(kind, _)| Some(*kind) == named);
    let by_name = by_name.and_then(|(kind, is_it)| Some((kind, shipped.wants(is_it)?)));
    let by_driver =
        by_name.or_else(|| drivers.into_iter().find_map(|(kind, is_it)| Some((kind, shipped.needs(is_it)?))));
    let found = by_driver
        .or_else(|| servers.into_iter().find_map(|(kind, is_it)| Some((kind, shipped.wants(is_it)?))));
    found.map(|(kind, (package, name))| Database {
        kind,
        place: format!("{package} names {name}"),
        name: plain.clone(),
        user: plain.clone(),
        directory: format!("/var/lib/{app}"),
        schema: None,
        include: None,
        scripts: None,
    })
}

impl Database {
    /// Returns the packages that it needs, as names to choose from.
    pub fn packages(&self) -> Vec<&'static str> {
        match self.kind {
            Kind::Sqlite if self.schema.is_some() => vec!["sqlite3"],
            Kind::Sqlite => Vec::new(),
            Kind::MariaDb => vec!["mariadb-server"],
            Kind::PostgreSql => vec!["postgresql"],
        }
    }

    /// Returns the endings that an app's own package for it may have.
    pub fn endings(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Sqlite => &["sqlite3", "sqlite"],
            Kind::MariaDb => &["mysql"],
            Kind::PostgreSql => &["pgsql", "postgresql"],
        }
    }

    /// Returns the ending of PHP's package for it.
    pub fn php(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite => "sqlite3",
            Kind::MariaDb => "mysql",
            Kind::PostgreSql => "pgsql",
        }
    }

    /// Adds it to a draft.
    pub fn add(&self, wanted: &Wanted<'_>, draft: &mut Draft) {
        let from = &self.place;
        match self.kind {
            Kind::Sqlite => self.add_sqlite(draft),
            Kind::MariaDb => {
                draft.files.push(file("my.cnf", texts::MY_CNF, format!("MariaDB for one app ({from}).")));
                draft.files.push(run_directory("/run/mysqld"));
                draft.setup.push(Step {
                    says: format!("An empty MariaDB, with the app's database and user ({from})."),
                    text: texts::MARIADB_SETUP
                        .replace("@DATABASE@", &self.name)
                        .replace("@USER@", &self.user)
                        .replace(
                            "@SCHEMA@",
                            &self.schema.as_ref().map_or(String::new(), |path| {
                                format!("    echo 'USE `{}`;'\n    cat {path}\n", self.name)
                            }),
                        ),
                });
                draft.services.push(Service {
                    more: vec!["stop_timeout_s = 60".into()],
                    ..service(
                        "database",
                        "MariaDB, reached by its socket alone.",
                        &["/usr/sbin/mariadbd", "--defaults-file=/app/my.cnf"],
                        Some("socket = \"/run/mysqld/mysqld.sock\""),
                    )
                });
            }
            Kind::PostgreSql => {
                let version = wanted.version("postgresql-", "").unwrap_or("15");
                let bin = format!("/usr/lib/postgresql/{version}/bin");
                draft.files.push(file(
                    "postgresql.conf",
                    texts::POSTGRESQL_CONF,
                    format!("PostgreSQL for one app ({from})."),
                ));
                draft.files.push(run_directory("/run/postgresql"));
                let program = format!("{bin}/postgres");
                draft.setup.push(Step {
                    says: format!(
                        "An empty cluster of PostgreSQL, with the app's database and user ({from})."
                    ),
                    text: texts::POSTGRESQL_SETUP
                        .replace("@BIN@", &bin)
                        .replace("@DATABASE@", &self.name)
                        .replace("@USER@", &self.user)
                        .replace(
                            "@SCHEMA@",
                            &self.schema.as_ref().map_or(String::new(), |path| {
                                format!(
                                    "psql --quiet --username={} --file={path} {} > /dev/null\n",
                                    self.user, self.name
                                )
                            }),
                        ),
                });
                draft.services.push(Service {
                    more: vec!["stop_signal = \"SIGINT\"".into(), "stop_timeout_s = 60".into()],
                    ..service(
                        "database",
                        "PostgreSQL, reached by its socket alone.",
                        &[
                            &program,
                            "-D",
                            "/var/lib/postgresql/grain",
                            "-c",
                            "config_file=/app/postgresql.conf",
                        ],
                        Some("socket = \"/run/postgresql/.s.PGSQL.5432\""),
                    )
                });
            }
        }
        if let Some(include) = &self.include {
            self.tell(include, draft);
        }
        if let Some(scripts) = &self.scripts {
            draft.todo.push(format!(
                "dbconfig-common would run {scripts} once the database is there: do what it does in setup.sh"
            ));
        }
    }

    fn add_sqlite(&self, draft: &mut Draft) {
        let Some(schema) = &self.schema else { return };
        draft.setup.push(Step {
            says: format!("The app's database, a file ({}).", self.place),
            text: format!(
                "mkdir -p {0}\nrm -f {0}/{1}\nsqlite3 {0}/{1} < {schema}\n",
                self.directory, self.name
            ),
        });
    }

    /// Makes the file that dbconfig-common would make.
    fn tell(&self, include: &Include, draft: &mut Draft) {
        let Include { format, path, template, renamed, place } = include;
        let own = format!("/var/lib/dbconfig-common{path}");
        let folder = own.rsplit_once('/').map_or("/var/lib", |(folder, _)| folder);
        let (server, kind) = match self.kind {
            Kind::Sqlite => ("", "sqlite3"),
            Kind::MariaDb => ("localhost", "mysql"),
            Kind::PostgreSql => ("", "pgsql"),
        };
        let (user, password, base) = match self.kind {
            Kind::Sqlite => ("", "", self.directory.as_str()),
            _ => (self.user.as_str(), "$password", ""),
        };
        let values = [
            ("dbuser", user),
            ("dbpass", password),
            ("basepath", base),
            ("dbname", &self.name),
            ("dbserver", server),
            ("dbport", ""),
            ("dbtype", kind),
        ];
        let name = |name: &str| {
            renamed.iter().find(|(old, _)| old == name).map_or(name.to_owned(), |(_, new)| new.clone())
        };
        let mut text = format!("mkdir -p {folder}\n");
        if let Some(template) = template {
            let template = template.replace("${dbtype}", kind).replace("$dbtype", kind);
            text += "sed \\\n";
            for (name, value) in values {
                text += &format!("    -e \"s|_DBC_{}_|{value}|g\" \\\n", name.to_uppercase());
            }
            text += &format!("    {template} > {own}\n");
        } else {
            text += &format!("cat > {own} <<END\n");
            let (before, sigil, after) = match format.as_str() {
                "php" => ("<?php\n", "\\$", ";"),
                "perl" => ("", "\\$", ";"),
                _ => ("", "", ""),
            };
            text += before;
            for (key, value) in values {
                text += &format!("{sigil}{}='{value}'{after}\n", name(key));
            }
            if format == "perl" {
                text += "1;\n";
            }
            text += "END\n";
        }
        draft.setup.push(Step { says: format!("What tells the app of its database ({place})."), text });
        draft.files.push(Laid {
            path: path.clone(),
            what: What::Link(own),
            says: format!("Each grain has its own ({place})."),
        });
    }
}

/// Makes a file below /app.
pub fn file(name: &str, text: &str, says: String) -> Laid {
    let mode = name.ends_with(".sh").then_some("0755");
    Laid {
        path: format!("/app/{name}"),
        what: What::File { name: name.to_owned(), text: text.to_owned(), mode },
        says,
    }
}

/// Makes a directory where Debian's clients look for a socket.
pub fn run_directory(path: &str) -> Laid {
    Laid { path: path.to_owned(), what: What::Directory, says: "/run is empty at each start.".into() }
}

/// Makes a service.
pub fn service(name: &str, says: &str, command: &[&str], ready: Option<&str>) -> Service {
    Service {
        name: name.to_owned(),
        says: says.to_owned(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        env: std::collections::BTreeMap::new(),
        ready: ready.map(str::to_owned),
        more: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTINST: &str = "#!/bin/sh\n. /usr/share/dbconfig-common/dpkg/postinst\ndbc_generate_include=php:/etc/tea/db.php\n\
                            dbc_generate_include_args=\"--dbname=pot -o template_infile=/x/${dbtype}.in\"\ndbc_dbname=pots\n";

    #[test]
    fn dbconfig_names_database_schema_and_the_file_that_tells_of_it() {
        let files = [
            ("config", "dbc_dbtypes=\"mysql, pgsql, sqlite3\"\n"),
            ("postinst", POSTINST),
            ("/usr/share/dbconfig-common/data/tea-pot/install/sqlite3", "CREATE TABLE t (x);\n"),
        ];
        let found = database(&Shipped::made("tea-pot", &[], &files), "tea-pot", &[]).expect("wants one");
        assert_eq!(found.kind, Kind::Sqlite);
        assert_eq!((found.name.as_str(), found.user.as_str()), ("pots", "teapot"));
        assert_eq!(found.schema.as_deref(), Some("/usr/share/dbconfig-common/data/tea-pot/install/sqlite3"));
        let include = found.include.clone().expect("is told");
        assert_eq!((include.path.as_str(), include.place.line), ("/etc/tea/db.php", 3));
        assert_eq!(include.renamed, [("dbname".to_owned(), "pot".to_owned())]);
        assert_eq!(include.template.as_deref(), Some("/x/sqlite3.in"));
        let named = ["tea-pot".to_owned(), "postgresql-15".to_owned()];
        let found = database(&Shipped::made("tea-pot", &[], &files), "tea-pot", &named).expect("wants one");
        assert_eq!(found.kind, Kind::PostgreSql);
    }

    #[test]
    fn dependencies_tell_where_dbconfig_does_not() {
        let kind = |depends: &[&str]| {
            database(&Shipped::made("tea", depends, &[]), "tea", &[]).map(|found| found.kind)
        };
        assert_eq!(kind(&["php-mysql", "php8.2-sqlite3"]), Some(Kind::Sqlite));
        assert_eq!(kind(&["default-mysql-server", "postgresql"]), Some(Kind::MariaDb));
        assert_eq!(kind(&["postgresql"]), Some(Kind::PostgreSql));
        assert_eq!(kind(&["postgresql-client"]), None);
    }
}
