//! `tinyroot key`: the keys that sign apps.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    cli::{Context, Failure, print, xdg_directory},
    formats::app_id::AppId,
    keys::Keyring,
};

/// Make, list and move the keys that sign apps
///
/// They are kept in Sandstorm's keyring format. A lost key cannot be replaced: grains of its app can never be
/// upgraded again. Keep a copy.
#[derive(Debug, clap::Args)]
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
            return Ok(Keyring::new(path));
        }
        let directory = xdg_directory("XDG_DATA_HOME", ".local/share");
        let directory = directory.ok_or_else(|| {
            Failure::new("HOME is not set to an absolute path").hint("name a keyring with --key-file FILE")
        })?;
        Ok(Keyring::new(directory.join("keyring")))
    }
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print its app id
    Generate,
    /// Print the app ids of all keys
    List,
    /// Write keys as a keyring of their own; they are secret
    Export {
        /// Whose keys; all if none is named
        #[arg(value_name = "APPID")]
        app_ids: Vec<AppId>,
        /// The file to write, which must not exist; - is standard output
        #[arg(long, short, value_name = "FILE", default_value = "-")]
        output: PathBuf,
    },
    /// Add the keys of another keyring
    Import {
        /// The other keyring; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let ring = args.ring.keyring()?;
    match &args.command {
        Command::Generate => {
            let app_id = ring.generate()?.app_id();
            print_ids(&[app_id], "keys", context)?;
            let path = ring.path().display();
            context.progress.warn(&format!("the key lies in {path}: keep a copy, it cannot be replaced"));
            Ok(())
        }
        Command::List => {
            let ids: Vec<AppId> = ring.list()?.iter().map(|key| key.app_id()).collect();
            print_ids(&ids, "keys", context)
        }
        Command::Export { app_ids, output } => export(&ring, app_ids, output),
        Command::Import { file } => {
            let mut bytes = Vec::new();
            if file.as_os_str() == "-" {
                io::stdin().lock().read_to_end(&mut bytes)?;
            } else {
                let read = std::fs::read(file);
                bytes = read.map_err(|e| Failure::new(format!("cannot read {}: {e}", file.display())))?;
            }
            print_ids(&ring.import(&bytes)?, "imported", context)
        }
    }
}

fn print_ids(ids: &[AppId], what: &str, context: &Context) -> Result<(), Failure> {
    if context.global.json {
        let ids: Vec<_> = ids.iter().map(|id| json!({"app_id": id})).collect();
        print(&format!("{:#}\n", json!({what: ids})))
    } else {
        print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>())
    }
}

fn export(ring: &Keyring, app_ids: &[AppId], output: &Path) -> Result<(), Failure> {
    let bytes = ring.export(app_ids)?;
    if bytes.is_empty() {
        return Err(Failure::new(format!("the keyring {} has no keys", ring.path().display())));
    }
    if output.as_os_str() == "-" {
        if io::stdout().is_terminal() {
            return Err(
                Failure::new("keys are not printed on a terminal").hint("name a file with --output FILE")
            );
        }
        return Ok(io::stdout().write_all(&bytes)?);
    }
    let cannot = |e: io::Error| Failure::new(format!("cannot write {}: {e}", output.display()));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(output).map_err(cannot)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(cannot)
}
