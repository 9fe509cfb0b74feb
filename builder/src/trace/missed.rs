//! What a pruned app asked for in vain, as evidence.

use std::path::Path;

use crate::{
    prove::Miss,
    used_list::{Changes, UsedLine, UsedList, UsedListError},
    view::Kinds,
};

/// Adds what a grain's app missed to a used.list that is there: found by stat, as more is not known of what is not there.
/// A directory that was listed is no miss of its own, and adds nothing. What was to be written is noted so: a grain then has a copy.
/// What the list has already stays as it is; if it has all, it is not written.
///
/// # Errors
/// [`UsedListError`].
pub fn take_in(misses: impl IntoIterator<Item = Miss>, path: &Path) -> Result<Changes, UsedListError> {
    let old = UsedList::read(path)?;
    let mut list = old.clone();
    for miss in misses.into_iter().filter(|miss| !miss.is_listing()) {
        let kinds = if miss.is_write() { Kinds::WRITTEN } else { Kinds::STAT };
        let Miss { path, package, program, .. } = miss;
        let (package, service) = (package.unwrap_or_default(), String::new());
        list.insert(path, UsedLine { kinds, program, package, service, step: "run".to_owned() });
    }
    if old != list {
        list.write(path)?;
    }
    Ok(list.changes_since(&old))
}
