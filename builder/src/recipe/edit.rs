//! Changes to recipe.toml that leave all else in it as a person wrote it.

use toml_edit::{Array, DocumentMut, Item, Value};

/// Returns the text of a recipe with more names in `debian.exclude`; `None` if it is no recipe.
///
/// Comments, order and spelling stay. Names that are there already are not added again.
pub fn exclude(text: &str, names: &[String]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let debian = document.get_mut("debian")?.as_table_like_mut()?;
    let list = debian.entry("exclude").or_insert(Item::Value(Value::Array(Array::new())));
    let list = list.as_array_mut()?;
    let there: Vec<String> = list.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    for name in names.iter().filter(|name| !there.contains(name)) {
        list.push(name.as_str());
    }
    // One a line, once they would make a long line.
    if list.to_string().len() > 100 {
        for name in list.iter_mut() {
            name.decor_mut().set_prefix("\n    ");
        }
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_added_and_all_else_stays() {
        let text =
            "# An app.\n[app]\nname   =  \"wiki\" # odd\n[debian]\nsuite = \"bookworm\"\n\n[web]\nport = 1\n";
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let once = exclude(text, &names(&["apache2", "php"])).expect("a recipe");
        assert_eq!(once, text.replace("\"bookworm\"\n", "\"bookworm\"\nexclude = [\"apache2\", \"php\"]\n"));
        let twice = exclude(&once, &names(&["php", "x"])).expect("a recipe");
        assert_eq!(twice, once.replace("\"php\"]", "\"php\", \"x\"]"));
        let many: Vec<String> = (0..12).map(|n| format!("package-{n}")).collect();
        let long = exclude(text, &many).expect("a recipe");
        assert!(long.contains("exclude = [\n    \"package-0\",\n    \"package-1\",\n"), "{long}");
        assert!(long.contains("    \"package-11\",\n]\n\n[web]\n"), "{long}");
        assert_eq!(exclude("[app]\n", &many), None);
    }
}
