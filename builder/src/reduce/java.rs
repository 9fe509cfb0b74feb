//! Java's own classes: modules that the app does not need.
//!
//! A JRE of Debian has all modules in one file, `lib/modules` ([`jimage`]), those of the compiler and of
//! windows and sounds among them. The modules that a recipe names stay, with those that they require; all
//! else is taken out in place. To Java it is then as if the others did not exist, with one exception: the
//! list of modules that it reads first is a class of java.base, and still has them, with the services that
//! they offer. `java --limit-modules` with the same names hides them there too, and does so on the full root
//! as well, so that the proof compares like with like.

use std::collections::BTreeSet;

use crate::{
    formats::{
        jimage::{self, Image},
        module_info,
    },
    recipe::{Java, nearest},
    tree::TreePath,
};

/// A fault of a file of modules.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file that cannot be read.
    #[error("its tables cannot be read")]
    Image(#[from] jimage::Fault),
    /// A module without a list of its requirements.
    #[error("module `{module}` does not say what it requires")]
    Module {
        /// Its name.
        module: String,
        /// The fault, where it has a description.
        source: Option<module_info::Fault>,
    },
    /// The recipe or a module requires one that is not there.
    #[error("reduce.java.modules: this Java has no module `{module}`{}", hint.as_ref().map_or(String::new(), |hint| format!("; did you mean `{hint}`?")))]
    Unknown {
        /// Its name.
        module: String,
        /// The nearest name.
        hint: Option<String>,
    },
}

/// Returns true for the path of the file that holds the modules.
pub(super) fn is_modules(path: &TreePath) -> bool {
    let mut parts = path.as_bytes().rsplit(|b| *b == b'/');
    let end = (parts.next(), parts.next());
    end == (Some(b"modules"), Some(b"lib")) && path.as_bytes().starts_with(b"usr/lib/jvm/")
}

/// Returns the names of a file's modules; `None` if it has no modules.
pub(super) fn module_names(file: &[u8]) -> Option<BTreeSet<String>> {
    let names = Image::read(file).ok()?.modules(file);
    Some(names.into_iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

/// Reduces the file in place; returns a description of the rest, as a clause.
pub(super) fn reduce(file: &mut [u8], keys: &Java) -> Result<String, Fault> {
    let image = Image::read(file)?;
    let names = image.modules(file);
    let all = names.len();
    let kept = with_required(&keys.modules, &image, file, &names)?;
    let left = image.keep_modules(file, |module| kept.contains(module))?;
    let names: Vec<String> = kept.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    Ok(format!(
        "{} of {all} modules of Java, {} classes and other resources, {} of {} bytes: {}",
        kept.len(),
        left.resources,
        left.size_bytes,
        file.len(),
        names.join(", ")
    ))
}

/// Returns the requested modules, `java.base`, and all that these require.
fn with_required(
    asked: &[String],
    image: &Image,
    file: &[u8],
    names: &BTreeSet<&[u8]>,
) -> Result<BTreeSet<Vec<u8>>, Fault> {
    let mut kept = BTreeSet::new();
    let mut open: Vec<String> = vec!["java.base".to_owned()];
    open.extend_from_slice(asked);
    while let Some(module) = open.pop() {
        if !names.contains(module.as_bytes()) {
            let known = names.iter().filter_map(|name| std::str::from_utf8(name).ok());
            let hint = nearest(&module, known).map(str::to_owned);
            return Err(Fault::Unknown { module, hint });
        }
        if !kept.insert(module.as_bytes().to_vec()) {
            continue;
        }
        let description = image.resource(file, module.as_bytes(), b"module-info", b"class");
        let Some(description) = description else { return Err(Fault::Module { module, source: None }) };
        let required = module_info::requires(description);
        open.extend(required.map_err(|source| Fault::Module { module, source: Some(source) })?);
    }
    Ok(kept)
}
