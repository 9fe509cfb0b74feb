//! `tinyroot key`: the keys that sign apps.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    cli::{
        Context, Failure, finish_json, input,
        output::{print, print_bytes},
        secret::APP_ID,
        xdg_directory,
    },
    error::PathError,
    files,
    formats::{
        app_id::AppId,
        key_file::{self, Key},
        sigstore,
    },
    recipe::{self, Recipe},
    signing_keys::{self, Keyring, KeysError},
};

/// Make, list and move the keys that sign apps
///
/// They are kept in Sandstorm's keyring format. A lost key cannot be replaced: grains of its app can never be
/// upgraded again. Keep a copy.
///
/// With --locked, and where CI is set, no build makes a key: hand one over as a keyring (--key-file FILE), on
/// standard input (build --key -) or as text in the variable TINYROOT_KEY.
#[derive(Debug, clap::Args)]
#[command(after_help = "A key for CI jobs:\n  \
    tinyroot key generate --for recipes/wiki                    unless a build has made one already\n  \
    tinyroot key export --for recipes/wiki --text -o wiki.key   its text is the job's TINYROOT_KEY\n  \
    tinyroot key import wiki.key --for recipes/wiki             on another machine")]
pub struct Args {
    #[command(flatten)]
    ring: KeyFile,
    #[command(subcommand)]
    command: Command,
}

/// Where keys lie; for every command that signs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KeyFile {
    /// The keyring of app keys [default: ~/.local/share/tinyroot/keyring]
    #[arg(long, value_name = "FILE", env = "TINYROOT_KEYRING", global = true)]
    pub key_file: Option<PathBuf>,
}

impl KeyFile {
    /// Returns the keyring.
    ///
    /// # Errors
    /// No home directory.
    pub fn keyring(&self) -> Result<Keyring, Failure> {
        if let Some(path) = &self.key_file {
            return Ok(Keyring::given(path));
        }
        let directory = xdg_directory("XDG_DATA_HOME", ".local/share");
        let directory = directory.ok_or_else(|| {
            Failure::new("there is no place for app keys, as HOME is not set to an absolute path")
                .hint("name a keyring with --key-file FILE, or hand a key over by --key - or in TINYROOT_KEY")
        })?;
        Ok(Keyring::new(directory.join("keyring")))
    }
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print its app id
    Generate {
        /// Note that it is the key of this recipe's app
        #[arg(long = "for", value_name = "RECIPE")]
        recipe: Option<PathBuf>,
    },
    /// Print the app ids of all keys
    List,
    /// Write keys as a keyring of their own; they are secret
    Export {
        /// Whose keys; all if none is named
        #[arg(value_name = "APPID", value_parser = APP_ID)]
        app_ids: Vec<AppId>,
        /// The key of this recipe's app
        #[arg(long = "for", value_name = "RECIPE")]
        recipe: Option<PathBuf>,
        /// Write them as one line of text (base64), for places that keep only text, such as the secrets of a
        /// CI service
        #[arg(long)]
        text: bool,
        /// The file to write, which must not exist; - is standard output
        #[arg(long, short, value_name = "FILE", default_value = "-")]
        output: PathBuf,
    },
    /// Print an app id as the public key that it is, in PEM, for cosign and openssl
    Public {
        /// Whose
        #[arg(value_name = "APPID", value_parser = APP_ID)]
        app_id: AppId,
    },
    /// Add the keys of another keyring, or of the text of one
    Import {
        /// The other keyring; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Note that the key is that of this recipe's app, so that `build` finds it
        #[arg(long = "for", value_name = "RECIPE")]
        recipe: Option<PathBuf>,
    },
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let Command::Public { app_id } = &args.command {
        let pem = sigstore::to_pem(app_id);
        if context.global.json {
            finish_json(&json!({"app_id": app_id, "public_key": pem}));
            return Ok(());
        }
        return print(&pem);
    }
    let ring = args.ring.keyring().map_err(|failure| failure.hint("name a keyring with --key-file FILE"))?;
    match &args.command {
        Command::Public { .. } => Ok(()),
        Command::Generate { recipe } => generate(&ring, recipe.as_deref(), context),
        Command::List => {
            let ids: Vec<AppId> = ring.list()?.iter().map(Key::app_id).collect();
            print_ids(&ring, &ids, "keys", context)
        }
        Command::Export { app_ids, recipe, text, output } => {
            if output.as_os_str() == "-" {
                context.refuse_json("a keyring on standard output", "name a file with --output FILE")?;
            }
            let mut app_ids = app_ids.clone();
            if let Some(folder) = recipe {
                app_ids.push(id_of(&ring, &recipe::read(folder)?)?);
            }
            export(&ring, &app_ids, *text, output, context)
        }
        Command::Import { file, recipe } => import(&ring, file, recipe.as_deref(), context),
    }
}

fn generate(ring: &Keyring, recipe: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let recipe = recipe.map(recipe::read).transpose()?;
    if let Some(recipe) = &recipe
        && let Ok(app_id) = id_of(ring, recipe)
    {
        let text = format!("{} has the key {app_id} already", recipe.app.name);
        return Err(Failure::new(text).hint("grains of the app can only be upgraded by what that key signs"));
    }
    let app_id = ring.generate()?.app_id();
    if let Some(recipe) = &recipe {
        assign(ring, recipe, &app_id, context)?;
    }
    print_ids(ring, &[app_id], "keys", context)?;
    let path = ring.path().display();
    context.progress.warn(&format!("the key lies in {path}: keep a copy, it cannot be replaced"));
    Ok(())
}

/// Returns the key of a recipe's app: the one that it names, or the one that is noted for it.
fn id_of(ring: &Keyring, recipe: &Recipe) -> Result<AppId, Failure> {
    if let Some(named) = named_in(recipe)? {
        return Ok(named);
    }
    let ids = ring.list()?.iter().map(Key::app_id).collect::<Vec<_>>();
    for id in ids.iter().rev() {
        if ring.app_of(id)?.as_deref() == Some(&recipe.app.name) {
            return Ok(*id);
        }
    }
    let text = format!("no key is noted for {} in the keyring {}", recipe.app.name, ring.path().display());
    Err(Failure::new(text).hint("`tinyroot key list` shows the keys; name one by its APPID"))
}

/// Returns the key that a recipe names.
pub(super) fn named_in(recipe: &Recipe) -> Result<Option<AppId>, Failure> {
    Ok(recipe.app.id.as_ref().map(|id| id.parse()).transpose()?)
}

fn import(ring: &Keyring, file: &Path, recipe: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let recipe = recipe.map(recipe::read).transpose()?;
    let (bytes, from) = match file.as_os_str() == "-" {
        true => (input::read(u64::MAX)?, "standard input".to_owned()),
        false => (files::read(file)?, file.display().to_string()),
    };
    let keys = signing_keys::read_ring(&bytes, &from)?;
    let of_recipe = recipe.as_ref().map(|recipe| one_for(recipe, &keys)).transpose()?;
    let new = ring.import(&keys)?;
    if let (Some(recipe), Some(app_id)) = (&recipe, &of_recipe) {
        assign(ring, recipe, app_id, context)?;
    }
    let ids: Vec<AppId> = keys.iter().map(Key::app_id).collect();
    ring.leave_unassigned(&ids)?;
    for id in &ids {
        if ring.app_of(id)?.is_none() {
            context.progress.warn(&format!(
                "no app is noted for {id}: import it again with --for RECIPE, unless the recipe names it (`[app] id`)"
            ));
        }
    }
    print_ids(ring, &new, "imported", context)
}

/// Returns which of the keys to import is that of a recipe's app.
fn one_for(recipe: &Recipe, keys: &[Key]) -> Result<AppId, Failure> {
    let name = &recipe.app.name;
    match (named_in(recipe)?, keys) {
        (_, []) => Err(KeysError::NothingToImport.into()),
        (Some(named), keys) if !keys.iter().any(|key| key.app_id() == named) => {
            let text = format!(
                "the recipe says that {name} has the key {named}, and that is not among the imported ones"
            );
            Err(Failure::new(text).hint("`[app] id` of the recipe names it"))
        }
        (Some(named), _) => Ok(named),
        (None, [only]) => Ok(only.app_id()),
        (None, keys) => {
            let text = format!(
                "there are {} keys to import, and the recipe does not say which is that of {name}",
                keys.len()
            );
            Err(Failure::new(text).hint("export it alone: `tinyroot key export APPID`"))
        }
    }
}

/// Notes that a key is that of a recipe's app.
fn assign(ring: &Keyring, recipe: &Recipe, app_id: &AppId, context: &Context) -> Result<(), Failure> {
    if let Some(before) = ring.assign(&recipe.app.name, app_id)? {
        context.progress.warn(&format!(
            "{} had the key {before}: its grains that exist cannot be upgraded to what {app_id} signs",
            recipe.app.name
        ));
    }
    Ok(())
}

fn print_ids(ring: &Keyring, ids: &[AppId], what: &str, context: &Context) -> Result<(), Failure> {
    if context.global.json {
        finish_json(&json!({what: ids_json(ring, ids)?}));
        Ok(())
    } else {
        print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>())
    }
}

/// Returns app ids, each with the app that it is noted for.
fn ids_json(ring: &Keyring, ids: &[AppId]) -> Result<Value, KeysError> {
    ids.iter().map(|id| Ok(json!({"app_id": id, "app": ring.app_of(id)?}))).collect()
}

fn export(
    ring: &Keyring,
    app_ids: &[AppId],
    text: bool,
    output: &Path,
    context: &Context,
) -> Result<(), Failure> {
    let keys = ring.export(app_ids)?;
    let ids: Vec<AppId> = keys.iter().map(Key::app_id).collect();
    let mut bytes: Vec<u8> = keys.iter().flat_map(Key::to_bytes).collect();
    if bytes.is_empty() {
        return Err(Failure::new(format!("the keyring {} has no keys", ring.path().display())));
    }
    if text {
        bytes = format!("{}\n", key_file::to_text(&bytes)).into_bytes();
    }
    if output.as_os_str() == "-" {
        if io::stdout().is_terminal() {
            return Err(
                Failure::new("keys are not printed on a terminal").hint("name a file with --output FILE")
            );
        }
        return print_bytes(&bytes);
    }
    let cannot = |error: io::Error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        let failure = Failure::from(PathError::new("write", output, error));
        match exists {
            true => failure.hint("a key never replaces a file: name another file"),
            false => failure,
        }
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(output).map_err(cannot)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(cannot)?;
    if context.global.json {
        finish_json(&json!({"output": output, "keys": ids_json(ring, &ids)?}));
    }
    Ok(())
}
