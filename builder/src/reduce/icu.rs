//! libicudata: locale data of languages that the app does not speak, and more where nothing needs it.
//!
//! The library is an ELF file with one symbol, `icudtNN_dat`: a blob with a table of some 4 000 items
//! ([`icu_data`]). Its table is shortened and the bytes of the other items are zeroed, in place: no
//! linker is needed, addresses stay, pages without items are never loaded, and zeros pack to nothing.
//!
//! A request for an item that was left out does not fail by itself: ICU falls back to the root locale, as it
//! does for languages that it does not know. The lists of locales that there are (`res_index`) stay as they
//! were. A name that is not found in the table causes no access to a file, so no report of misses can name
//! it. On the full root it shows: by the pages of the library that are read there ([`read_and_left_out`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::{
    evidence::PAGE_BYTES,
    formats::{
        elf::{self, image::Image},
        icu_data::{self, CommonData, Item},
    },
    recipe::Icu,
};

/// A fault of a library.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file that has no symbols for a loader.
    #[error("it is not a library")]
    NoLibrary,
    /// Symbols that cannot be read.
    #[error("its symbols cannot be read")]
    Symbols(#[from] elf::Fault),
    /// It does not export the symbol of the data.
    #[error("it has no symbol icudtNN_dat")]
    NoSymbol,
    /// The symbol is not where a file has contents.
    #[error("its symbol icudtNN_dat lies outside of the file")]
    Outside,
    /// Data that cannot be read.
    #[error("its data cannot be read")]
    Data(#[from] icu_data::Fault),
    /// The recipe names a language that these data do not have.
    #[error("reduce.icu.languages: this version of ICU has nothing for `{0}`")]
    Language(String),
}

/// Returns true for the name of the library that holds the data.
pub(super) fn is_library(name: &[u8]) -> bool {
    name.starts_with(b"libicudata.so.")
}

/// Reduces the library in place; returns a description of the rest, as a clause.
pub(super) fn reduce(library: &mut [u8], keys: &Icu) -> Result<String, Fault> {
    let place = data_place(library)?;
    let blob = &mut library[place];
    let data = CommonData::read(blob)?;
    let choice = Choice::of(keys, &data)?;
    let kept = data.items.iter().filter(|item| choice.keeps(&item.name)).count();
    let kept_bytes = data.shorten(blob, |item| choice.keeps(&item.name));
    let (all, all_bytes) = (data.items.len(), blob.len());
    Ok(format!("{kept} of {all} items of ICU's data, {kept_bytes} of {all_bytes} bytes: {}", choice.text))
}

/// Returns the items that are left out and of which a program read a page, with the values of the keys that
/// keep them. A page that also holds a kept item shows nothing; one that several begin in names them all, as
/// `a or b`.
pub(super) fn read_and_left_out(
    library: &[u8],
    keys: &Icu,
    pages: &BTreeSet<u64>,
) -> Result<(Vec<String>, String), Fault> {
    let place = data_place(library)?;
    let data = CommonData::read(&library[place.clone()])?;
    let choice = Choice::of(keys, &data)?;
    let pages_of = |item: &Item| {
        let Range { start, end } = item.place();
        let page = |at: usize| (place.start + at) as u64 / PAGE_BYTES;
        page(start)..page(end.max(start + 1) - 1) + 1
    };
    let first_item = data.items.first().map_or(0, |item| (place.start + item.place().start) as u64);
    let mut mixed: BTreeSet<u64> = (0..first_item.div_ceil(PAGE_BYTES)).collect();
    // The bytes behind the data are the loader's.
    mixed.insert(place.end as u64 / PAGE_BYTES);
    mixed.extend(data.items.iter().filter(|item| choice.keeps(&item.name)).flat_map(pages_of));
    let mut by_page: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for item in data.items.iter().filter(|item| !choice.keeps(&item.name)) {
        // An item's beginning is read before all else of it.
        let range = pages_of(item);
        let begun = pages.contains(&range.start);
        for page in range.filter(|page| begun && pages.contains(page) && !mixed.contains(page)) {
            by_page.entry(page).or_default().push(&item.name);
        }
    }
    let mut groups: Vec<Vec<&str>> = by_page.into_values().collect();
    groups.sort_by_key(Vec::len);
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let mut parts: Vec<String> = Vec::new();
    let mut remedies: BTreeSet<String> = BTreeSet::new();
    for group in groups {
        if group.iter().any(|name| named.contains(name)) {
            continue;
        }
        // One that would do already is likelier than its neighbours.
        let its: BTreeSet<String> = group.iter().map(|name| remedy(name)).collect();
        if its.is_disjoint(&remedies) {
            remedies.extend(its);
        }
        parts.push(group.join(" or "));
        named.extend(group);
    }
    parts.sort_unstable();
    let remedies: Vec<String> = remedies.into_iter().collect();
    Ok((parts, super::first_few(&remedies, " or ")))
}

/// Returns the value of `[reduce] icu` that keeps an item.
fn remedy(name: &str) -> String {
    match part_of(name) {
        Part::Converter => "set `converters = true`".to_owned(),
        Part::Neutral => "take `languages = []` for `empty`".to_owned(),
        Part::Shared => "name a language, or `root`".to_owned(),
        Part::Languages(any) => format!("add `{}` to `languages`", any[0]),
        Part::Language(language) => format!("add `{language}` to `languages`"),
    }
}

/// Returns where the data lie in the file.
pub(crate) fn data_place(library: &[u8]) -> Result<Range<usize>, Fault> {
    let image = Image::read(library)?.ok_or(Fault::NoLibrary)?;
    let is_data = |name: &[u8]| {
        let version = name.strip_prefix(b"icudt").and_then(|rest| rest.strip_suffix(b"_dat"));
        version.is_some_and(|version| !version.is_empty() && version.iter().all(u8::is_ascii_digit))
    };
    let symbols = image.symbols.iter().enumerate();
    let mut exports = symbols.filter(|(index, _)| image.is_export(*index));
    let found = exports.find(|(_, symbol)| is_data(image.name(library, symbol)));
    let (index, _) = found.ok_or(Fault::NoSymbol)?;
    image.contents(library, index).ok_or(Fault::Outside)
}

/// Which items stay.
struct Choice {
    /// The languages, with those that theirs refer to.
    languages: BTreeSet<String>,
    /// Data that any language needs.
    shared: bool,
    /// Properties of characters, normalisation, preparation of strings.
    neutral: bool,
    /// Tables of charsets.
    converters: bool,
    /// In words.
    text: String,
}

impl Choice {
    fn of(keys: &Icu, data: &CommonData) -> Result<Self, Fault> {
        let Icu::Kept { languages: asked, converters } = keys else {
            let text = "an empty table".to_owned();
            let languages = BTreeSet::new();
            return Ok(Choice { languages, shared: false, neutral: false, converters: false, text });
        };
        let there: BTreeSet<&str> = data.items.iter().filter_map(|item| language_of(&item.name)).collect();
        if let Some(missing) = asked.iter().find(|asked| *asked != ROOT && !there.contains(&asked[..])) {
            return Err(Fault::Language(missing.clone()));
        }
        let converters = *converters;
        let mut parts = vec!["character data"];
        if converters {
            parts.push("converters");
        }
        if !asked.is_empty() {
            parts.push("what all languages share");
        }
        parts.extend(asked.iter().map(|language| &language[..]).filter(|language| *language != ROOT));
        let text = parts.join(", ");
        let languages = with_needed(asked);
        Ok(Choice { languages, shared: !asked.is_empty(), neutral: true, converters, text })
    }

    fn keeps(&self, name: &str) -> bool {
        match part_of(name) {
            Part::Converter => self.converters,
            Part::Neutral => self.neutral,
            Part::Shared => self.shared,
            Part::Languages(any) => any.iter().any(|language| self.languages.contains(*language)),
            Part::Language(language) => self.languages.contains(language),
        }
    }
}

/// The name that stands for the root locale alone.
const ROOT: &str = "root";

/// The owner of an item.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// The table of a charset.
    Converter,
    /// Data that know no language.
    Neutral,
    /// Data that each language builds upon: root locales, pools of strings, time zones, plural rules,
    /// transliteration.
    Shared,
    /// A table that these languages use.
    Languages(&'static [&'static str]),
    /// A bundle of a locale of this language.
    Language(&'a str),
}

/// Tables for breaking text whose names say no language, and the languages that use them.
const TEXT_BREAKS: [(&str, &[&str]); 7] = [
    ("burmesedict.", &["my"]),
    ("cjdict.", CHINESE_SCRIPT),
    ("khmerdict.", &["km"]),
    ("laodict.", &["lo"]),
    ("sent_el.", &["el"]),
    ("thaidict.", &["th"]),
    ("word_fi_sv.", &["fi", "sv"]),
];

const CHINESE_SCRIPT: &[&str] = &["ja", "ko", "yue", "zh"];

fn part_of(name: &str) -> Part<'_> {
    if let Some(language) = language_of(name) {
        return Part::Language(language);
    }
    let (directory, file) = name.rsplit_once('/').unwrap_or(("", name));
    let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
    match (directory, ending) {
        ("", "cnv") => Part::Converter,
        // The root of all collation, coll/ucadata.icu, is such a table too, but of use to locales only.
        ("", "icu" | "nrm" | "spp" | "cfu") => Part::Neutral,
        ("brkitr", _) if stem.ends_with("_cj") => Part::Languages(CHINESE_SCRIPT),
        ("brkitr", _) => {
            let table = TEXT_BREAKS.iter().find(|(start, _)| file.starts_with(start));
            table.map_or(Part::Shared, |(_, languages)| Part::Languages(languages))
        }
        _ => Part::Shared,
    }
}

/// Returns the language of a locale's bundle: `zh` of `coll/zh_Hant_HK.res`. Other bundles have longer names
/// (`pool`, `zoneinfo64`) or go on with a small letter (`res_index`).
fn language_of(name: &str) -> Option<&str> {
    let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
    let mut parts = file.strip_suffix(".res")?.split('_');
    let language = parts.next()?;
    let is_language = matches!(language.len(), 2 | 3) && language.bytes().all(|b| b.is_ascii_lowercase());
    let is_locale = is_language && !parts.any(|part| part.starts_with(|c: char| c.is_ascii_lowercase()));
    is_locale.then_some(language)
}

/// Languages whose bundles refer to those of another, by an alias or as their parent, in ICU 72 and 76 (what
/// `icupkg` says is missing where one stands alone), and old names that come with the new one.
const NEEDS: [(&str, &str); 18] = [
    ("ars", "ar"),
    ("fil", "tl"),
    ("he", "iw"),
    ("hi", "en"),
    ("id", "in"),
    ("in", "id"),
    ("iw", "he"),
    ("mo", "ro"),
    ("nb", "no"),
    ("nn", "no"),
    ("no", "nb"),
    ("no", "nn"),
    ("ro", "mo"),
    ("sh", "sr"),
    ("sr", "sh"),
    ("tl", "fil"),
    ("yue", "zh"),
    ("zh", "yue"),
];

fn with_needed(asked: &[String]) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = asked.iter().cloned().collect();
    loop {
        let needed =
            NEEDS.iter().filter(|(language, other)| all.contains(*language) && !all.contains(*other));
        let new: Vec<String> = needed.map(|(_, other)| (*other).to_owned()).collect();
        if new.is_empty() {
            return all;
        }
        all.extend(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_belong_to_languages_or_to_all() {
        for (name, part) in [
            ("ibm-943_P15A-2003.cnv", Part::Converter),
            ("cnvalias.icu", Part::Neutral),
            ("uts46.nrm", Part::Neutral),
            ("coll/ucadata.icu", Part::Shared),
            ("res_index.res", Part::Shared),
            ("root.res", Part::Shared),
            ("zone/tzdbNames.res", Part::Shared),
            ("curr/supplementalData.res", Part::Shared),
            ("brkitr/line.brk", Part::Shared),
            ("translit/root.res", Part::Shared),
            ("brkitr/line_loose_phrase_cj.brk", Part::Languages(CHINESE_SCRIPT)),
            ("brkitr/thaidict.dict", Part::Languages(&["th"])),
            ("de.res", Part::Language("de")),
            ("coll/de_.res", Part::Language("de")),
            ("lang/ca_ES_VALENCIA.res", Part::Language("ca")),
            ("unit/en_001.res", Part::Language("en")),
            ("rbnf/yue_Hans.res", Part::Language("yue")),
        ] {
            assert_eq!(part_of(name), part, "{name}");
        }
    }

    #[test]
    fn languages_bring_those_they_refer_to() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (asked, all) in [("de fr", "de fr"), ("nb", "nb nn no"), ("sh", "sh sr"), ("zh", "yue zh")] {
            assert_eq!(with_needed(&words(asked)).into_iter().collect::<Vec<_>>(), words(all));
        }
    }
}
