//! What the readers of images promise (`testing::readers`).

use std::{fs::File, io::Write as _, sync::LazyLock};

use super::{
    AnyWriter, Format, Packable, Writer as _, erofs, fault::Budget, fault::ImageFault, oci, prices,
    spk::Signer, squashfs,
};
use crate::{
    formats::{key_file::Key, manifest::Manifest},
    progress::Progress,
    store::{BundleWriter, Store},
    testing::readers::assert_inside,
    tree::{Entry, Tree, TreePath},
};

/// A store that stays empty: no bundle is finished.
static STORE: LazyLock<(tempfile::TempDir, Store)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    (directory, store)
});

/// A squashfs image.
pub(crate) fn squashfs(bytes: &[u8]) {
    read(bytes, Format::Squashfs, squashfs::read);
}

/// An EROFS image.
pub(crate) fn erofs(bytes: &[u8]) {
    read(bytes, Format::Erofs, erofs::read);
}

/// A tar of an OCI image layout, or what `docker save` writes.
pub(crate) fn layout(bytes: &[u8]) {
    read(bytes, Format::Oci, |file, bundle| oci::read(&oci::Layout::open(file)?, bundle));
}

fn read(
    bytes: &[u8],
    format: Format,
    read: impl Fn(&File, &mut BundleWriter<'_>) -> Result<Tree, ImageFault>,
) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("writes");
    prices::account_anything(file.try_clone().expect("a file"), format);
    let mut bundle = STORE.1.begin_bundle("image", "read").expect("begins");
    let Ok(tree) = read(&file, &mut bundle) else { return };
    assert!(tree.len() as u64 <= Budget::ENTRIES + 1 && tree.size_bytes() <= Budget::BYTES);
    for (path, _) in tree.iter() {
        assert_inside(path.as_bytes());
        let parent = path.parent().filter(|parent| tree.get(parent.as_bytes()).is_some());
        let is_below =
            parent.is_none_or(|parent| tree.get(parent.as_bytes()).is_some_and(|p| p.kind.is_directory()));
        assert!(is_below, "{path} lies below what is no directory");
    }
}

/// Returns a small package of a format, the same each time.
pub(crate) fn made(format: Format) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("cache")).expect("opens");
    let recipe = "[app]\nname = \"tea\"\nversion = \"1\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n\
                  [[service]]\nname = \"tea\"\ncommand = [\"/bin/tea\"]\n";
    let mut tree = Tree::new();
    let files: [(&str, &str); 3] =
        [("tinyroot/papers/recipe/recipe.toml", recipe), ("bin/tea", "#!/bin/sh\n"), ("var/empty", "")];
    for (at, text) in files {
        let entry = Entry::file(store.put(text), text.len() as u64, 0o755, 1_600_000_000);
        tree.insert(TreePath::new(at.as_bytes()).expect("a good path"), entry);
    }
    tree.insert(TreePath::new(b"sbin").expect("a good path"), Entry::symlink("bin", 0));
    tree.add_parents(0);
    let manifest = Manifest::for_init("Tea", "1", 1, "pot");
    let key = Key::from_seed([7; 32]);
    let writer = AnyWriter { format, manifest: &manifest, signer: Signer::Key(&key) };
    let out = directory.path().join("made");
    writer.write(Packable(tree), &out, &store, &Progress::silent()).expect("packs");
    crate::files::read(&out).expect("reads")
}
