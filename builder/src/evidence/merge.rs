//! The pruned paths that an app requested, as evidence.

use std::path::Path;

use super::{Changes, Kinds, Miss, UsedLine, UsedList, UsedListError, step};

/// Adds what a grain's app missed to a used.list that is there: found by stat, as more is not known of what
/// is not there. A directory that was listed is no miss of its own, and adds nothing. What was to be written
/// is noted so: a grain then has a copy. What the list has already stays as it is; if it has all, it is not
/// written.
///
/// # Errors
/// [`UsedListError`].
pub fn merge_misses(misses: impl IntoIterator<Item = Miss>, path: &Path) -> Result<Changes, UsedListError> {
    let old = UsedList::read(path)?;
    let mut list = old.clone();
    for miss in misses.into_iter().filter(|miss| !miss.is_listing()) {
        let kinds = if miss.is_write() { Kinds::WRITTEN } else { Kinds::STAT };
        let Miss { path, package, program, .. } = miss;
        let (package, service) = (package.unwrap_or_default(), String::new());
        list.insert(path, UsedLine { kinds, program, package, service, step: step::RUN.to_owned() });
    }
    if old != list {
        list.write(path)?;
    }
    Ok(list.changes_since(&old))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{evidence::Cause, tree::TreePath};

    #[test]
    fn listings_add_nothing_and_what_was_asked_for_is_added_as_it_is_known() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("used.list");
        UsedList::default().write(&path).expect("writes");
        let miss = |at: &str, cause: Cause| Miss {
            path: TreePath::new(at.as_bytes()).expect("a good path"),
            package: Some("lib".to_owned()),
            program: "/usr/bin/x".to_owned(),
            step: String::new(),
            cause,
        };
        merge_misses([miss("usr/lib/x", Cause::Listed(412))], &path).expect("is read");
        assert_eq!(UsedList::read(&path).expect("reads"), UsedList::default());
        let more = [
            miss("usr/lib/x", Cause::Listed(412)),
            miss("usr/lib/x/shown", Cause::Shown),
            miss("usr/lib/x/asked", Cause::Asked),
            miss("var/lib/x", Cause::Written),
        ];
        merge_misses(more, &path).expect("is read");
        let list = UsedList::read(&path).expect("reads");
        let kinds = |at: &str| list.kinds(at.as_bytes());
        assert_eq!(kinds("usr/lib/x"), Kinds::default());
        assert_eq!([kinds("usr/lib/x/shown"), kinds("usr/lib/x/asked")], [Kinds::STAT; 2]);
        assert_eq!(kinds("var/lib/x"), Kinds::WRITTEN);
    }
}
