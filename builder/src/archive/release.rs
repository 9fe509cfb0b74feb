//! The contents of a Release file whose signature is good.
//!
//! Nothing is verified here: the text comes from `keyring`. A field must not stand there twice, since other
//! programs may go by the one that we do not. The list of files is read in `listed`. (Format: Debian's wiki,
//! DebianRepository/Format.)
//!
//! Debian's own archive names its suite and its time as they should be. Archives of others often do not; apt
//! takes those with a warning, and so do we where such an archive has keys of its own.

use super::{
    day,
    keyring::{CLOCK_LEEWAY_S, Signed},
    listed::{ListedIndex, check_list, list_indexes},
};
use crate::formats::{
    deb822::{Fault, Field, Item, Reader},
    suite::is_exact,
};

/// A Release file that one should not go by, though its signature is good.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It cannot be read.
    #[error("its Release file breaks a rule of the format: {0}")]
    Parse(String),
    /// Another suite than requested.
    #[error("it is the suite `{found}` and not `{asked}`")]
    WrongSuite {
        /// As requested.
        asked: String,
        /// As it calls itself.
        found: String,
    },
    /// From the future: the clock is wrong, here or there.
    #[error("it was made on {date}, but the clock of this host says {today}")]
    Future {
        /// Its Date.
        date: String,
        /// The clock.
        today: String,
    },
    /// Out of date: a mirror that is no longer updated, or one that hides updates.
    #[error("it was valid until {until} only, and the clock of this host says {today}")]
    Expired {
        /// Its Valid-Until.
        until: String,
        /// The clock.
        today: String,
    },
    /// Older than one that was seen before.
    #[error("it is of {found}, older than the one of {known} that was fetched before")]
    Replayed {
        /// Its Date.
        found: String,
        /// The Date of the one in the cache.
        known: String,
    },
}

/// A Release file, read.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) date_s: i64,
    pub(super) valid_until_s: Option<i64>,
    pub(super) not_automatic: bool,
    pub(super) but_automatic_upgrades: bool,
    names: Vec<String>,
    indexes: Vec<ListedIndex>,
    /// Whether packages for all architectures are in an index of their own only. Debian lists one as well,
    /// but it repeats the packages of the others (and its security archive does not even serve it).
    all_is_apart: bool,
    /// Whether such an index repeats the packages of the others.
    all_is_repeated: bool,
    /// Odd parts of its time, a clause each.
    odd_times: Vec<String>,
}

impl Release {
    /// Reads a verified text. With the time of its signature, times may be written otherwise than they should
    /// be, and where Date says nothing that time counts.
    pub(super) fn parse(text: &str, signed_s: Option<i64>) -> Result<Self, ReleaseError> {
        let wrong = |fault: Fault| ReleaseError::Parse(fault.to_string());
        let fields = Fields::read(text).map_err(wrong)?;
        for kind in ["SHA256", "SHA512"] {
            fields.get(kind).map_or(Ok(()), check_list).map_err(wrong)?;
        }
        let no_time = |name: &str| wrong(Fault::new(fields.line(name), format!("{name} is not a time")));
        let mut odd_times = Vec::new();
        let mut own = |name: &str| {
            let time_s = signed_s.and(fields.get(name)).and_then(|field| own_form(field.value));
            odd_times.extend(time_s.map(|_| format!("its {name} is not of the form that RFC 2822 has")));
            time_s
        };
        let mut time =
            |name: &str| fields.get(name).and_then(|field| rfc_2822(field.value)).or_else(|| own(name));
        let date_s = time("Date");
        let valid_until_s = match fields.get("Valid-Until") {
            Some(_) => Some(time("Valid-Until").ok_or_else(|| no_time("Valid-Until"))?),
            None => None,
        };
        let date_s = match (date_s, signed_s) {
            (Some(date_s), _) => date_s,
            (None, Some(signed_s)) => {
                let what =
                    if fields.get("Date").is_some() { "its Date is not a time" } else { "it has no Date" };
                odd_times.push(format!("{what}, so that of its signature counts, {}", day(signed_s)));
                signed_s
            }
            (None, None) if fields.get("Date").is_some() => return Err(no_time("Date")),
            (None, None) => return Err(ReleaseError::Parse("it has no Date".into())),
        };
        let all_is_repeated = fields.says("No-Support-for-Architecture-all", "Packages");
        Ok(Release {
            date_s,
            valid_until_s,
            not_automatic: fields.is_yes("NotAutomatic"),
            but_automatic_upgrades: fields.is_yes("ButAutomaticUpgrades"),
            names: ["Codename", "Suite"]
                .iter()
                .filter_map(|name| Some(fields.get(name)?.value.to_owned()))
                .collect(),
            indexes: list_indexes(
                fields.get("SHA256"),
                fields.get("SHA512"),
                fields.is_yes("Acquire-By-Hash"),
            ),
            all_is_apart: fields.says("Architectures", "all") && !all_is_repeated,
            all_is_repeated,
            odd_times,
        })
    }

    /// Checks that it is the suite asked for and of the present. Offline, an old one has to do; what an
    /// archive of others calls itself need not be the name that it is requested by.
    pub(super) fn check(&self, asked: &Asked<'_>, now_s: i64, offline: bool) -> Result<(), ReleaseError> {
        if !asked.leniently && !self.names.iter().any(|name| name == asked.suite) {
            let found = self.names.first().cloned().unwrap_or_default();
            return Err(ReleaseError::WrongSuite { asked: asked.suite.into(), found });
        }
        let today = day(now_s);
        if self.date_s > now_s + CLOCK_LEEWAY_S {
            return Err(ReleaseError::Future { date: day(self.date_s), today });
        }
        match self.valid_until_s {
            Some(until_s) if until_s < now_s && !offline => {
                Err(ReleaseError::Expired { until: day(until_s), today })
            }
            _ => Ok(()),
        }
    }

    /// Returns the oddities that were accepted, a clause each. An exact path is not the name of a suite, so
    /// there is nothing that the names should be; of a name of several parts, the last may be missing, as apt
    /// has it.
    pub(super) fn oddities(&self, suite: &str) -> Vec<String> {
        let mut out = self.odd_times.clone();
        let shorter = suite.rsplit_once('/').map_or(suite, |(shorter, _)| shorter);
        let expected = |name: &String| name == suite || name == shorter;
        match &self.names[..] {
            _ if is_exact(suite) => {}
            [] => out.push("it has neither Suite nor Codename".into()),
            names if names.iter().any(expected) => {}
            names => out.push(format!("it calls itself {} and not {suite}", names.join(" and "))),
        }
        out
    }

    /// Returns the indexes of a component for an architecture: with that of `all` where the archive
    /// keeps it apart, or has no other. Empty if there is none. The component of an exact path is empty, and
    /// its one index is for all architectures.
    pub(super) fn indexes(&self, component: &str, architecture: &str) -> Vec<&ListedIndex> {
        let of_component = || self.indexes.iter().filter(|index| index.component == component);
        if component.is_empty() {
            return of_component().collect();
        }
        let native = of_component().any(|index| index.architecture == architecture);
        let all = if native { self.all_is_apart } else { !self.all_is_repeated };
        let wanted =
            |index: &&ListedIndex| index.architecture == architecture || all && index.architecture == "all";
        of_component().filter(wanted).collect()
    }
}

/// The requested suite, and its archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) suite: &'a str,
    /// Whether the archive is not Debian's, so that odd fields are accepted.
    pub(super) leniently: bool,
}

impl Asked<'_> {
    /// Reads a verified Release file.
    pub(super) fn parse(&self, signed: &Signed) -> Result<Release, ReleaseError> {
        Release::parse(&signed.text, self.leniently.then_some(signed.made_s))
    }
}

/// The fields of a Release file.
struct Fields<'a>(Vec<Field<'a>>);

impl<'a> Fields<'a> {
    /// Reads the one stanza of a text.
    fn read(text: &'a str) -> Result<Self, Fault> {
        let mut reader = Reader::new(text);
        let (mut fields, mut is_over) = (Fields(Vec::new()), false);
        while let Some(item) = reader.next_item()? {
            match item {
                Item::End => is_over = true,
                Item::Field(field) if is_over => {
                    return Err(Fault::new(field.line, "begins a second stanza"));
                }
                Item::Field(field) if fields.get(field.name).is_some() => {
                    return Err(Fault::new(field.line, format!("{} stands there twice", field.name)));
                }
                Item::Field(field) => fields.0.push(field),
            }
        }
        if fields.0.is_empty() {
            return Err(Fault::new(1, "no field begins here"));
        }
        Ok(fields)
    }

    fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.0.iter().find(|field| field.is(name))
    }

    /// Returns whether a field is `yes`, the one word by which Release files affirm.
    fn is_yes(&self, name: &str) -> bool {
        self.get(name).is_some_and(|field| field.value == "yes")
    }

    /// Returns whether a field has a word in it.
    fn says(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|field| field.value.split_whitespace().any(|known| known == word))
    }

    /// Returns the line of a field.
    fn line(&self, name: &str) -> usize {
        self.get(name).map_or(1, |field| field.line)
    }
}

/// Reads a time as Release files should have it. Debian writes the zone `UTC`, which RFC 2822 does not know.
fn rfc_2822(text: &str) -> Option<i64> {
    let text = text.strip_suffix("UTC").map_or(text.to_owned(), |rest| format!("{rest}GMT"));
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    Some(parser.parse_timestamp(&text).ok()?.as_second())
}

/// Reads a time in one of the forms that programs write which do not know RFC 2822: that of `date`, that of
/// ISO 8601, that of RFC 2822 without a zone. All are taken for UTC, or say that they are.
fn own_form(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    let zones = ["UTC", "GMT", "Z", "+0000"];
    let words: Vec<&str> = text.split_whitespace().filter(|word| !zones.contains(word)).collect();
    let text = words.join(" ");
    let forms = [
        "%a %b %d %H:%M:%S %Y",
        "%a, %d %b %Y %H:%M:%S",
        "%a %d %b %Y %H:%M:%S",
        "%d %b %Y %H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
    ];
    let time = |form: &&str| jiff::fmt::strtime::parse(form, &text).ok()?.to_datetime().ok();
    let time = forms.iter().find_map(time)?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_that_people_write() {
        for text in [
            "Fri Jun 19 02:33:59 UTC 2026",
            "Fri Jun  19 02:33:59 2026",
            "Fri, 19 Jun 2026 02:33:59",
            "Fri 19 Jun 2026 02:33:59 GMT",
            "2026-06-19T02:33:59Z",
            "2026-06-19T04:33:59+02:00",
            "2026-06-19 02:33:59 +0000",
            "2026-06-19 02:33:59",
        ] {
            assert_eq!(own_form(text), Some(1_781_836_439), "{text}");
        }
        for text in ["", "yesterday", "2026", "Fri Jun 19 02:33:59 CEST 2026"] {
            assert_eq!((own_form(text), rfc_2822(text)), (None, None), "{text}");
        }
        for text in [
            "Fri, 19 Jun 2026 02:33:59 UTC",
            "Thu, 19 Jun 2026 02:33:59 GMT",
            "Fri,  19 Jun 2026 04:33:59 +0200",
        ] {
            assert_eq!(rfc_2822(text), Some(1_781_836_439), "{text}");
        }
    }
}
