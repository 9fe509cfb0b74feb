//! A folder in a git repository, as its commits have it.
//!
//! Comes in: a folder, which need not be there any more. Goes out: the commits that changed it, and its files
//! at any of them. It is git itself that reads: only commands that run nothing of the repository's, show
//! nothing on a terminal and fetch nothing. What a commit holds is hostile: names that leave the folder, links
//! and submodules are refused, and sizes are known before anything is read.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use crate::{error::Hint, shown, tree::TreePath};

/// The most files of a folder that are read.
const MAX_FILES: usize = 10_000;

/// The most bytes of a folder's files that are read.
const MAX_BYTES: u64 = 64 << 20;

/// Variables by which a caller of git, a hook say, says which repository it means.
const MEANT: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"];

/// A folder in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// A directory of the repository that is there.
    place: PathBuf,
    /// The folder's path in the repository, without a slash at the end; empty for its top.
    path: String,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name, in hex.
    pub id: String,
    /// When it was committed, in seconds since the epoch.
    pub time_s: i64,
    /// The first line of its message.
    pub subject: String,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedFile {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Whether it may be executed.
    pub is_executable: bool,
}

/// A repository that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No git on this host, or none that starts.
    #[error("cannot run git")]
    NoGit(#[source] io::Error),
    /// The folder is in no repository, or git refuses to read it.
    #[error("cannot find the git repository of {}: {words}", folder.display())]
    NoRepository {
        /// The folder.
        folder: PathBuf,
        /// What git said.
        words: String,
    },
    /// No commit has that name.
    #[error("`{revision}` is no commit of the repository of {}", folder.display())]
    NoCommit {
        /// The name.
        revision: String,
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is not in the commit.
    #[error("{} is not in commit {revision}", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
        /// The commit.
        revision: String,
    },
    /// Something in the folder that cannot be taken out of it.
    #[error("`{path}` in commit {revision} {fault}")]
    Entry {
        /// Its path below the folder.
        path: String,
        /// The commit.
        revision: String,
        /// The fault.
        fault: &'static str,
    },
    /// git failed, or said something that it never says.
    #[error("git {command} failed: {words}")]
    Failed {
        /// Its command.
        command: String,
        /// What it said.
        words: String,
    },
}

impl Hint for GitError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            GitError::NoGit(_) => Some("install git".into()),
            GitError::NoCommit { .. } => {
                Some("in a shallow clone older commits are missing: `git fetch --unshallow`".into())
            }
            _ => None,
        }
    }
}

impl Folder {
    /// Finds the repository that a folder is in.
    ///
    /// # Errors
    /// [`GitError::NoGit`] and [`GitError::NoRepository`].
    pub fn open(folder: &Path) -> Result<Self, GitError> {
        let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        let place = whole.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"));
        let below = whole.strip_prefix(place).unwrap_or(Path::new(""));
        let refused = |words: String| GitError::NoRepository { folder: folder.to_path_buf(), words };
        let found = run(place, &["rev-parse", "--show-prefix"], &[])?.map_err(refused)?;
        let prefix = String::from_utf8(found).map_err(|_| refused("its path is not UTF-8 text".into()))?;
        let below = below.to_str().ok_or_else(|| refused("its path is not UTF-8 text".into()))?;
        let path = format!("{}{below}", prefix.trim_end_matches('\n'));
        Ok(Folder { place: place.to_path_buf(), path: path.trim_end_matches('/').to_owned() })
    }

    /// Returns the folder's path in the repository, without a slash at the end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns whether commits before some point are missing, as in a shallow clone.
    ///
    /// # Errors
    /// [`GitError::Failed`].
    pub fn is_shallow(&self) -> Result<bool, GitError> {
        Ok(self.run(&["rev-parse", "--is-shallow-repository"])?.starts_with(b"true"))
    }

    /// Returns the commits of HEAD's history that changed the folder, the newest first, at most so many.
    ///
    /// # Errors
    /// [`GitError`]: no commit yet, say.
    pub fn commits(&self, most: usize) -> Result<Vec<Commit>, GitError> {
        let most = format!("--max-count={most}");
        let below = format!(":(top,literal){}", self.path);
        let mut args = vec!["log", "-z", "--no-color", "--no-decorate", "--no-notes", "--no-show-signature"];
        args.extend(["--encoding=UTF-8", "--topo-order", "--format=%H%x00%ct%x00%s", &most, "HEAD", "--"]);
        if !self.path.is_empty() {
            args.push(&below);
        }
        let text = self.run(&args)?;
        let text = String::from_utf8_lossy(&text);
        let fields: Vec<&str> = text.trim_end_matches('\0').split('\0').collect();
        let commit = |fields: &[&str]| match fields {
            [id, time, subject] if is_id(id) => Some(Commit {
                id: (*id).to_owned(),
                time_s: time.parse().ok()?,
                subject: (*subject).to_owned(),
            }),
            _ => None,
        };
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let commits = fields.chunks(3).map(commit).collect::<Option<_>>();
        commits.ok_or_else(|| failed("log", "it printed no list of commits"))
    }

    /// Returns the commit that a revision names.
    ///
    /// # Errors
    /// [`GitError::NoCommit`].
    pub fn commit(&self, revision: &str) -> Result<String, GitError> {
        let wanted = format!("{revision}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        let no_commit =
            |_| GitError::NoCommit { revision: shown::name(revision), folder: self.place.clone() };
        let id = run(&self.place, &args, &[])?.map_err(no_commit)?;
        let id = String::from_utf8_lossy(&id).trim().to_owned();
        is_id(&id).then_some(id).ok_or_else(|| no_commit(String::new()))
    }

    /// Returns the folder's files at a commit (its name in hex), by their paths below the folder.
    ///
    /// # Errors
    /// [`GitError::NoFolder`]; [`GitError::Entry`] for links, submodules, names that leave the folder, and more
    /// than a recipe ever has.
    pub fn files(&self, commit: &str) -> Result<BTreeMap<String, CommittedFile>, GitError> {
        let tree = format!("{commit}:{}", self.path);
        let no_folder = |_| GitError::NoFolder {
            folder: PathBuf::from(&self.path),
            revision: commit.get(..12).unwrap_or(commit).to_owned(),
        };
        let listed = run(&self.place, &["ls-tree", "-r", "-z", "-l", "--full-tree", &tree], &[])?;
        let listed = listed.map_err(no_folder)?;
        let mut entries = Vec::new();
        let mut bytes = 0_u64;
        for line in listed.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let entry = Listed::read(line).map_err(|(path, fault)| GitError::Entry {
                path,
                revision: commit.to_owned(),
                fault,
            })?;
            bytes = bytes.saturating_add(entry.size_bytes);
            if entries.len() == MAX_FILES || bytes > MAX_BYTES {
                let fault = "is more than a recipe holds";
                return Err(GitError::Entry { path: entry.path, revision: commit.to_owned(), fault });
            }
            entries.push(entry);
        }
        self.read(entries)
    }

    /// Returns the note that a commit has under a reference below `refs/notes`; `None` if it has none.
    ///
    /// # Errors
    /// [`GitError::NoGit`].
    pub fn note(&self, reference: &str, commit: &str) -> Result<Option<Vec<u8>>, GitError> {
        Ok(run(&self.place, &["notes", "--ref", reference, "show", commit], &[])?.ok())
    }

    /// Reads the contents of entries.
    fn read(&self, entries: Vec<Listed>) -> Result<BTreeMap<String, CommittedFile>, GitError> {
        let asked: String = entries.iter().map(|entry| format!("{}\n", entry.id)).collect();
        let out = run(&self.place, &["cat-file", "--batch"], asked.as_bytes())?;
        let out = out.map_err(|words| failed("cat-file", &words))?;
        let mut rest = &out[..];
        let mut files = BTreeMap::new();
        for entry in entries {
            let head = format!("{} blob {}\n", entry.id, entry.size_bytes);
            let contents = rest.strip_prefix(head.as_bytes()).and_then(|rest| {
                let (bytes, rest) = rest.split_at_checked(entry.size_bytes as usize)?;
                Some((bytes.to_vec(), rest.strip_prefix(b"\n")?))
            });
            let Some((bytes, left)) = contents else {
                return Err(failed("cat-file", &format!("{} is not there", entry.path)));
            };
            rest = left;
            files.insert(entry.path, CommittedFile { bytes, is_executable: entry.is_executable });
        }
        Ok(files)
    }

    /// Runs git where the folder is.
    fn run(&self, args: &[&str]) -> Result<Vec<u8>, GitError> {
        run(&self.place, args, &[])?.map_err(|words| failed(args.first().unwrap_or(&""), &words))
    }
}

fn failed(command: &str, words: &str) -> GitError {
    GitError::Failed { command: command.to_owned(), words: words.to_owned() }
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A line of `git ls-tree -z -l`.
struct Listed {
    id: String,
    size_bytes: u64,
    path: String,
    is_executable: bool,
}

impl Listed {
    /// Reads `MODE TYPE ID SIZE<tab>PATH`.
    ///
    /// # Errors
    /// The path and the fault of what cannot be taken.
    fn read(line: &[u8]) -> Result<Self, (String, &'static str)> {
        let text = String::from_utf8_lossy(line);
        let (head, path) = text.split_once('\t').unwrap_or((&text, ""));
        let fault = |fault| (shown::name(path), fault);
        let mut words = head.split_ascii_whitespace();
        let mut next = || words.next().unwrap_or_default();
        let (mode, _kind, id, size) = (next(), next(), next(), next());
        if std::str::from_utf8(line).is_err() {
            return Err(fault("has a name that is not UTF-8 text"));
        }
        let is_executable = match mode {
            "100644" => false,
            "100755" => true,
            "120000" => return Err(fault("is a symbolic link")),
            "160000" => return Err(fault("is a submodule")),
            _ => return Err(fault("is of a kind that is not read")),
        };
        match (TreePath::new(path.as_bytes()), size.parse()) {
            (Ok(clean), Ok(size_bytes))
                if !path.is_empty() && clean.as_bytes() == path.as_bytes() && is_id(id) =>
            {
                Ok(Listed { id: id.to_owned(), size_bytes, path: path.to_owned(), is_executable })
            }
            _ => Err(fault("is no path below the folder")),
        }
    }
}

/// Runs git in a directory with something to read; returns what it printed, or what it complained.
///
/// # Errors
/// [`GitError::NoGit`].
fn run(place: &Path, args: &[&str], input: &[u8]) -> Result<Result<Vec<u8>, String>, GitError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(place).arg("--no-pager").args(args.iter().map(OsStr::new));
    for name in MEANT {
        command.env_remove(name);
    }
    let env: [(&str, &str); 4] = [
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C"),
    ];
    command.envs(env.map(|(name, value)| (OsString::from(name), OsString::from(value))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(GitError::NoGit)?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // A git that ends early says why itself.
            stdin.map(|mut stdin| stdin.write_all(input))
        });
        child.wait_with_output()
    });
    let output = output.map_err(GitError::NoGit)?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let line = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Ok(Err(shown::line(line.trim_start_matches("fatal: ")).into_owned()))
}

#[cfg(test)]
mod tests;
