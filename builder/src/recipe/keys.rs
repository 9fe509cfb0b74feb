//! The keys of recipe.toml as they are written, and the rules that turn them into a [`Recipe`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Spanned, de::Deserializer};

use super::{
    App, AppPrune, Budget, Debian, LaidContent, Npm, OverlayFile, Prune, Recipe, RecipeError, SandboxKeys,
    Setup, Version, answers, archives,
    base::{Allowed, Layers},
    check::Checker,
    limits::{LimitsKeys, limits},
    npm,
    reduce::{ReduceKeys, reduce},
    service::{ServiceKeys, services},
    step::{StepKeys, step},
    stream,
    web::{WebKeys, web},
};
use crate::formats::size::parse_size;
use crate::formats::suite::is_exact;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeKeys {
    /// Taken out when the recipe is laid over its base.
    #[serde(rename = "base")]
    _base: Option<String>,
    app: AppKeys,
    debian: DebianKeys,
    #[serde(default)]
    npm: Vec<npm::NpmKeys>,
    #[serde(default, rename = "file")]
    files: Vec<FileKeys>,
    setup: Option<SetupKeys>,
    #[serde(default, rename = "service")]
    services: Vec<ServiceKeys>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    web: Option<WebKeys>,
    #[serde(default)]
    exercise: Vec<Spanned<StepKeys>>,
    #[serde(default)]
    prune: PruneKeys,
    #[serde(default)]
    reduce: ReduceKeys,
    #[serde(default)]
    sandbox: SandboxTable,
    #[serde(default)]
    limits: LimitsKeys,
    #[serde(default)]
    budget: BudgetKeys,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppKeys {
    name: Spanned<String>,
    title: Option<String>,
    version: Option<Spanned<String>>,
    release: Option<u32>,
    noun: Option<String>,
    packages: Spanned<Vec<String>>,
    id: Option<Spanned<String>>,
    #[serde(default)]
    state: Vec<Spanned<String>>,
    prune: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DebianKeys {
    suite: Spanned<String>,
    pockets: Option<Vec<String>>,
    components: Option<Spanned<Vec<String>>>,
    architecture: Option<Spanned<String>>,
    #[serde(default)]
    packages: Vec<Spanned<String>>,
    #[serde(default)]
    exclude: Vec<Spanned<String>>,
    recommends: Option<Spanned<archives::RecommendsKeys>>,
    #[serde(default)]
    pins: Vec<archives::PinKeys>,
    #[serde(default)]
    debconf: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    foreign: Option<Spanned<Vec<String>>>,
    mirror: Option<archives::OneOrMany>,
    #[serde(default, rename = "archive")]
    archives: Vec<archives::ArchiveKeys>,
    snapshot: Option<Spanned<String>>,
    snapshot_service: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKeys {
    path: Spanned<String>,
    source: Option<Spanned<String>>,
    content: Option<String>,
    link: Option<String>,
    moved: Option<Spanned<String>>,
    #[serde(default)]
    directory: bool,
    mode: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetupKeys {
    command: Spanned<Vec<String>>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    timeout_s: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PruneKeys {
    keep: Vec<Spanned<String>>,
    drop: Vec<Spanned<String>>,
    keep_package: Vec<Spanned<String>>,
    locales: Vec<String>,
    minified: bool,
    companions: Option<Spanned<String>>,
    imports: Option<Spanned<ImportsKey>>,
}

/// `imports = false` or `"2 MB"`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "prune.imports is false or a size such as \"2 MB\"")]
enum ImportsKey {
    Whether(bool),
    Size(String),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SandboxTable {
    proc: bool,
    terminals: bool,
    tmp: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BudgetKeys {
    artifact: Option<Spanned<String>>,
}

/// The default of `setup.timeout_s`.
const SETUP_TIMEOUT_S: u32 = 120;
/// The default of `sandbox.tmp`. Users complain of Sandstorm's 16 MiB.
const TMP_BYTES: u64 = 64_000_000;

/// The default of `prune.companions`: some 3 MB compressed.
const COMPANION_BYTES: u64 = 12_000_000;

/// The default of `prune.imports`: some 1 MB compressed. A small calendar server in Python takes half of it.
const IMPORTS_BYTES: u64 = 4_000_000;

/// Parses and checks recipe.toml.
pub(super) fn parse(directory: &Path, text: String, allowed: Allowed<'_>) -> Result<Recipe, RecipeError> {
    let layers = Layers::read(directory, &text, allowed)?;
    let merged = layers.merged()?;
    let whole_text = layers.whole_text(&merged);
    let keys = RecipeKeys::deserialize(Deserializer::from(merged)).map_err(|fault| layers.fault(&fault))?;
    let check = Checker { layers: &layers };
    let npm = npm::sets(&check, keys.npm)?;
    let app = app(&check, keys.app, &npm)?;
    let debian = debian(&check, keys.debian)?;
    let files = keys.files.into_iter().map(|f| overlay_file(&check, f)).collect::<Result<_, _>>()?;
    let setup = keys
        .setup
        .map(|setup| {
            let timeout_s =
                check.timeout("setup.timeout_s", setup.command.span(), setup.timeout_s, SETUP_TIMEOUT_S)?;
            let command = check.command(setup.command, "setup.command")?;
            Ok::<_, RecipeError>(Setup { command, env: setup.env, timeout_s })
        })
        .transpose()?;
    let web = keys.web.map(|keys| web(&check, keys)).transpose()?;
    let services = services(&check, keys.services, web.is_some())?;
    let spans: Vec<_> = keys.exercise.iter().map(Spanned::span).collect();
    let exercise = keys.exercise.into_iter().map(|s| step(&check, s)).collect::<Result<Vec<_>, _>>()?;
    stream::open_ones(&check, &exercise, &spans)?;
    let globs = |list: Vec<Spanned<String>>, key: &str| -> Result<Vec<String>, RecipeError> {
        list.into_iter()
            .map(|glob| match glob.get_ref().starts_with('/') && globset::Glob::new(glob.get_ref()).is_ok() {
                true => Ok(glob.into_inner()),
                false => Err(check.rule(glob.span(), format!("{key}: a glob begins with / (see glob(7))"))),
            })
            .collect()
    };
    let imports_set = keys.prune.imports.is_some();
    let prune = Prune {
        imports_set,
        keep: globs(keys.prune.keep, "prune.keep")?,
        drop: globs(keys.prune.drop, "prune.drop")?,
        keep_package: keys
            .prune
            .keep_package
            .iter()
            .map(|name| check.any_package(name.span(), name.get_ref(), "prune.keep_package", &npm))
            .collect::<Result<_, _>>()?,
        locales: keys.prune.locales,
        minified: keys.prune.minified,
        imports_bytes: imports(&check, keys.prune.imports)?,
        companion_bytes: check.size(keys.prune.companions, "prune.companions")?.unwrap_or(COMPANION_BYTES),
    };
    let reduce = reduce(&check, keys.reduce)?;
    let sandbox = SandboxKeys {
        proc: keys.sandbox.proc,
        terminals: keys.sandbox.terminals,
        tmp_bytes: check.size(keys.sandbox.tmp, "sandbox.tmp")?.unwrap_or(TMP_BYTES),
    };
    let limits = limits(&check, keys.limits)?;
    let budget = Budget { artifact_bytes: check.size(keys.budget.artifact, "budget.artifact")? };
    let directory: PathBuf = directory.to_path_buf();
    let env = keys.env;
    Ok(Recipe {
        directory,
        app,
        debian,
        npm,
        files,
        setup,
        services,
        env,
        web,
        exercise,
        prune,
        reduce,
        sandbox,
        limits,
        budget,
        bases: layers.bases(),
        whole_text,
        text,
    })
}

fn app(check: &Checker, keys: AppKeys, npm: &[Npm]) -> Result<App, RecipeError> {
    let name = check.package(&keys.name, "app.name")?;
    let span = keys.packages.span();
    let packages = keys
        .packages
        .into_inner()
        .iter()
        .map(|package| check.any_package(span.clone(), package, "app.packages", npm))
        .collect::<Result<Vec<_>, _>>()?;
    if packages.is_empty() {
        return Err(check.rule(span, "app.packages is empty (name the packages that are the app)"));
    }
    let version = match keys.version {
        None => match packages[0].strip_prefix(npm::PREFIX) {
            Some(name) => Version::Npm(name.to_owned()),
            None => Version::Deb(packages[0].clone()),
        },
        Some(version) => {
            let (span, text) = (version.span(), version.get_ref());
            match (text.strip_prefix("deb:"), text.strip_prefix(npm::PREFIX)) {
                (Some(package), _) => Version::Deb(check.package_name(span, package, "app.version")?),
                (_, Some(name)) => {
                    check.any_package(span, text, "app.version", npm)?;
                    Version::Npm(name.to_owned())
                }
                (None, None) => Version::Literal(version.into_inner()),
            }
        }
    };
    let below_var = |glob: &str| glob.starts_with("/var/") && globset::Glob::new(glob).is_ok();
    let state = keys.state.into_iter().map(|glob| match below_var(glob.get_ref()) {
        true => Ok(glob.into_inner()),
        false => Err(check.rule(glob.span(), "app.state: a glob begins with /var/ (see glob(7))")),
    });
    let state = state.collect::<Result<_, _>>()?;
    Ok(App {
        title: keys.title.unwrap_or_else(|| name.clone()),
        name,
        version,
        release: keys.release.unwrap_or(1),
        noun: keys.noun.unwrap_or_else(|| "document".into()),
        packages,
        id: keys.id.map(Spanned::into_inner),
        state,
        prune: match keys.prune {
            None => AppPrune::Whole,
            Some(word) => match &word.get_ref()[..] {
                "whole" => AppPrune::Whole,
                "folders" => AppPrune::Folders,
                _ => return Err(check.rule(word.span(), "app.prune is `whole` or `folders`")),
            },
        },
    })
}

fn debian(check: &Checker, keys: DebianKeys) -> Result<Debian, RecipeError> {
    let suite = check.suite(&keys.suite, "debian.suite")?;
    if let Some(foreign) = keys.foreign.filter(|foreign| !foreign.get_ref().is_empty()) {
        let rule = "debian.foreign: a root has packages of one architecture (and `all`) only";
        return Err(check.rule(foreign.span(), rule));
    }
    let (recommends, recommends_of) = archives::recommends(check, keys.recommends)?;
    let architecture = match keys.architecture {
        None => "amd64".to_owned(),
        Some(given) if ["amd64", "arm64"].contains(&given.get_ref().as_str()) => given.into_inner(),
        Some(given) => {
            let rule = format!("debian.architecture `{}` is not known (amd64 or arm64)", given.get_ref());
            return Err(check.rule(given.span(), rule));
        }
    };
    let names = |list: &[Spanned<String>], key: &str| -> Result<Vec<String>, RecipeError> {
        list.iter().map(|name| check.package(name, key)).collect()
    };
    let archives = archives::archives(check, keys.archives)?;
    let first = suite.split_once('/').map(|(first, _)| first);
    if let Some(archive) = archives.iter().find(|archive| Some(archive.name.as_str()) == first) {
        let rule = format!("debian.suite `{suite}` begins with the name of an archive, `{}`", archive.name);
        return Err(check.rule(keys.suite.span(), rule));
    }
    let components = archives::components(check, keys.components, &keys.suite, "debian.components")?;
    let pockets = keys.pockets.unwrap_or_else(|| match is_exact(&suite) {
        true => Vec::new(),
        false => vec!["updates".into(), "security".into()],
    });
    if is_exact(&suite) && !pockets.is_empty() {
        let rule =
            format!("debian.pockets: `{suite}` is an exact path, which has none (write `pockets = []`)");
        return Err(check.rule(keys.suite.span(), rule));
    }
    Ok(Debian {
        suite,
        pockets,
        components,
        architecture,
        packages: names(&keys.packages, "debian.packages")?,
        exclude: names(&keys.exclude, "debian.exclude")?,
        recommends,
        recommends_of,
        pins: archives::pins(check, keys.pins)?,
        debconf: answers::answers(check, keys.debconf)?,
        mirrors: keys.mirror.map(archives::OneOrMany::list).unwrap_or_default(),
        archives,
        snapshot: archives::snapshot(check, keys.snapshot)?,
        snapshot_service: keys.snapshot_service,
    })
}

fn overlay_file(check: &Checker, keys: FileKeys) -> Result<OverlayFile, RecipeError> {
    let path = check.root_path(&keys.path, "file.path")?;
    let span = keys.path.span();
    for reserved in ["dev", "proc", "sys", "tmp", "run", "tinyroot"] {
        // Directories below /run and /tmp are made at each start of a grain.
        let fresh = keys.directory && matches!(reserved, "tmp" | "run");
        if path.is_at_or_below(reserved.as_bytes()) && !fresh {
            let rule = format!("file.path `/{path}`: nothing can be laid below /{reserved}");
            return Err(check.rule(span, rule));
        }
    }
    let mode = match &keys.mode {
        None => 0o644,
        Some(mode) => u32::from_str_radix(mode.get_ref(), 8)
            .ok()
            .filter(|bits| *bits <= 0o777)
            .ok_or_else(|| check.rule(mode.span(), "file.mode must be octal, such as \"0755\""))?,
    };
    let content = match (keys.source, keys.content, keys.link, keys.moved, keys.directory) {
        (Some(source), None, None, None, false) => {
            LaidContent::File { mode, bytes: check.source(source.span(), "file.source", source.get_ref())? }
        }
        (None, Some(text), None, None, false) => LaidContent::File { mode, bytes: text.into_bytes() },
        (None, None, Some(target), None, false) if !target.is_empty() => LaidContent::Link(target),
        (None, None, None, Some(to), false) => {
            let target = check.root_path(&to, "file.moved")?;
            if !target.is_at_or_below(b"var") || target.as_bytes() == b"var" || path.is_at_or_below(b"var") {
                return Err(check.rule(to.span(), "file.moved leads from outside of /var to a path below it"));
            }
            LaidContent::Moved(target)
        }
        (None, None, None, None, true) => LaidContent::Directory,
        _ => return Err(check.rule(span, "a file has one of source, content, link, moved, directory = true")),
    };
    Ok(OverlayFile { path, content })
}

/// Reads `prune.imports`; `false` means 0 bytes.
fn imports(check: &Checker<'_>, key: Option<Spanned<ImportsKey>>) -> Result<u64, RecipeError> {
    let Some(key) = key else { return Ok(IMPORTS_BYTES) };
    match key.get_ref() {
        ImportsKey::Whether(true) => Ok(IMPORTS_BYTES),
        ImportsKey::Whether(false) => Ok(0),
        ImportsKey::Size(size) => {
            parse_size(size).map_err(|fault| check.rule(key.span(), format!("prune.imports: {fault}")))
        }
    }
}
