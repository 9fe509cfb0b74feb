//! Mends of a recipe folder: the texts of recipe.toml and setup.sh with one thing changed. All else stays as its author
//! wrote it.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::{Mend, causes::BACKGROUND};
use crate::recipe::push_line;

/// The texts of a recipe folder that mends change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// recipe.toml.
    pub recipe: String,
    /// The script of `[setup]`, where the recipe has one below files/: its path in the folder, and its text.
    pub setup: Option<(String, String)>,
}

/// The script that mends add to, where the recipe has none.
const SETUP: &str = "files/setup.sh";

/// Changes a folder; `None` where there is no place for the mend, or it is there already.
pub fn apply(folder: &Folder, mend: &Mend) -> Option<Folder> {
    let mut document: DocumentMut = folder.recipe.parse().ok()?;
    let mut out = folder.clone();
    match mend {
        Mend::Port(port) => {
            let web =
                document.entry("web").or_insert_with(|| Item::Table(Table::new())).as_table_like_mut()?;
            web.insert("port", value(i64::from(*port)));
        }
        Mend::Proc => {
            let sandbox =
                document.entry("sandbox").or_insert_with(|| Item::Table(Table::new())).as_table_like_mut()?;
            sandbox.insert("proc", value(true));
        }
        Mend::Host => {
            document.get_mut("web")?.as_table_like_mut()?.insert("host", value("localhost"));
        }
        Mend::Without(service) => {
            let services = document.get_mut("service")?.as_array_of_tables_mut()?;
            let at = services
                .iter()
                .position(|table| table.get("name").and_then(Item::as_str) == Some(service))?;
            let command = services.get(at)?.get("command").map(ToString::to_string).unwrap_or_default();
            services.remove(at);
            let todo = format!(
                "# TODO: the service {service} ended at its first start, and was left out: command ={command}.\n"
            );
            // The head of the text, which stays above all tables.
            let first = document.as_table_mut().iter_mut().next()?.1.as_table_mut()?;
            let before =
                first.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
            first.decor_mut().set_prefix(before.trim_end_matches('\n').to_owned() + "\n" + &todo + "\n");
        }
        Mend::Links(hosts) => {
            let web = document.get_mut("web")?.as_table_like_mut()?;
            let list = web.entry("links_to").or_insert(Item::Value(Array::new().into())).as_array_mut()?;
            for host in hosts {
                if !list.iter().any(|known| known.as_str() == Some(host)) {
                    list.push(host.as_str());
                }
            }
        }
        Mend::Package(names) => {
            let name = names.first()?;
            let debian = document.get_mut("debian")?.as_table_like_mut()?;
            let list = debian.entry("packages").or_insert(Item::Value(Array::new().into())).as_array_mut()?;
            if list.iter().any(|known| known.as_str() == Some(name)) {
                return None;
            }
            push_line(list, "", name);
        }
        Mend::Foreground { service, options } => {
            let command = command_of(&mut document, service)?;
            if options.is_empty() {
                let sends = |word: &Value| word.as_str().is_some_and(|word| BACKGROUND.contains(&word));
                let at = command.iter().position(sends)?;
                command.remove(at);
            } else {
                options.iter().for_each(|option| command.push(option.as_str()));
            }
        }
        Mend::Variable(name) => {
            let app = document.get("app")?.as_table_like()?.get("name")?.as_str()?;
            let path = format!("/var/lib/{app}");
            let known = document.contains_key("env");
            let env =
                document.entry("env").or_insert_with(|| Item::Table(Table::new())).as_table_like_mut()?;
            if env.contains_key(name) {
                return None;
            }
            env.insert(name, value(&path));
            if !known {
                document.get_mut("env")?.as_table_mut()?.decor_mut().set_prefix("\n");
            }
            add_setup(&mut document, &mut out, &format!("mkdir -p {path}\n"))?;
        }
        Mend::Directory(path) => add_setup(&mut document, &mut out, &format!("mkdir -p {path}\n"))?,
        Mend::File(path) => add_setup(&mut document, &mut out, &format!(": > {path}\n"))?,
        Mend::Writable(path) => {
            let own = format!("/var/lib/own{path}");
            lay(&mut document, path, "moved", value(own), "The app writes here.")?;
        }
        Mend::RunDirectory(path) => {
            lay(&mut document, path, "directory", value(true), "/run is empty at each start.")?;
        }
    }
    let text = document.to_string();
    out.recipe = match done(mend) {
        // What `init` could not find out is found now.
        Some(word) => text
            .split_inclusive('\n')
            .filter(|line| !(line.starts_with("# TODO: ") && line.contains(word)))
            .collect(),
        None => text,
    };
    (out != *folder).then_some(out)
}

/// Returns words of the TODO that a mend settles.
fn done(mend: &Mend) -> Option<&str> {
    match mend {
        Mend::Port(_) => Some("the port of "),
        Mend::Foreground { .. } => Some(" leaves the foreground"),
        _ => None,
    }
}

/// Returns the text of a recipe in which the steps that expect nothing of their page expect its title; `None` where there
/// is no such step.
pub fn with_title(text: &str, title: &str) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let steps = document.get_mut("exercise")?.as_array_of_tables_mut()?;
    let mut changed = false;
    for step in steps.iter_mut().filter(|step| step.contains_key("get") && !step.contains_key("contains")) {
        step.insert("contains", value(title));
        changed = true;
    }
    changed.then(|| document.to_string())
}

fn command_of<'a>(document: &'a mut DocumentMut, service: &str) -> Option<&'a mut Array> {
    let services = document.get_mut("service")?.as_array_of_tables_mut()?;
    let named = |table: &&mut Table| table.get("name").and_then(Item::as_str) == Some(service);
    services.iter_mut().find(named)?.get_mut("command")?.as_array_mut()
}

/// Adds lines to the script of `[setup]`, or makes one.
fn add_setup(document: &mut DocumentMut, folder: &mut Folder, lines: &str) -> Option<()> {
    if let Some((_, text)) = &mut folder.setup {
        if text.contains(lines) {
            return None;
        }
        // Before all else, right behind `set -eu`: what follows may want it.
        let at = text.find("set -eu\n").map_or(text.len(), |at| at + "set -eu\n".len());
        text.insert_str(at, lines);
        return Some(());
    }
    if document.contains_key("setup") {
        return None;
    }
    folder.setup =
        Some((SETUP.into(), format!("#!/bin/sh\n# The first start of a grain.\nset -eu\n{lines}")));
    lay(document, "/app/setup.sh", "source", value(SETUP), "")?.insert("mode", value("0755"));
    let mut table = Table::new();
    table.insert("command", value(Array::from_iter(["/bin/sh", "/app/setup.sh"])));
    table.decor_mut().set_prefix("\n# Once per grain, on its new /var.\n");
    document.insert("setup", Item::Table(table));
    Some(())
}

/// Adds a `[[file]]` with one more key, unless there is one of that path.
fn lay<'a>(
    document: &'a mut DocumentMut,
    path: &str,
    key: &str,
    what: Item,
    says: &str,
) -> Option<&'a mut Table> {
    let files = document.entry("file").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let files = files.as_array_of_tables_mut()?;
    if files.iter().any(|table| table.get("path").and_then(Item::as_str) == Some(path)) {
        return None;
    }
    let mut table = Table::new();
    table.insert("path", value(path));
    table.insert(key, what);
    table.decor_mut().set_prefix(if says.is_empty() { "\n".to_owned() } else { format!("\n# {says}\n") });
    files.push(table);
    let last = files.len() - 1;
    files.get_mut(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "# Tea.\n[app]\nname = \"tea\"\n\n[debian]\nsuite = \"bookworm\"\npackages = [\n    \"nginx\", # serves\n]\n\n\
                          [[service]]\nname = \"pot\"\ncommand = [\"/usr/bin/pot\", \"--daemon\"]\n\n[web]\nport = 8000 # a guess\n";

    fn folder() -> Folder {
        Folder { recipe: RECIPE.into(), setup: None }
    }

    fn mended(mends: &[Mend]) -> Folder {
        mends.iter().fold(folder(), |folder, mend| {
            apply(&folder, mend).unwrap_or_else(|| panic!("{mend} has a place"))
        })
    }

    #[test]
    fn a_mend_changes_one_thing() {
        let port = mended(&[Mend::Port(81)]).recipe;
        assert_eq!(port, RECIPE.replace("8000 # a guess", "81"));
        let package = mended(&[Mend::Package(vec!["php-xml".into()])]);
        assert!(package.recipe.contains("\"nginx\", # serves\n"), "{}", package.recipe);
        assert!(package.recipe.contains("\"php-xml\""), "{}", package.recipe);
        assert_eq!(apply(&package, &Mend::Package(vec!["php-xml".into()])), None);
        let stays = mended(&[Mend::Foreground { service: "pot".into(), options: Vec::new() }]);
        assert_eq!(stays.recipe, RECIPE.replace(", \"--daemon\"", ""));
    }

    #[test]
    fn a_service_that_is_left_out_is_a_todo() {
        let without = mended(&[Mend::Without("pot".into())]).recipe;
        let todo = "# Tea.\n# TODO: the service pot ended at its first start, and was left out: command = [\"/usr/bin/pot\", \"--daemon\"].\n\n[app]\n";
        assert!(without.starts_with(todo), "{without}");
        assert!(!without.contains("[[service]]"), "{without}");
    }

    #[test]
    fn directories_are_made_by_setup_and_by_services() {
        let twice =
            mended(&[Mend::Directory("/var/lib/tea".into()), Mend::Directory("/var/lib/cups".into())]);
        let (name, text) = twice.setup.clone().expect("is made");
        assert_eq!(
            (name.as_str(), text.as_str()),
            (
                "files/setup.sh",
                "#!/bin/sh\n# The first start of a grain.\nset -eu\nmkdir -p /var/lib/cups\nmkdir -p /var/lib/tea\n"
            )
        );
        assert_eq!(twice.recipe.matches("/app/setup.sh").count(), 2, "{}", twice.recipe);
        let run = mended(&[Mend::RunDirectory("/run/a".into()), Mend::Writable("/etc/tea".into())]);
        assert!(run.recipe.contains("[[file]]\npath = \"/run/a\"\ndirectory = true\n"), "{}", run.recipe);
        assert!(
            run.recipe.contains("path = \"/etc/tea\"\nmoved = \"/var/lib/own/etc/tea\"\n"),
            "{}",
            run.recipe
        );
        assert_eq!(apply(&run, &Mend::RunDirectory("/run/a".into())), None);
        let variable = mended(&[Mend::Variable("TEAPATH".into())]);
        assert!(variable.recipe.contains("\n[env]\nTEAPATH = \"/var/lib/tea\"\n"), "{}", variable.recipe);
        assert!(variable.setup.expect("is made").1.ends_with("mkdir -p /var/lib/tea\n"));
    }
}
