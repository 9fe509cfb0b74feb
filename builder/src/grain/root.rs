//! What a grain stands on: its root, read-only, as a view or as a directory.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use crate::{
    evidence::Pruned,
    image::{GRAIN_ID, Linked, apply_modes, give_to_grain},
    render::{RenderOptions, render},
    sandbox::{Ability, Root, Unavailable, fuse, grain_host_id},
    store::{Scratch, Store},
    tree::{Tree, TreePath},
    view::{self, OnMiss, View},
};

use super::GrainError;

/// A furnished tree, ready to be a grain's root; any number of grains, and of lives of them, may stand on it.
pub struct Base(Kind);

enum Kind {
    View(Arc<View>),
    /// Rendered; `holder` removes it at the end.
    Directory {
        path: PathBuf,
        /// Why there is no view; `None`: none was wanted.
        why: Option<Unavailable>,
        _holder: Scratch,
    },
}

impl Base {
    /// Makes a view where this host allows one, else a directory, in which no use and no miss is seen.
    ///
    /// `record` says whether uses are noted; `pruned` names the paths whose absence is a miss, each of
    /// which `on_miss` is told.
    ///
    /// # Errors
    /// A tree that cannot be rendered.
    pub fn new(
        tree: Arc<Tree>,
        store: &Arc<Store>,
        record: bool,
        pruned: Option<Arc<Pruned>>,
        on_miss: Option<OnMiss>,
    ) -> Result<Self, GrainError> {
        Base::by(tree, store, view::Options { record, pruned, on_miss, ..view::Options::default() })
    }

    /// Makes a base as [`Base::new`] does whose listings show pruned names ([`view::Options::show_pruned`]).
    ///
    /// # Errors
    /// A tree that cannot be rendered.
    pub fn showing(
        tree: Arc<Tree>,
        store: &Arc<Store>,
        pruned: Arc<Pruned>,
        on_miss: Option<OnMiss>,
    ) -> Result<Self, GrainError> {
        let options = view::Options { record: false, show_pruned: true, ..view::Options::default() };
        Base::by(tree, store, view::Options { pruned: Some(pruned), on_miss, ..options })
    }

    /// Makes a view where this host allows one, else a directory; of these files, the view notes each page that is read.
    ///
    /// # Errors
    /// A tree that cannot be rendered.
    pub fn closely(
        tree: Arc<Tree>,
        store: &Arc<Store>,
        closely: BTreeSet<TreePath>,
    ) -> Result<Self, GrainError> {
        Base::by(tree, store, view::Options { record: false, closely, ..view::Options::default() })
    }

    fn by(tree: Arc<Tree>, store: &Arc<Store>, options: view::Options) -> Result<Self, GrainError> {
        let mut tree = tree;
        let restricted = apply_modes(Arc::make_mut(&mut tree), store);
        // Finding out takes some sandboxes, and the answer stays.
        static FUSE: OnceLock<Ability> = OnceLock::new();
        match FUSE.get_or_init(fuse).clone() {
            Ok(()) => {
                let linked = Linked::of(&tree);
                let reported: view::Reported = Box::new(move |path| linked.find(path));
                let options = view::Options { owner: (GRAIN_ID, GRAIN_ID), reported, ..options };
                Ok(Base(Kind::View(Arc::new(View::new(tree, store.clone(), options)))))
            }
            Err(why) => Base::rendered(&tree, store, &restricted, Some(why)),
        }
    }

    /// Makes a directory, whether or not this host allows a view.
    ///
    /// # Errors
    /// A tree that cannot be rendered.
    pub fn directory(tree: &Tree, store: &Arc<Store>) -> Result<Self, GrainError> {
        let mut tree = tree.clone();
        let restricted = apply_modes(&mut tree, store);
        Base::rendered(&tree, store, &restricted, None)
    }

    fn rendered(
        tree: &Tree,
        store: &Arc<Store>,
        restricted: &[TreePath],
        why: Option<Unavailable>,
    ) -> Result<Self, GrainError> {
        let fault = |error: Box<dyn std::error::Error + Send + Sync>| GrainError::Render(error);
        let holder = store.scratch("root-").map_err(|error| fault(error.into()))?;
        // Not the scratch directory itself: that one is for its owner alone, and the grain is someone else.
        let path = holder.path().join("root");
        render(tree, store, &path, RenderOptions::default()).map_err(|error| fault(error.into()))?;
        give_to_grain(&path, restricted, grain_host_id()).map_err(|error| fault(error.into()))?;
        Ok(Base(Kind::Directory { path, why, _holder: holder }))
    }

    /// Takes a view as it is: the trace has its own.
    pub fn of_view(view: Arc<View>) -> Self {
        Base(Kind::View(view))
    }

    /// Returns the view; `None` for a directory.
    pub fn view(&self) -> Option<&Arc<View>> {
        match &self.0 {
            Kind::View(view) => Some(view),
            Kind::Directory { .. } => None,
        }
    }

    /// Returns why there is no view, if one was wanted.
    pub fn why_no_view(&self) -> Option<&Unavailable> {
        match &self.0 {
            Kind::View(_) => None,
            Kind::Directory { why, .. } => why.as_ref(),
        }
    }

    pub(super) fn root(&self) -> Root {
        match &self.0 {
            Kind::View(_) => Root::View,
            Kind::Directory { path, .. } => Root::Directory { path: path.clone(), writable: false },
        }
    }
}
