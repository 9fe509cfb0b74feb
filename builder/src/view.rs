//! A tree to be walked and read, its uses noted: what a traced app sees as its root.
//!
//! Comes in: a [`Tree`] and the store with its contents. Goes out: replies to the requests a kernel
//! sends to a file system, and as evidence what was used ([`View::uses`]) and what of a pruned part
//! was missed ([`View::misses`]). It records and decides nothing: what evidence means is said in
//! [`evidence`](crate::evidence). It knows no FUSE ([`fuse`] is the skin), never writes, and opens no
//! path: contents come through files that the store holds open.

pub mod callers;
pub mod fuse;
mod gone;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod recorder;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use rustix::{fs::Access, io::Errno};

pub use recorder::OnMiss;

use crate::{
    digest::Digest,
    evidence::{Kinds, PAGE_BYTES, Pruned, PrunedAccess, Use},
    layout::ImagePath,
    store::{Blob, Store, StoreError},
    tree::{Entry, Kind, Tree, TreePath},
};
use callers::{ByProc, Programs};
use gone::Gone;
use recorder::Recorder;

/// Names the paths whose refused changes are reported.
pub type Reported = Box<dyn Fn(&ImagePath) -> Option<ImagePath> + Send + Sync>;

/// The parts of a view beside its tree, and the uses that it records.
pub struct Options {
    /// Owner and group that every node shows, as numbers of the mount's user namespace. The owner's
    /// mode bits are widened so that it may read what anyone may.
    pub owner: (u32, u32),
    /// Whether uses are to be noted; misses are noted in any case.
    pub record: bool,
    /// The paths that were pruned from the tree; an access to one is a miss.
    pub pruned: Option<Arc<Pruned>>,
    /// Called with each miss.
    pub on_miss: Option<OnMiss>,
    /// Whether listings show pruned names, so that programs that look for a name in a listing look it up and
    /// miss it. It changes what programs see: one that opens all that a directory lists fails at such a name.
    pub show_pruned: bool,
    /// Returns the name of a path in the report when an app tries to change it and may not; `None` for all
    /// that is of no interest.
    pub reported: Reported,
    /// Files of which each page that is read is noted. The kernel then reads nothing ahead, in no file.
    pub closely: BTreeSet<ImagePath>,
    /// Maps threads to programs.
    pub programs: Box<dyn Programs>,
}

impl Default for Options {
    /// All nodes owned by 0:0, uses noted, programs by the host's `/proc`.
    fn default() -> Self {
        let programs = Box::new(ByProc::default());
        let closely = BTreeSet::new();
        let (pruned, on_miss, show_pruned) = (None, None, false);
        let reported: Reported = Box::new(|_| None);
        Options { owner: (0, 0), record: true, pruned, on_miss, show_pruned, reported, closely, programs }
    }
}

/// A node of a view: a directory, or a file with all its hard links. The same for the life of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The root directory.
    pub const ROOT: NodeId = NodeId(0);

    /// The node number that a listing shows for a pruned name: no node has it.
    const GONE: NodeId = NodeId(u32::MAX);

    /// Returns the node's number as a kernel counts: from 1, the root's.
    pub fn number(self) -> u64 {
        u64::from(self.0) + 1
    }

    /// Returns the node of such a number; `None` where it can be none.
    pub fn from_number(number: u64) -> Option<Self> {
        u32::try_from(number.checked_sub(1)?).ok().map(NodeId)
    }
}

/// The type of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeType {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
}

/// The values of stat for a node. They never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Its type.
    pub node_type: NodeType,
    /// Permission bits, without type bits.
    pub mode: u32,
    /// Number of names; for a directory 2 and one for each directory in it.
    pub links: u32,
    /// Length of a file's contents or a link's target.
    pub size_bytes: u64,
    /// Modification time in seconds since 1970.
    pub mtime_s: i64,
    /// Major and minor number of a device; else 0, 0.
    pub device: (u32, u32),
}

/// Why a file-system request is refused.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The kernel requested a node that it was never given.
    #[error("no such node")]
    NoNode,
    /// Something other than a directory was searched or listed.
    #[error("not a directory")]
    NotADirectory,
    /// A directory was opened as a file.
    #[error("a directory")]
    IsADirectory,
    /// A request for contents or target of something that has none.
    #[error("a node of the wrong type")]
    WrongType,
    /// An execution of a file without permission to execute.
    #[error("not executable")]
    NotExecutable,
    /// A change was tried.
    #[error("the root is read-only")]
    ReadOnly,
    /// The store lacks contents.
    #[error("cannot open contents")]
    Contents(#[source] StoreError),
    /// Contents cannot be read.
    #[error("cannot read contents")]
    Read(#[source] io::Error),
}

impl FsError {
    /// Returns the error number that an app is given.
    pub fn errno(&self) -> Errno {
        match self {
            FsError::NoNode => Errno::STALE,
            FsError::NotADirectory => Errno::NOTDIR,
            FsError::IsADirectory => Errno::ISDIR,
            FsError::WrongType => Errno::INVAL,
            FsError::NotExecutable => Errno::ACCESS,
            FsError::ReadOnly => Errno::ROFS,
            FsError::Contents(_) | FsError::Read(_) => Errno::IO,
        }
    }

    /// Returns true if this is our fault and not the app's.
    pub fn is_fault(&self) -> bool {
        matches!(self, FsError::NoNode | FsError::Contents(_) | FsError::Read(_))
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenMode {
    /// To run it.
    pub executing: bool,
    /// To change it.
    pub writing: bool,
}

enum Body {
    /// Names in it, by their indexes, sorted by their last component.
    Directory {
        parent: NodeId,
        names: Vec<u32>,
    },
    File {
        digest: Digest,
        blob: OnceLock<Blob>,
    },
    Symlink {
        target: Vec<u8>,
    },
    Other,
}

struct Node {
    attributes: Attributes,
    body: Body,
}

struct Name {
    path: ImagePath,
    node: NodeId,
}

/// A tree to be walked and read. Shared by threads, and by mounts that follow one another.
pub struct View {
    store: Arc<Store>,
    owner: (u32, u32),
    /// Every path of the tree, in its order; the root first.
    names: Vec<Name>,
    /// By the index of a node's first name.
    nodes: HashMap<u32, Node>,
    /// The pages read of files that are looked at closely.
    pages: BTreeMap<NodeId, Mutex<BTreeSet<u64>>>,
    size_bytes: u64,
    gone: Gone,
    show_pruned: bool,
    reported: Reported,
    recorder: Recorder,
}

impl View {
    /// Returns a view of a tree. Missing parents are shown as directories of mode 0755. Nothing is noted
    /// before [`View::start_recording`].
    pub fn new(tree: Arc<Tree>, store: Arc<Store>, options: Options) -> Self {
        let mut whole = Arc::clone(&tree);
        if tree.get(b"").is_none() || tree.iter().any(|(p, _)| lacks_parent(&tree, p)) {
            Arc::make_mut(&mut whole).add_parents(0);
            let root = TreePath::root();
            if whole.get(b"").is_none() {
                Arc::make_mut(&mut whole).insert(root, Entry::directory(0));
            }
        }
        let (names, nodes) = index(&whole);
        let Options { owner, record, pruned, on_miss, show_pruned, reported, closely, programs } = options;
        let gone = pruned.as_deref().map(|pruned| Gone::new(pruned, &names)).unwrap_or_default();
        let closely = names.iter().filter(|name| closely.contains(&name.path));
        let pages = closely.map(|name| (name.node, Mutex::default())).collect();
        let recorder = Recorder::new(names.len(), record, pruned, on_miss, programs);
        let size_bytes = whole.size_bytes();
        View { store, owner, names, nodes, pages, size_bytes, gone, show_pruned, reported, recorder }
    }

    /// Starts to note uses. The kernel does not keep the replies so far and will send its requests again.
    pub fn start_recording(&self) {
        self.recorder.set_recording(true);
    }

    /// Stops to note uses: before a sandbox is set up on the view anew.
    pub fn stop_recording(&self) {
        self.recorder.set_recording(false);
    }

    /// Sets the exercise step that uses from now on belong to; `start` until then.
    pub fn mark(&self, step: &str) {
        self.recorder.mark(step);
    }

    /// Waits until no more requests come: what a service still does at the end of its start, or of a request,
    /// belongs to that and not to the next step. One that never rests is waited for 0.3 s. A view without
    /// evidence is not waited for.
    pub fn settle(&self) {
        for _ in 0..60 {
            let asked = self.recorder.asked();
            std::thread::sleep(Duration::from_millis(5));
            if self.recorder.asked() == asked {
                return;
            }
        }
    }

    /// Returns the uses so far, in path order; absent paths among the rest. The root itself is not listed.
    pub fn uses(&self) -> Vec<Use> {
        let mut uses = self.recorder.absent();
        for (index, name) in self.names.iter().enumerate().skip(1) {
            let node = &self.nodes[&name.node.0];
            let linked = node.attributes.node_type == NodeType::File && node.attributes.links > 1;
            let index = u32::try_from(index).expect("names are counted in u32");
            uses.extend(self.recorder.use_of(&name.path, index, name.node.0, linked));
        }
        uses.sort_by(|a, b| a.path.cmp(&b.path));
        uses
    }

    /// Returns the misses in the order they happened, without the first `since`. Each path is named once.
    pub fn misses(&self, since: usize) -> Vec<PrunedAccess> {
        self.recorder.misses(since)
    }

    /// Returns the numbers of the pages, of [`PAGE_BYTES`] each, that were read of the files that are looked
    /// at closely.
    pub fn pages(&self) -> BTreeMap<ImagePath, BTreeSet<u64>> {
        let pages =
            |pages: &Mutex<BTreeSet<u64>>| pages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read =
            self.pages.iter().map(|(node, read)| (self.names[node.0 as usize].path.clone(), pages(read)));
        read.collect()
    }

    /// Returns whether the kernel is to read only what programs request.
    pub fn is_close(&self) -> bool {
        !self.pages.is_empty()
    }

    /// Returns owner and group of every node.
    pub fn owner(&self) -> (u32, u32) {
        self.owner
    }

    /// Returns whether the kernel may keep replies.
    pub fn caching(&self) -> bool {
        self.recorder.caching()
    }

    /// Returns the number of nodes and the sum of the sizes of files.
    pub fn totals(&self) -> (u64, u64) {
        (self.nodes.len() as u64, self.size_bytes)
    }

    fn node(&self, id: NodeId) -> Result<&Node, FsError> {
        self.nodes.get(&id.0).ok_or(FsError::NoNode)
    }

    fn find(&self, names: &[u32], wanted: &[u8]) -> Option<u32> {
        let name = |index: &u32| self.names[*index as usize].path.in_tree().file_name();
        names.binary_search_by(|index| name(index).cmp(wanted)).ok().map(|at| names[at])
    }

    /// Looks a name up in a directory, `None` if it is not there. Notes that the directory was passed and the
    /// name was found or is absent.
    ///
    /// # Errors
    /// [`FsError::NoNode`], [`FsError::NotADirectory`].
    pub fn lookup(&self, thread: u32, parent: NodeId, name: &[u8]) -> Result<Option<NodeId>, FsError> {
        let Body::Directory { names, .. } = &self.node(parent)?.body else {
            return Err(FsError::NotADirectory);
        };
        self.recorder.note(parent.0, Kinds::TRAVERSED, thread);
        let Some(index) = self.find(names, name) else {
            if let Ok(path) = self.names[parent.0 as usize].path.in_tree().join(name) {
                self.recorder.note_absent(ImagePath::in_image(path), thread);
            }
            return Ok(None);
        };
        self.recorder.note(index, Kinds::STAT, thread);
        Ok(Some(self.names[index as usize].node))
    }

    /// Returns the values of stat.
    ///
    /// # Errors
    /// [`FsError::NoNode`].
    pub fn attributes(&self, id: NodeId) -> Result<Attributes, FsError> {
        Ok(self.node(id)?.attributes)
    }

    /// Returns a symbolic link's target.
    ///
    /// # Errors
    /// [`FsError::WrongType`] for all else.
    pub fn read_link(&self, thread: u32, id: NodeId) -> Result<&[u8], FsError> {
        match &self.node(id)?.body {
            Body::Symlink { target } => {
                self.recorder.note(id.0, Kinds::READ_LINK, thread);
                Ok(target)
            }
            _ => Err(FsError::WrongType),
        }
    }

    /// Opens a file: notes how. Reading needs no opening.
    ///
    /// # Errors
    /// [`FsError::ReadOnly`] for writing, [`FsError::IsADirectory`], [`FsError::WrongType`].
    pub fn open(&self, thread: u32, id: NodeId, mode: OpenMode) -> Result<(), FsError> {
        match &self.node(id)?.body {
            Body::File { .. } if mode.writing => {
                self.refuse_change(thread, id, None);
                Err(FsError::ReadOnly)
            }
            Body::File { .. } => {
                let kind = if mode.executing { Kinds::EXECUTED } else { Kinds::OPENED };
                self.recorder.note(id.0, kind, thread);
                Ok(())
            }
            Body::Directory { .. } => Err(FsError::IsADirectory),
            _ => Err(FsError::WrongType),
        }
    }

    /// Returns whether a node may be used so (`access(2)`). Modes are shown such that the owner may do what
    /// anybody may.
    ///
    /// # Errors
    /// [`FsError::ReadOnly`] for writing, [`FsError::NotExecutable`].
    pub fn access(&self, thread: u32, id: NodeId, wanted: Access) -> Result<(), FsError> {
        let Node { attributes, body } = self.node(id)?;
        if wanted.contains(Access::WRITE_OK) && !matches!(body, Body::Other) {
            self.refuse_change(thread, id, None);
            return Err(FsError::ReadOnly);
        }
        match wanted.contains(Access::EXEC_OK) && attributes.mode & 0o111 == 0 {
            true => Err(FsError::NotExecutable),
            false => Ok(()),
        }
    }

    /// Notes that a change was refused: of a node, or of a name in a directory. A name that is not there
    /// stands for the directory.
    pub fn refuse_change(&self, thread: u32, id: NodeId, name: Option<&[u8]>) {
        let Ok(Node { body, .. }) = self.node(id) else { return };
        let index = match (body, name) {
            (Body::Directory { names, .. }, Some(name)) => self.find(names, name).unwrap_or(id.0),
            _ => id.0,
        };
        if let Some(path) = (self.reported)(&self.names[index as usize].path) {
            self.recorder.note_refused(path, thread);
        }
    }

    /// Reads a file at an offset; a short count means the end. Contents are fetched from the store by the
    /// first read.
    ///
    /// # Errors
    /// [`FsError::Contents`], [`FsError::Read`]; [`FsError::WrongType`] for anything but a file.
    pub fn read(&self, id: NodeId, offset: u64, buffer: &mut [u8]) -> Result<usize, FsError> {
        let Body::File { digest, blob } = &self.node(id)?.body else { return Err(FsError::WrongType) };
        if let Some(pages) = self.pages.get(&id) {
            let read = offset / PAGE_BYTES..(offset + buffer.len() as u64).div_ceil(PAGE_BYTES);
            pages.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
        }
        let blob = match blob.get() {
            Some(blob) => blob,
            None => {
                let found = self.store.blob(digest).map_err(FsError::Contents)?;
                blob.get_or_init(|| found)
            }
        };
        blob.read_at(buffer, offset).map_err(FsError::Read)
    }

    /// Opens a directory, be it to list it or to go there: notes that it was passed.
    ///
    /// # Errors
    /// [`FsError::NotADirectory`].
    pub fn open_directory(&self, thread: u32, id: NodeId) -> Result<(), FsError> {
        match &self.node(id)?.body {
            Body::Directory { .. } => {
                self.recorder.note(id.0, Kinds::TRAVERSED, thread);
                Ok(())
            }
            _ => Err(FsError::NotADirectory),
        }
    }

    /// Returns a directory's entries from the `skip`th on, `.` and `..` first, then by name; pruned ones come
    /// last, if they are shown, and never to our own programs. Notes that it was listed.
    ///
    /// # Errors
    /// [`FsError::NotADirectory`].
    pub fn list(
        &self,
        thread: u32,
        id: NodeId,
        skip: usize,
    ) -> Result<impl Iterator<Item = (&[u8], NodeId, NodeType)>, FsError> {
        let Body::Directory { parent, names } = &self.node(id)?.body else {
            return Err(FsError::NotADirectory);
        };
        self.recorder.note(id.0, Kinds::LISTED, thread);
        let gone = self.gone.names(id);
        if !gone.is_empty() {
            self.recorder.note_lacking(&self.names[id.0 as usize].path, gone.len(), thread);
        }
        // Our own first process copies what it lists, and must not stop at a name that is not there.
        let is_shown = self.show_pruned && !gone.is_empty() && !self.recorder.is_ours(thread);
        let shown = if is_shown { gone } else { &[] };
        let dots =
            [(&b"."[..], id, NodeType::Directory), (&b".."[..], *parent, NodeType::Directory)].into_iter();
        let pruned = shown.get(skip.saturating_sub(2 + names.len())..).unwrap_or_default().iter();
        let pruned = pruned.map(|(name, node_type)| (&name[..], NodeId::GONE, *node_type));
        let rest = names.get(skip.saturating_sub(2)..).unwrap_or_default().iter().map(|index| {
            let name = &self.names[*index as usize];
            (name.path.in_tree().file_name(), name.node, self.nodes[&name.node.0].attributes.node_type)
        });
        Ok(dots.skip(skip).chain(rest).chain(pruned))
    }
}

fn lacks_parent(tree: &Tree, path: &TreePath) -> bool {
    path.parent_bytes().is_some_and(|parent| tree.get(parent).is_none())
}

/// Numbers the tree's paths and joins hard links to nodes.
fn index(tree: &Tree) -> (Vec<Name>, HashMap<u32, Node>) {
    let mut names: Vec<Name> = Vec::with_capacity(tree.len());
    let mut nodes: HashMap<u32, Node> = HashMap::with_capacity(tree.len());
    let mut by_path: HashMap<&[u8], u32> = HashMap::with_capacity(tree.len());
    for (path, entry) in tree.iter() {
        let index = u32::try_from(names.len()).expect("a tree has fewer than 2^32 entries");
        let parent = path.parent_bytes().and_then(|parent| by_path.get(parent)).copied().unwrap_or(0);
        let first = match &entry.kind {
            Kind::File { hard_link: Some(first), digest, .. } => {
                let first = by_path.get(first.as_bytes()).copied();
                first.filter(
                    |i| matches!(nodes.get(i), Some(Node { body: Body::File { digest: d, .. }, .. }) if d == digest),
                )
            }
            _ => None,
        };
        match first.and_then(|first| nodes.get_mut(&first)) {
            Some(node) => node.attributes.links += 1,
            None => {
                nodes.insert(index, node(entry, NodeId(parent)));
            }
        }
        if index > 0
            && let Some(Node { attributes, body: Body::Directory { names, .. } }) = nodes.get_mut(&parent)
        {
            names.push(index);
            attributes.links += u32::from(entry.kind.is_directory());
        }
        by_path.insert(path.as_bytes(), index);
        names.push(Name { path: ImagePath::in_image(path.clone()), node: NodeId(first.unwrap_or(index)) });
    }
    for node in nodes.values_mut() {
        if let Body::Directory { names: children, .. } = &mut node.body {
            // A tree sorts whole paths: `a-b` comes before `a/c`, so names are not in order yet.
            children.sort_by_key(|index| names[*index as usize].path.in_tree().file_name());
        }
    }
    (names, nodes)
}

fn node(entry: &Entry, parent: NodeId) -> Node {
    let (node_type, size_bytes, device, body) = match &entry.kind {
        Kind::Directory => (NodeType::Directory, 4096, (0, 0), Body::Directory { parent, names: Vec::new() }),
        Kind::File { digest, size_bytes, .. } => {
            (NodeType::File, *size_bytes, (0, 0), Body::File { digest: *digest, blob: OnceLock::new() })
        }
        Kind::Symlink { target } => {
            (NodeType::Symlink, target.len() as u64, (0, 0), Body::Symlink { target: target.clone() })
        }
        Kind::Fifo => (NodeType::Fifo, 0, (0, 0), Body::Other),
        Kind::CharacterDevice { major, minor } => {
            (NodeType::CharacterDevice, 0, (*major, *minor), Body::Other)
        }
        Kind::BlockDevice { major, minor } => (NodeType::BlockDevice, 0, (*major, *minor), Body::Other),
    };
    let mode = owners_mode(entry.mode & 0o7777, node_type);
    let links = if node_type == NodeType::Directory { 2 } else { 1 };
    Node {
        attributes: Attributes { node_type, mode, links, size_bytes, mtime_s: entry.mtime_s, device },
        body,
    }
}

/// Gives the one owner what group and others have, and lets it read files and search directories:
/// owners differ in a stage, and there is only one in a grain.
fn owners_mode(mode: u32, node_type: NodeType) -> u32 {
    let least = match node_type {
        NodeType::Directory => 0o500,
        NodeType::File => 0o400,
        _ => 0,
    };
    mode | (mode << 3 | mode << 6) & 0o700 | least
}

#[cfg(test)]
mod tests;
