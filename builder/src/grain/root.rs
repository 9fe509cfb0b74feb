//! The root of a grain, read-only: a view, or a directory where this host allows no view.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use crate::{
    evidence::Pruned,
    image::{GRAIN_ID, Linked, apply_modes, give_to_grain},
    layout::ImagePath,
    render::{RenderOptions, render},
    sandbox::{Ability, Root, Unavailable, fuse, grain_host_id},
    store::{Scratch, Store},
    tree::{Tree, TreePath},
    view::{self, OnMiss, View},
};

use super::GrainError;

/// The root of grains: any number of grains, one after the other or side by side, may start on it.
pub struct GrainRoot(Kind);

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

/// The options of a root: its mounts and what its view records. The default view records nothing.
#[derive(Default)]
pub struct RootOptions {
    uses: bool,
    pruned: Option<Arc<Pruned>>,
    on_miss: Option<OnMiss>,
    show_pruned: bool,
    tracked: BTreeSet<ImagePath>,
    as_directory: bool,
}

impl RootOptions {
    /// Records each use of a path.
    #[must_use]
    pub fn with_uses(self) -> Self {
        RootOptions { uses: true, ..self }
    }

    /// Records each access to one of these pruned paths as a miss.
    #[must_use]
    pub fn with_pruned(self, pruned: Arc<Pruned>) -> Self {
        RootOptions { pruned: Some(pruned), ..self }
    }

    /// Calls a function with each miss.
    #[must_use]
    pub fn with_on_miss(self, on_miss: OnMiss) -> Self {
        RootOptions { on_miss: Some(on_miss), ..self }
    }

    /// Says whether listings show pruned names ([`view::Options::show_pruned`]).
    #[must_use]
    pub fn show_pruned(self, show_pruned: bool) -> Self {
        RootOptions { show_pruned, ..self }
    }

    /// Records which pages of these files are read.
    #[must_use]
    pub fn with_page_tracking(self, tracked: BTreeSet<ImagePath>) -> Self {
        RootOptions { tracked, ..self }
    }

    /// Makes a directory, even where this host allows a view. A directory records nothing.
    #[must_use]
    pub fn as_directory(self) -> Self {
        RootOptions { as_directory: true, ..self }
    }
}

/// Returns whether this host can serve a root as a view. The first call finds out, which takes some
/// sandboxes; later calls return the same.
pub fn views() -> Ability {
    static VIEWS: OnceLock<Ability> = OnceLock::new();
    VIEWS.get_or_init(fuse).clone()
}

impl GrainRoot {
    /// Makes a root of an image tree: a view where this host allows one, else a directory, which records
    /// nothing.
    ///
    /// # Errors
    /// A tree that cannot be rendered.
    pub fn new(mut tree: Arc<Tree>, store: &Arc<Store>, options: RootOptions) -> Result<Self, GrainError> {
        let restricted = apply_modes(Arc::make_mut(&mut tree), store);
        let RootOptions { uses: record, pruned, on_miss, show_pruned, tracked: closely, as_directory } =
            options;
        let why = if as_directory { None } else { views().err() };
        if as_directory || why.is_some() {
            return GrainRoot::rendered(&tree, store, &restricted, why);
        }
        let linked = Linked::of(&tree);
        let options = view::Options {
            owner: (GRAIN_ID, GRAIN_ID),
            record,
            pruned,
            on_miss,
            show_pruned,
            reported: Box::new(move |path| linked.find(path)),
            closely,
            ..view::Options::default()
        };
        Ok(GrainRoot(Kind::View(Arc::new(View::new(tree, store.clone(), options)))))
    }

    fn rendered(
        tree: &Tree,
        store: &Arc<Store>,
        restricted: &[TreePath],
        why: Option<Unavailable>,
    ) -> Result<Self, GrainError> {
        let fault = |error: Box<dyn std::error::Error + Send + Sync>| GrainError::Render(error);
        let holder = store.scratch("root-").map_err(|error| fault(error.into()))?;
        // The scratch directory itself is closed to the grain, which is another user.
        let path = holder.path().join("root");
        render(tree, store, &path, RenderOptions::default()).map_err(|error| fault(error.into()))?;
        give_to_grain(&path, restricted, grain_host_id()).map_err(|error| fault(error.into()))?;
        Ok(GrainRoot(Kind::Directory { path, why, _holder: holder }))
    }

    /// Makes a root of a view as it is, as if another program had made it: without the modes of the tree's
    /// list.
    #[cfg(feature = "testing")]
    pub fn of_view(view: Arc<View>) -> Self {
        GrainRoot(Kind::View(view))
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

    /// Returns the root for a sandbox.
    pub(super) fn for_sandbox(&self) -> Root {
        match &self.0 {
            Kind::View(_) => Root::View,
            Kind::Directory { path, .. } => Root::Directory { path: path.clone(), writable: false },
        }
    }
}
