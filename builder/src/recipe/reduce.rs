//! `[reduce]` in recipe.toml, and its rules.

use serde::Deserialize;
use toml::Spanned;

use super::{Icu, Java, RecipeError, Reduce, check::Checker, languages};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReduceKeys {
    icu: Option<Spanned<IcuKeys>>,
    java: Option<JavaKeys>,
    symbols: Option<bool>,
    stubs: Vec<Spanned<String>>,
    bytecode: bool,
    not: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JavaKeys {
    modules: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IcuKeys {
    languages: Option<Vec<Spanned<String>>>,
    converters: Option<bool>,
    #[serde(default)]
    empty: bool,
}

/// Reads the table.
pub(super) fn reduce(check: &Checker, keys: ReduceKeys) -> Result<Reduce, RecipeError> {
    let reduce = Reduce {
        icu: keys.icu.map(|keys| icu(check, keys)).transpose()?,
        java: keys.java.map(|keys| java(check, keys)).transpose()?,
        symbols: keys.symbols,
        stubs: keys.stubs.into_iter().map(|name| soname(check, name)).collect::<Result<_, _>>()?,
        bytecode: keys.bytecode,
        not: keys.not.iter().map(|name| name.get_ref().clone()).collect(),
    };
    for name in &keys.not {
        not(check, name, &reduce)?;
    }
    Ok(reduce)
}

/// Checks a name of `reduce.not`.
fn not(check: &Checker, name: &Spanned<String>, reduce: &Reduce) -> Result<(), RecipeError> {
    let text = name.get_ref();
    let is_asked = match &text[..] {
        "icu" => reduce.icu.is_some(),
        "java" => reduce.java.is_some(),
        "bytecode" => reduce.bytecode,
        library if library.contains(".so") => reduce.stubs.contains(text),
        _ => {
            let rule = format!(
                "reduce.not `{text}` is not one of icu, java, bytecode or a library (such as libgcrypt.so.20)"
            );
            return Err(check.rule(name.span(), rule));
        }
    };
    if is_asked {
        return Err(check.rule(name.span(), format!("reduce.not names `{text}`, which [reduce] asks for")));
    }
    Ok(())
}

fn soname(check: &Checker, name: Spanned<String>) -> Result<String, RecipeError> {
    match name.get_ref().contains(".so") && !name.get_ref().contains(['/', '*', ' ']) {
        true => Ok(name.into_inner()),
        false => {
            let rule = format!(
                "reduce.stubs `{}` is not a name of a library (such as libgcrypt.so.20)",
                name.get_ref()
            );
            Err(check.rule(name.span(), rule))
        }
    }
}

fn icu(check: &Checker, keys: Spanned<IcuKeys>) -> Result<Icu, RecipeError> {
    let span = keys.span();
    match keys.into_inner() {
        IcuKeys { languages: None, converters: None, empty: true } => Ok(Icu::Empty),
        IcuKeys { languages: Some(list), converters, empty: false } => {
            let checked = list.into_iter().map(|name| match languages::fault_of(name.get_ref()) {
                None => Ok(name.into_inner()),
                Some(fault) => {
                    Err(check.rule(name.span(), format!("reduce.icu.languages `{}` {fault}", name.get_ref())))
                }
            });
            let languages = checked.collect::<Result<_, _>>()?;
            Ok(Icu::Kept { languages, converters: converters.unwrap_or(true) })
        }
        _ => Err(check.rule(span, "reduce.icu has either languages or empty = true")),
    }
}

fn java(check: &Checker, keys: JavaKeys) -> Result<Java, RecipeError> {
    let good = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let checked = keys.modules.into_iter().map(|name| match name.get_ref().split('.').all(good) {
        true => Ok(name.into_inner()),
        false => Err(check.rule(
            name.span(),
            format!("reduce.java.modules `{}` is not a name of a module", name.get_ref()),
        )),
    });
    Ok(Java { modules: checked.collect::<Result<_, _>>()? })
}
