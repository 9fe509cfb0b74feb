//! Addresses within a page: what its script shows when it is opened there.

use form_urlencoded::Serializer;

use crate::tree::TreePath;

/// Returns the address within the page of a package.
pub(in crate::report) fn package_link(name: &str) -> String {
    Serializer::new(String::new()).append_pair("by", "package").append_pair("in", name).finish()
}

/// Returns the address within the page of a directory.
pub(in crate::report) fn directory_link(path: &TreePath) -> String {
    let mut link = Serializer::new(String::new());
    link.append_pair("by", "directory");
    for name in path.to_string().split('/') {
        link.append_pair("in", name);
    }
    link.finish()
}

/// Returns the address within the page of a file.
pub(in crate::report) fn file_link(path: &TreePath) -> String {
    Serializer::new(String::new()).append_pair("mark", &path.to_string()).finish()
}
