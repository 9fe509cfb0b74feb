//! From a view's uses to lines of `used.list`.

use std::collections::HashSet;

use crate::{
    evidence::{Kinds, Services, Use, UsedLine, UsedList, step},
    layout::INIT,
    recipe::Recipe,
    store::Store,
    tree::{Tree, TreePath},
};

/// Where a grain has mounts of its own: nothing there is the root's.
const MOUNTED: [&[u8]; 5] = [b"dev", b"proc", b"run", b"tmp", b"var"];

/// The library that the C library loads where a thread ends while it waits, as some do when a service
/// stops: whether that happens is chance, so it is no evidence. A rule keeps it ([`prune`](crate::prune)).
const BY_CHANCE: &[u8] = b"libgcc_s.so.1";

/// The names of packages, recipe files and services.
pub(super) struct Names<'a> {
    tree: &'a Tree,
    owner: &'a dyn Fn(&[u8]) -> Option<String>,
    laid: HashSet<TreePath>,
    services: Services,
}

impl<'a> Names<'a> {
    /// Takes names from the recipe and from `owner`, which knows the package of a stage path. `tree` is the
    /// stage's, with the recipe's files on it.
    pub(super) fn new(
        recipe: &Recipe,
        tree: &'a Tree,
        store: &Store,
        owner: &'a dyn Fn(&[u8]) -> Option<String>,
    ) -> Self {
        let place = |path: &TreePath| {
            let parent = tree.resolve(path.parent_bytes().unwrap_or_default(), |_| {})?;
            parent.join(path.file_name()).ok()
        };
        let laid = recipe.files.iter().filter_map(|file| place(&file.path)).collect();
        let services = Services::of(recipe, tree, store);
        Names { tree, owner, laid, services }
    }

    fn package(&self, path: &TreePath) -> String {
        if self.laid.contains(path) {
            return "recipe".to_owned();
        }
        (self.owner)(path.as_bytes()).unwrap_or_default()
    }
}

/// Makes the list: paths of the stage, each with the package it is from.
///
/// Left out are what is absent, what lies on a grain's own mounts, and what is tinyroot's own or laid by it.
pub(super) fn list(uses: Vec<Use>, var: Vec<(TreePath, Kinds)>, names: &Names<'_>) -> UsedList {
    let mut list = UsedList::new();
    for used in uses {
        let at = used.path.in_tree();
        let ours = at.is_at_or_below(b"tinyroot");
        // The first process walks the skeleton to copy it; apps only reach it through links made there.
        let kinds = match ours {
            true => only(used.kinds, &[Kinds::EXECUTED, Kinds::OPENED, Kinds::WRITTEN]),
            false => used.kinds.without(Kinds::ABSENT),
        };
        let hidden = MOUNTED.iter().any(|mount| at.is_at_or_below(mount)) || (ours && !used.path.is_of_var());
        if kinds.is_empty() || hidden || at.file_name() == BY_CHANCE {
            continue;
        }
        let path = used.path.to_stage();
        if names.tree.get(path.as_bytes()).is_none() {
            continue;
        }
        let first = used.program.as_ref() == INIT || used.program.as_ref() == "tinyroot";
        let line = UsedLine {
            kinds,
            program: if used.program.as_ref() == "?" { String::new() } else { used.program.to_string() },
            package: names.package(&path),
            service: if first { String::new() } else { names.services.name(&used.service) },
            step: step::cut(&used.step),
        };
        list.insert(path, line);
    }
    for (path, kinds) in var {
        let package = names.package(&path);
        let (program, service, step) = (String::new(), String::new(), String::new());
        list.insert(path, UsedLine { kinds, program, package, service, step });
    }
    list
}

fn only(kinds: Kinds, wanted: &[Kinds]) -> Kinds {
    let all = wanted.iter().fold(Kinds::none(), |all, kind| all.union(*kind));
    kinds.without(kinds.without(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layout::ImagePath, recipe, tree::Entry};

    const RECIPE: &str = r#"
[app]
name = "tea"
packages = ["tea"]
[debian]
suite = "bookworm"
[[file]]
path = "/lib/tea/tea.conf"
content = "milk = no\n"
[setup]
command = ["/app/setup"]
[[service]]
name = "pot"
command = ["/bin/pot", "-f"]
[[service]]
name = "one"
command = ["/bin/sh", "1"]
[[service]]
name = "two"
command = ["/bin/sh", "2"]
"#;

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).expect("a good path")
    }

    fn used(at: &str, kinds: Kinds, program: &str, service: &str) -> Use {
        Use {
            path: ImagePath::in_image(path(at)),
            kinds,
            program: program.into(),
            service: service.into(),
            step: "GET:/a b".into(),
        }
    }

    #[test]
    fn lines_speak_of_the_stage_and_of_the_recipe() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("recipe.toml"), RECIPE).expect("writes");
        let recipe = recipe::read(directory.path()).expect("a good recipe");
        let store = Store::open(&directory.path().join("cache")).expect("opens");
        let mut tree = Tree::new();
        for (at, text) in
            [("usr/bin/pot", "\x7fELF"), ("usr/bin/dash", "\x7fELF"), ("app/setup", "#! /bin/perl -w\n")]
        {
            tree.insert(path(at), Entry::file(store.put(text), text.len() as u64, 0o755, 0));
        }
        tree.insert(path("usr/bin/perl"), Entry::file(store.put("p"), 1, 0o755, 0));
        tree.insert(path("usr/bin/sh"), Entry::symlink("dash", 0));
        tree.insert(path("usr/lib/tea"), Entry::directory(0));
        tree.insert(path("bin"), Entry::symlink("usr/bin", 0));
        tree.insert(path("lib"), Entry::symlink("usr/lib", 0));
        for at in ["etc/x", "usr/lib/tea/tea.conf", "usr/lib/x", "var/lib/copied", "var/lib/linked"] {
            tree.insert(path(at), Entry::file(store.put("x"), 1, 0o644, 0));
        }
        tree.add_parents(0);
        let owner = |at: &[u8]| at.starts_with(b"usr/").then(|| "tea".to_owned());
        let names = Names::new(&recipe, &tree, &store, &owner);
        let read = Kinds::OPENED;
        let uses = vec![
            used("bin", Kinds::READ_LINK, INIT, ""),
            used("dev", Kinds::STAT, "/usr/bin/pot", "/usr/bin/pot"),
            used("etc/hosts", read, "/usr/bin/perl", "/usr/bin/perl"),
            used("etc/x", read, "/usr/bin/perl", "/usr/bin/perl"),
            used("tinyroot/init", Kinds::EXECUTED, "tinyroot", ""),
            used("tinyroot/var", Kinds::TRAVERSED, INIT, ""),
            used("tinyroot/var/lib/linked", read, "/usr/bin/pot", "/usr/bin/pot"),
            used("tinyroot/var/lib/walked", Kinds::STAT, INIT, ""),
            used("usr/bin/dash", Kinds::EXECUTED, INIT, ""),
            used("usr/lib/tea/none", Kinds::ABSENT, "/usr/bin/pot", "/usr/bin/pot"),
            used("usr/lib/tea/tea.conf", read, "/usr/bin/pot", "/usr/bin/pot"),
            used("usr/lib/x", read, "?", "/usr/bin/dash"),
        ];
        let var = vec![(path("var/lib/copied"), Kinds::WRITTEN)];
        let text = list(uses, var, &names).to_text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "/bin read-link /tinyroot/init - - GET:/a\\x20b",
                "/etc/x opened /usr/bin/perl - setup GET:/a\\x20b",
                "/usr/bin/dash executed /tinyroot/init tea - GET:/a\\x20b",
                "/usr/lib/tea/tea.conf opened /usr/bin/pot recipe pot GET:/a\\x20b",
                // Two services run this program: its own name has to do.
                "/usr/lib/x opened - tea dash GET:/a\\x20b",
                "/var/lib/copied written - - - -",
                "/var/lib/linked opened /usr/bin/pot - pot GET:/a\\x20b",
            ]
        );
    }
}
