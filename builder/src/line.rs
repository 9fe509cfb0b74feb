//! The line: from a recipe folder to a signed package, stage by stage.

pub(crate) mod fix;
pub(crate) mod image;
pub(crate) mod lock;
pub(crate) mod proof;
pub(crate) mod reductions;
pub(crate) mod root;
pub(crate) mod sources;
