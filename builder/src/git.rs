//! A folder in a git repository, as its commits have it.
//!
//! Comes in: a folder, which need not be there any more. Goes out: the commits that changed it, and its files
//! at any of them. It is git itself that reads, by plumbing alone: `rev-parse`, `rev-list`, `ls-tree`, `cat-file` and
//! the list of notes run nothing that a repository's configuration names (`git show` would, to verify a
//! signature), and fetching is forbidden. What a commit holds is hostile: names that leave the folder, links and
//! submodules are refused, sizes are known before anything is read, and what git prints and how long it works are
//! bounded.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{error::Hint, shown, tree::TreePath};

/// The most files of a folder that are read.
const MAX_FILES: usize = 10_000;

/// The most bytes of a folder's files that are read.
const MAX_BYTES: u64 = 64 << 20;

/// The longest commit or note that is read.
const MAX_OBJECT_BYTES: u64 = 1 << 20;

/// The most that a list of git's may have.
const MAX_LIST_BYTES: u64 = 8 << 20;

/// How long git may work on one command.
const TIMEOUT: Duration = Duration::from_secs(30);

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
    /// When it was committed, in seconds since the epoch; `None` where it says no time.
    pub time_s: Option<i64>,
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
        let found = run(place, &["rev-parse", "--show-prefix"], &[], MAX_LIST_BYTES)?.map_err(refused)?;
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
        let mut args = vec!["rev-list", "--topo-order", &most, "HEAD", "--"];
        if !self.path.is_empty() {
            args.push(&below);
        }
        let list = self.run(&args)?;
        let list = String::from_utf8_lossy(&list);
        let ids: Vec<&str> = list.lines().collect();
        if !ids.iter().all(|id| is_id(id)) {
            return Err(failed("rev-list", "it printed no list of commits"));
        }
        let objects = self.objects(&ids, "commit", MAX_OBJECT_BYTES)?;
        Ok(ids.into_iter().zip(objects).map(|(id, object)| Commit::read(id, object.as_deref())).collect())
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
        let id = self.execute(&args, &[], MAX_LIST_BYTES)?.map_err(no_commit)?;
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
        let no_folder = || GitError::NoFolder {
            folder: PathBuf::from(&self.path),
            revision: commit.get(..12).unwrap_or(commit).to_owned(),
        };
        if self.execute(&["rev-parse", "--verify", "--quiet", &tree], &[], MAX_LIST_BYTES)?.is_err() {
            return Err(no_folder());
        }
        let listed = self.run(&["ls-tree", "-r", "-z", "-l", "--full-tree", &tree])?;
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

    /// Returns the note that a commit (its name in hex) has under a reference below `refs/notes`; `None` if it has
    /// none.
    ///
    /// # Errors
    /// [`GitError::Failed`] for what is no text, or longer than any that is read.
    pub fn note(&self, reference: &str, commit: &str) -> Result<Option<Vec<u8>>, GitError> {
        let Ok(listed) = self.execute(&["notes", "--ref", reference, "list", commit], &[], MAX_LIST_BYTES)?
        else {
            return Ok(None);
        };
        let id = String::from_utf8_lossy(&listed).trim().to_owned();
        if !is_id(&id) {
            return Ok(None);
        }
        match self.objects(&[&id], "blob", MAX_OBJECT_BYTES)?.pop().flatten() {
            Some(note) => Ok(Some(note)),
            None => {
                Err(failed("notes", &format!("the note is no text, or longer than {MAX_OBJECT_BYTES} bytes")))
            }
        }
    }

    /// Reads the contents of entries.
    fn read(&self, entries: Vec<Listed>) -> Result<BTreeMap<String, CommittedFile>, GitError> {
        let ids: Vec<&str> = entries.iter().map(|entry| &entry.id[..]).collect();
        let contents = self.objects(&ids, "blob", MAX_BYTES)?;
        let mut files = BTreeMap::new();
        for (entry, bytes) in entries.into_iter().zip(contents) {
            match bytes {
                Some(bytes) if bytes.len() as u64 == entry.size_bytes => {
                    let is_executable = entry.is_executable;
                    files.insert(entry.path, CommittedFile { bytes, is_executable });
                }
                _ => return Err(failed("cat-file", &format!("{} is not there", entry.path))),
            }
        }
        Ok(files)
    }

    /// Reads objects of one kind. Those of another kind, and those with which all read so far would be more than
    /// `most_bytes`, are `None`.
    fn objects(&self, ids: &[&str], kind: &str, most_bytes: u64) -> Result<Vec<Option<Vec<u8>>>, GitError> {
        let lines = |ids: &[&str]| -> String { ids.iter().map(|id| format!("{id}\n")).collect() };
        let failed_here = |words: String| failed("cat-file", &words);
        let checked = self.execute(&["cat-file", "--batch-check"], lines(ids).as_bytes(), MAX_LIST_BYTES)?;
        let checked = checked.map_err(failed_here)?;
        let checked = String::from_utf8_lossy(&checked);
        let mut left = if kind == "commit" { MAX_BYTES } else { most_bytes };
        let mut sizes: Vec<Option<u64>> = Vec::new();
        for (id, line) in ids.iter().zip(checked.lines()) {
            let size = line.strip_prefix(&format!("{id} {kind} ")).and_then(|size| size.parse::<u64>().ok());
            let size = size.filter(|size| *size <= most_bytes.min(left));
            left -= size.unwrap_or_default();
            sizes.push(size);
        }
        sizes.resize(ids.len(), None);
        let wanted: Vec<&str> =
            ids.iter().zip(&sizes).filter(|(_, size)| size.is_some()).map(|(id, _)| *id).collect();
        let most = MAX_BYTES + MAX_LIST_BYTES;
        let out =
            self.execute(&["cat-file", "--batch"], lines(&wanted).as_bytes(), most)?.map_err(failed_here)?;
        let mut rest = &out[..];
        let mut objects = Vec::new();
        for (id, size) in ids.iter().zip(sizes) {
            let Some(size) = size else {
                objects.push(None);
                continue;
            };
            let head = format!("{id} {kind} {size}\n");
            let contents = rest.strip_prefix(head.as_bytes()).and_then(|rest| {
                let (bytes, rest) = rest.split_at_checked(size as usize)?;
                Some((bytes.to_vec(), rest.strip_prefix(b"\n")?))
            });
            let (bytes, left) = contents.ok_or_else(|| failed("cat-file", &format!("{id} is not there")))?;
            rest = left;
            objects.push(Some(bytes));
        }
        Ok(objects)
    }

    /// Runs git where the folder is.
    fn run(&self, args: &[&str]) -> Result<Vec<u8>, GitError> {
        let out = self.execute(args, &[], MAX_LIST_BYTES)?;
        out.map_err(|words| failed(args.first().unwrap_or(&""), &words))
    }

    /// As [`run`], where the folder is.
    fn execute(
        &self,
        args: &[&str],
        input: &[u8],
        most_bytes: u64,
    ) -> Result<Result<Vec<u8>, String>, GitError> {
        run(&self.place, args, input, most_bytes)
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

impl Commit {
    /// Reads a commit: lines of its head, an empty one, and the message (gitformat-pack(5)).
    fn read(id: &str, object: Option<&[u8]>) -> Self {
        let text = String::from_utf8_lossy(object.unwrap_or_default());
        let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
        let committer = head.lines().find_map(|line| line.strip_prefix("committer "));
        let mut words = committer.unwrap_or_default().rsplit(' ');
        let time_s = words.nth(1).and_then(|time| time.parse().ok());
        let subject = message.lines().next().unwrap_or_default().to_owned();
        Commit { id: id.to_owned(), time_s, subject }
    }
}

/// Runs git in a directory with something to read; returns what it printed, or what it complained.
///
/// # Errors
/// [`GitError::NoGit`]; [`GitError::Failed`] for one that prints more than `most_bytes`, or works too long.
fn run(
    place: &Path,
    args: &[&str],
    input: &[u8],
    most_bytes: u64,
) -> Result<Result<Vec<u8>, String>, GitError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(place).arg("--no-pager").args(args.iter().map(OsStr::new));
    for name in MEANT {
        command.env_remove(name);
    }
    let env: [(&str, &str); 6] = [
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_NO_LAZY_FETCH", "1"),
        // No transport at all, whatever the repository allows (git(1)).
        ("GIT_ALLOW_PROTOCOL", "none"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C"),
    ];
    command.envs(env.map(|(name, value)| (OsString::from(name), OsString::from(value))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(GitError::NoGit)?;
    let ended = talk(&mut child, input, most_bytes);
    if ended.is_none() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(GitError::NoGit)?;
    let name = args.first().unwrap_or(&"");
    let Some((out, complaint)) = ended else {
        return Err(failed(name, &format!("it takes longer than {} s", TIMEOUT.as_secs())));
    };
    if out.len() as u64 > most_bytes {
        return Err(failed(name, &format!("it prints more than {most_bytes} bytes")));
    }
    if status.success() {
        return Ok(Ok(out));
    }
    let words = String::from_utf8_lossy(&complaint);
    let line = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Ok(Err(shown::line(line.trim_start_matches("fatal: ")).into_owned()))
}

/// Gives a process what it reads and returns what it prints, the first `most_bytes` and one more, and what it
/// complains; `None` if it takes too long. One whose output is not read to its end ends by that.
fn talk(child: &mut Child, input: &[u8], most_bytes: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = input.to_vec();
    thread::spawn(move || {
        // A git that ends early says why itself.
        stdin.map(|mut stdin| stdin.write_all(&input))
    });
    let reader = |pipe: Option<Box<dyn io::Read + Send>>, most_bytes: u64| {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                let _ = pipe.take(most_bytes).read_to_end(&mut bytes);
            }
            let _ = sender.send(bytes);
        });
        receiver
    };
    let out = reader(stdout.map(|pipe| Box::new(pipe) as _), most_bytes.saturating_add(1));
    let complaint = reader(stderr.map(|pipe| Box::new(pipe) as _), 64 << 10);
    let out = out.recv_timeout(TIMEOUT).ok()?;
    Some((out, complaint.recv_timeout(TIMEOUT).ok()?))
}

#[cfg(test)]
mod tests;
