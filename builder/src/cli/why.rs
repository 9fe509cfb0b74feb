//! `tinyroot why`: why a path or package is in an artifact, or why it was pruned.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Context, Failure, finish_json, print, verify::with_file};
use crate::{
    artifact,
    formats::prune_list::{Listed, PruneList, parse_list},
    line::{overlay, prune, read_evidence},
    lock::Lock,
    papers,
    prune::write_list,
    recipe::{self, Recipe},
    store::Store,
    tree::{Tree, TreePath},
};

/// How many paths of a package are printed on each side without --verbose.
const SHOWN: usize = 20;

/// Print the reason why a path or package was kept or pruned
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A package file, - for one on standard input, or a recipe folder: the package built from it, or, without a current one, its present evidence
    artifact: PathBuf,
    /// A path in it, such as /usr/bin/git, or a Debian package
    subject: String,
}

/// What is asked about.
struct Inside {
    tree: Tree,
    list: PruneList,
    lock: Option<Lock>,
}

/// Prints the reason for a path, with all that led to it, or those of a package's paths.
///
/// # Errors
/// An artifact that cannot be opened or has no papers, and a subject that never was in its root.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let inside = match source_of(&args.artifact)? {
        Source::Artifact(file) => {
            let store = context.reading_store()?;
            let artifact = with_file(&file, context, artifact::open)?;
            Inside::read(artifact.tree, &store).ok_or_else(|| {
                let text = format!("{} does not say why its files are in", file.display());
                Failure::new(text).hint("only packages that tinyroot built have a prune.list")
            })?
        }
        Source::Recipe(recipe) => Inside::planned(*recipe, context)?,
    };
    let answer = match inside.packages().find(|package| *package == args.subject) {
        Some(package) => inside.about_package(package),
        None => inside.about_path(&args.subject)?,
    };
    if context.global.json {
        finish_json(&answer.json);
        return Ok(());
    }
    print(&answer.text(context.global.verbose))
}

/// Where the reasons are from.
enum Source {
    /// A package file.
    Artifact(PathBuf),
    /// What a recipe's evidence says now: there is no package, or it is older than the recipe.
    Recipe(Box<Recipe>),
}

/// Returns what an argument means: a package file, or a recipe folder, of which the package counts if it is the newest.
fn source_of(given: &Path) -> Result<Source, Failure> {
    if given.as_os_str() == "-" || !given.is_dir() {
        return Ok(Source::Artifact(given.to_path_buf()));
    }
    let recipe = recipe::read(given)?;
    let file = given.join(format!("{}.spk", recipe.app.name));
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let made_from = [given.join("recipe.toml"), recipe.lock_path(), recipe.used_path()];
    let newest = made_from.iter().filter_map(|path| time(path)).max();
    match time(&file) {
        Some(built) if newest.is_none_or(|newest| newest <= built) => Ok(Source::Artifact(file)),
        _ => Ok(Source::Recipe(Box::new(recipe))),
    }
}

/// An answer in both forms.
struct Answer {
    /// Heading lines, then lists of which a part may be shown.
    head: Vec<String>,
    lists: Vec<Vec<String>>,
    json: Value,
}

impl Answer {
    fn text(&self, whole: bool) -> String {
        let mut out = String::new();
        for line in &self.head {
            out += &format!("{line}\n");
        }
        for list in &self.lists {
            let shown = if whole { list.len() } else { SHOWN.min(list.len()) };
            for line in &list[..shown] {
                out += &format!("  {line}\n");
            }
            if shown < list.len() {
                out += &format!("  and {} more (--verbose shows all)\n", list.len() - shown);
            }
        }
        out
    }
}

impl Inside {
    fn read(tree: Tree, store: &Store) -> Option<Self> {
        let list = papers::prune_list(&tree, store)?;
        let lock = papers::lock(&tree, store);
        Some(Inside { tree, list, lock })
    }

    /// Decides as `build` does, without building: from the lock, the evidence, and the configured root that the cache has.
    fn planned(recipe: Recipe, context: &Context) -> Result<Self, Failure> {
        let session = context.session()?;
        let overlaid = overlay(recipe, &session)?;
        let reduced = prune(&overlaid, &read_evidence(&overlaid)?, &session)?;
        let texts = reduced.files.iter().map(|(path, reduction)| (path, &reduction.text[..]));
        let list = parse_list(&write_list(&reduced.pruned.plan, texts))
            .ok_or_else(|| Failure::new("internal error: the plan cannot be read back"))?;
        Ok(Inside { tree: reduced.pruned.tree, list, lock: Some(overlaid.lock) })
    }

    /// Returns the packages that the list or the lock knows.
    fn packages(&self) -> impl Iterator<Item = &str> {
        let listed = self.list.paths.values().filter_map(|listed| listed.package.as_deref());
        let locked = self.lock.iter().flat_map(|lock| lock.packages.iter().map(|package| &package.name[..]));
        locked.chain(listed)
    }

    fn about_path(&self, subject: &str) -> Result<Answer, Failure> {
        let path = TreePath::new(subject.as_bytes())
            .map_err(|rule| Failure::new(format!("cannot look up `{subject}`: {}", rule.reason)))?;
        let end = self.tree.resolve(path.as_bytes(), |_| {}).unwrap_or_else(|| path.clone());
        let reduced = self.list.reduced.get(&end);
        // A link is a path of its own; a path below a link to a directory is not.
        let path = if self.list.find(&path).is_some() { path } else { end };
        let chain = self.list.chain(&path);
        let Some((_, first)) = chain.first() else { return self.unlisted(path) };
        let is_there = self.tree.get(path.as_bytes()).is_some();
        if !first.kept && is_there {
            return Ok(by_itself(&path, "papers", "one of the artifact's papers"));
        }
        let of = first.package.as_ref().map_or(String::new(), |package| format!(" of {package}"));
        let mut head = vec![format!("/{path}{of} {}", if first.kept { "is kept" } else { "was pruned" })];
        head.extend(chain.iter().map(|(_, listed)| format!("  {}: {}", listed.rule, listed.text())));
        head.extend(reduced.map(|left| format!("  reduced: {left}")));
        if !first.kept {
            head.push(format!("to keep it: [prune] keep = [\"/{path}\"]"));
        }
        let step = |(path, listed): &(&TreePath, &Listed)| json!({ "path": format!("/{path}"), "rule": &*listed.rule, "reason": listed.text() });
        let steps: Vec<Value> = chain.iter().map(step).collect();
        let json = json!({
            "path": format!("/{path}"), "package": first.package.as_deref(), "kept": first.kept, "chain": steps,
            "reduced": reduced,
        });
        Ok(Answer { head, lists: Vec::new(), json })
    }

    /// Answers for a path that the list does not name.
    fn unlisted(&self, path: TreePath) -> Result<Answer, Failure> {
        if self.tree.get(path.as_bytes()).is_none() {
            let text = format!("/{path} was never in the root");
            return Err(Failure::new(text).hint("a package is named without a slash, a path with one"));
        }
        Ok(by_itself(&path, "tinyroot", "written by tinyroot itself"))
    }

    fn about_package(&self, name: &str) -> Answer {
        let own = |listed: &Listed| listed.package.as_deref() == Some(name);
        let lines = |kept: bool| -> Vec<String> {
            let paths = self.list.paths.iter().filter(|(_, listed)| listed.kept == kept && own(listed));
            paths.map(|(path, listed)| format!("/{path}  {}: {}", listed.rule, listed.text())).collect()
        };
        let (kept, pruned) = (lines(true), lines(false));
        let locked = self.lock.as_ref().and_then(|lock| lock.get(name));
        let because = locked.map(|package| package.because.clone());
        let version = locked.map(|package| package.version.clone());
        let mut head = vec![match &version {
            Some(version) => format!("{name} {version}: {} paths kept, {} pruned", kept.len(), pruned.len()),
            None => format!("{name}: {} paths kept, {} pruned", kept.len(), pruned.len()),
        }];
        head.extend(because.iter().map(|because| format!("in the stage root: {because}")));
        let json = json!({
            "package": name, "version": version, "because": because,
            "kept_paths": kept.len(), "pruned_paths": pruned.len(), "kept": kept,
        });
        Answer { head, lists: vec![kept], json }
    }
}

/// Returns the answer for what is in without a decision of pruning.
fn by_itself(path: &TreePath, rule: &str, text: &str) -> Answer {
    let step = json!({ "path": format!("/{path}"), "rule": rule, "reason": text });
    let json = json!({ "path": format!("/{path}"), "package": null, "kept": true, "chain": [step] });
    Answer { head: vec![format!("/{path} is kept"), format!("  {rule}: {text}")], lists: vec![], json }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::Digest, tree::Entry};

    fn inside() -> Inside {
        let list = "tinyroot prune.list 1\n\
            reduced /usr/lib/libxml2.so.2 half of it\n\
            /usr/lib/dom.so php-xml traced opened by php at get:/\n\
            /usr/lib/libxml2.so.2 libxml2 loader libxml2.so.2 NEEDED by <- /usr/lib/dom.so\n\
            dropped - surplus documentation\n/usr/share doc/\n\
            dropped perl-base unused nothing asked for it\n/usr/bin perl\n";
        let mut tree = Tree::new();
        for path in ["usr/lib/dom.so", "usr/share/doc/php-xml/copyright", "tinyroot/init"] {
            let path = TreePath::new(path.as_bytes()).expect("a good path");
            tree.insert(path, Entry::file(Digest::of(b""), 0, 0o644, 0));
        }
        tree.insert(TreePath::new(b"lib").expect("a good path"), Entry::symlink("usr/lib", 0));
        tree.add_parents(0);
        Inside { tree, list: parse_list(list).expect("reads"), lock: None }
    }

    #[test]
    fn tells_the_rule_the_evidence_and_the_chain() {
        let rows = [
            (
                "/usr/lib/libxml2.so.2",
                "/usr/lib/libxml2.so.2 of libxml2 is kept\n  \
                 loader: libxml2.so.2 NEEDED by /usr/lib/dom.so\n  traced: opened by php at get:/\n  \
                 reduced: half of it\n",
            ),
            ("/lib/dom.so", "/usr/lib/dom.so of php-xml is kept\n  traced: opened by php at get:/\n"),
            (
                "/usr/bin/perl",
                "/usr/bin/perl of perl-base was pruned\n  unused: nothing asked for it\n\
                 to keep it: [prune] keep = [\"/usr/bin/perl\"]\n",
            ),
            (
                "/usr/share/doc/php-xml/copyright",
                "/usr/share/doc/php-xml/copyright is kept\n  papers: one of the artifact's papers\n",
            ),
            ("/tinyroot/init", "/tinyroot/init is kept\n  tinyroot: written by tinyroot itself\n"),
        ];
        for (subject, expected) in rows {
            let answer = inside().about_path(subject).map(|answer| answer.text(false));
            assert_eq!(answer.map_err(|failure| failure.to_string()), Ok(expected.to_owned()), "{subject}");
        }
        let never = inside().about_path("/usr/bin/never").map(|answer| answer.text(false));
        let text = never.expect_err("was never there").to_string();
        assert!(text.starts_with("error: /usr/bin/never was never in the root"), "{text}");
    }

    #[test]
    fn a_recipe_answers_itself_where_no_newer_package_is_built() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = "[app]\nname = \"wiki\"\npackages = [\"wiki\"]\n[debian]\nsuite = \"bookworm\"\n\
                    [web]\nport = 8000\n[[exercise]]\nget = \"/\"\n";
        let write = |name: &str, text: &str, minutes: u64| {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("writes");
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 + 60 * minutes);
            let file = fs::File::options().write(true).open(&path).expect("opens");
            file.set_modified(time).expect("sets");
        };
        let is_recipe = || matches!(source_of(directory.path()), Ok(Source::Recipe(_)));
        write("recipe.toml", text, 1);
        assert!(is_recipe());
        write("wiki.spk", "", 2);
        assert!(!is_recipe());
        write("used.list", "", 3);
        assert!(is_recipe());
        let file = directory.path().join("wiki.spk");
        assert!(matches!(source_of(&file), Ok(Source::Artifact(found)) if found == file));
    }

    #[test]
    fn counts_a_packages_paths() {
        assert_eq!(inside().packages().count(), 3);
        assert_eq!(inside().about_package("perl-base").text(false), "perl-base: 0 paths kept, 1 pruned\n");
        assert_eq!(
            inside().about_package("libxml2").text(false),
            "libxml2: 1 paths kept, 0 pruned\n  \
             /usr/lib/libxml2.so.2  loader: libxml2.so.2 NEEDED by /usr/lib/dom.so\n"
        );
    }
}
