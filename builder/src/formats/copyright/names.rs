//! Debian's short names of licences as SPDX has them.
//!
//! Source: copyright-format 1.0, "Short license name", and SPDX's licence list as the crate `spdx` has it. A
//! name for which both lists mean the same is that of SPDX. A name that means more than one licence is looked
//! up by its text, and is none of SPDX's where that does not say it either.

use spdx::{identifiers::LICENSES, license_id};

/// Names of Debian that SPDX spells otherwise.
const RENAMED: [(&str, &str); 12] = [
    ("expat", "MIT"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("cc0", "CC0-1.0"),
    ("cc0-1", "CC0-1.0"),
    ("apache-2", "Apache-2.0"),
    ("mpl-2", "MPL-2.0"),
    ("zlib", "Zlib"),
    ("isc", "ISC"),
    ("w3c", "W3C"),
    ("psf-2", "PSF-2.0"),
];

/// Licences whose versions SPDX parts into `-only` and `-or-later`, with the form of their versions.
const VERSIONED: [&str; 4] = ["GPL", "LGPL", "AGPL", "GFDL"];

/// What the licence that Debian calls Expat says; texts that are called MIT say this or something else.
const EXPAT: [&str; 3] = [
    "permission is hereby granted, free of charge, to any person obtaining a copy of this software and \
     associated documentation files (the",
    "to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the software",
    "this permission notice shall be included in all copies or substantial portions of the software",
];

/// Returns the SPDX term of a licence by its short name and, where that is not enough, its text.
pub(super) fn spdx(name: &str, text: &str) -> Option<String> {
    if let Some((name, exception)) = name.split_once(" with ") {
        let exception = exception_id(exception)?;
        return Some(format!("{} WITH {exception}", licence(name, text)?));
    }
    licence(name, text)
}

/// Returns an exception of SPDX's list: by its own name there, or the one that Debian's format names.
fn exception_id(name: &str) -> Option<&'static str> {
    let name = match &name.to_ascii_lowercase()[..] {
        // The text of the GPL's authors about fonts in documents, as the format says.
        "font exception" => "Font-exception-2.0",
        "llvm exception" => "LLVM-exception",
        _ => name,
    };
    spdx::exception_id(name).filter(|id| !id.is_deprecated()).map(|id| id.name)
}

fn licence(name: &str, text: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    match &lower[..] {
        "mit" => return is_expat(text).then(|| "MIT".to_owned()),
        "artistic" | "artistic-1" | "artistic-1.0" => {
            // The file of this name in base-files is perl's.
            let is_perls = text.contains("/usr/share/common-licenses/Artistic");
            return is_perls.then(|| "Artistic-1.0-Perl".to_owned());
        }
        // SPDX has words of these names for one of several licences, or for none.
        "perl" | "python" | "bsd" | "public-domain" | "noassertion" | "none" => return None,
        _ => {}
    }
    if let Some((_, id)) = RENAMED.iter().find(|(debian, _)| *debian == lower) {
        return Some((*id).to_owned());
    }
    if let Some((base, version)) = name.split_once('-')
        && let Some(base) = VERSIONED.iter().find(|known| known.eq_ignore_ascii_case(base))
    {
        return versioned(base, &version.to_ascii_lowercase());
    }
    let known = LICENSES.iter().find(|known| known.name.eq_ignore_ascii_case(name))?;
    license_id(known.name).filter(|id| !id.is_deprecated()).map(|id| id.name.to_owned())
}

/// Returns the SPDX name of a version such as `2`, `2.1+`, `NIV-1.3+` or, as SPDX has it, `2.0-or-later`.
fn versioned(base: &str, version: &str) -> Option<String> {
    let (invariants, version) = match version.strip_prefix("niv-") {
        Some(version) if base == "GFDL" => ("-no-invariants", version),
        _ => ("", version),
    };
    let (version, later) = match version {
        _ if version.ends_with('+') => (version.strip_suffix('+')?, "-or-later"),
        _ if version.ends_with("-or-later") => (version.strip_suffix("-or-later")?, "-or-later"),
        _ => (version.strip_suffix("-only").unwrap_or(version), "-only"),
    };
    let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
    let name = format!("{base}-{version}{invariants}{later}");
    license_id(&name).filter(|id| id.name == name).map(|id| id.name.to_owned())
}

/// Returns whether a text is the licence that SPDX calls MIT.
fn is_expat(text: &str) -> bool {
    let words = text.to_ascii_lowercase().split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    EXPAT.iter().all(|part| words.contains(part))
}
