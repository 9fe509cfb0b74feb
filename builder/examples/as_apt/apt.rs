//! apt, with tinyroot's indexes and nothing else.

use std::{collections::BTreeSet, error::Error, fmt::Write as _, fs, path::Path, process::Command};

use tinyroot::{archive::Archive, digest::Digest, formats::pins::Pin, resolve::Universe};

/// Names and versions.
pub type Set = BTreeSet<(String, String)>;

/// A directory from which apt can answer.
pub struct Apt {
    directory: tempfile::TempDir,
}

impl Apt {
    /// Lays out each index as a flat archive of its own, in order, and has apt read them all.
    pub fn prepare(archive: &Archive, pins: &[Pin]) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::Builder::new().prefix("as_apt-").tempdir()?;
        let root = directory.path();
        for part in ["etc/preferences.d", "state/lists/partial", "cache/archives/partial", "log"] {
            fs::create_dir_all(root.join(part))?;
        }
        fs::write(root.join("status"), "")?;
        let mut sources = String::new();
        for (number, index) in archive.indexes.iter().enumerate() {
            let place = root.join(format!("archive/{number}"));
            fs::create_dir_all(&place)?;
            fs::write(place.join("Packages"), &*index.text)?;
            let flag = |name: &str, set: bool| if set { format!("{name}: yes\n") } else { String::new() };
            let release = format!(
                "Origin: Debian\nSuite: {0}\nCodename: {0}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n{1}{2}SHA256:\n {3} {4} Packages\n",
                index.suite,
                flag("NotAutomatic", index.not_automatic),
                flag("ButAutomaticUpgrades", index.but_automatic_upgrades),
                Digest::of(&index.text),
                index.text.len()
            );
            fs::write(place.join("Release"), release)?;
            writeln!(sources, "deb [trusted=yes] file:{} ./", place.display())?;
        }
        fs::write(root.join("etc/sources.list"), sources)?;
        // apt_preferences(5): codenames are those that the Release files above have.
        let preference = |pin: &Pin| {
            let suite = pin.suite.as_deref().unwrap_or("*");
            format!("Package: {}\nPin: release n={suite}\nPin-Priority: {}\n\n", pin.package, pin.priority)
        };
        fs::write(root.join("etc/preferences"), pins.iter().map(preference).collect::<String>())?;
        fs::write(root.join("apt.conf"), configuration(root, &archive.selection.architecture))?;
        let apt = Apt { directory };
        let output = apt.command().arg("update").output()?;
        if !output.status.success() {
            return Err(format!("apt-get update: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        Ok(apt)
    }

    /// Returns apt-get with nothing of the host's.
    pub fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", self.directory.path().join("apt.conf")).env("LC_ALL", "C.UTF-8");
        command
    }

    /// Returns names and versions that apt would install; the inner error is what it says.
    pub fn install(&self, words: &[String]) -> Result<Result<Set, String>, std::io::Error> {
        let output =
            self.command().args(["-s", "-q", "--no-install-recommends", "install"]).args(words).output()?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let inst = |line: &str| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
            // Where the architecture is not the host's own, apt says so in the name.
            let name = name.split(':').next()?;
            Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
        };
        Ok(Ok(text.lines().filter_map(inst).collect()))
    }
}

/// Everything that apt would look for on the host is named anew.
fn configuration(root: &Path, architecture: &str) -> String {
    let root = root.display();
    format!(
        "Dir \"{root}\";\nDir::Etc \"{root}/etc\";\nDir::Etc::sourceparts \"/dev/null\";\nDir::Etc::main \"/dev/null\";\n\
         Dir::Etc::parts \"/dev/null\";\nDir::State \"{root}/state\";\nDir::State::status \"{root}/status\";\n\
         Dir::Cache \"{root}/cache\";\nDir::Log \"{root}/log\";\nAPT::Architecture \"{architecture}\";\n\
         APT::Architectures {{ \"{architecture}\"; }};\nAPT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\nAcquire::AllowInsecureRepositories \"true\";\n\
         APT::Update::Post-Invoke-Success \"\";\nAPT::Cmd::Disable-Script-Warning \"true\";\n"
    )
}

/// Returns the names of the Essential packages, sorted.
pub fn essential(universe: &Universe<'_>) -> Vec<String> {
    let all = universe.ids().map(|id| universe.package(id));
    let mut names: Vec<String> = all.filter(|package| package.essential).map(|p| p.name.into()).collect();
    names.sort();
    names
}
