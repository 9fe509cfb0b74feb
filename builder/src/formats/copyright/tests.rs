use super::*;

const FORMAT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n";

fn expression(synopsis: &str) -> Option<String> {
    let text = format!("{FORMAT}\nFiles: *\nCopyright: 2020 them\nLicense: {synopsis}\n");
    licences(text.as_bytes()).map(|found| found.expression)
}

#[test]
fn debians_short_names_become_those_of_spdx() {
    for (synopsis, spdx) in [
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("GPL-3.0-or-later", "GPL-3.0-or-later"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("apache-2.0", "Apache-2.0"),
        ("Apache-2.0 with LLVM exception", "Apache-2.0 WITH LLVM-exception"),
        ("GPL-2+ with Font exception", "GPL-2.0-or-later WITH Font-exception-2.0"),
        ("GPL-2+ and Expat", "GPL-2.0-or-later AND MIT"),
        ("GPL-2+ or Expat and ISC", "(GPL-2.0-or-later OR (MIT AND ISC))"),
        ("GPL-2+ or Expat, and ISC", "(GPL-2.0-or-later OR MIT) AND ISC"),
        ("Expat or Expat", "MIT"),
    ] {
        assert_eq!(expression(synopsis).as_deref(), Some(spdx), "{synopsis}");
        let parsed = spdx::Expression::parse(spdx);
        assert!(parsed.is_ok(), "{spdx}");
    }
}

#[test]
fn a_licence_that_spdx_does_not_list_is_extracted_with_its_text() {
    let text = format!(
        "{FORMAT}\nFiles: *\nLicense: GPL-2+ with OpenSSL exception or beer\n\nLicense: beer\n Buy one.\n .\n  Or two.\n"
    );
    let found = licences(text.as_bytes()).expect("is machine-readable");
    let names: Vec<&str> = found.extracted.values().map(|one| &one.name[..]).collect();
    assert_eq!(names, ["GPL-2+ with OpenSSL exception", "beer"]);
    let beer = found.extracted.iter().find(|(_, one)| one.name == "beer").expect("is there");
    assert_eq!(beer.1.text, "Buy one.\n\n Or two.");
    assert!(found.expression.contains(beer.0.as_str()), "{}", found.expression);
    spdx::Expression::parse(&found.expression).expect("is an expression");
}

#[test]
fn a_name_of_several_licences_is_known_by_its_text_only() {
    assert!(expression("MIT").expect("is there").starts_with("LicenseRef-MIT-"));
    let expat = "MIT\n Permission is hereby granted, free of charge, to any person obtaining a copy of this\n \
                 software and associated documentation files (the \"Software\"), to deal in the Software\n \
                 without restriction, including the rights to use, copy, modify, merge, publish, distribute,\n \
                 sublicense, and/or sell copies of the Software, and so on:\n .\n The above copyright notice \
                 and\n this permission notice shall be included in all copies or substantial portions of the\n \
                 Software.";
    assert_eq!(expression(expat).as_deref(), Some("MIT"));
    assert!(expression("NOASSERTION").expect("is there").starts_with("LicenseRef-NOASSERTION-"));
    assert!(expression("Artistic").expect("is there").starts_with("LicenseRef-Artistic-"));
    let artistic = "Artistic\n See /usr/share/common-licenses/Artistic.";
    assert_eq!(expression(artistic).as_deref(), Some("Artistic-1.0-Perl"));
}

#[test]
fn what_is_not_as_the_format_has_it_states_nothing() {
    for synopsis in ["GPL-2 | MIT", "see below", "", "GPL-2,", "A, and B, or C", "and", "A or"] {
        assert_eq!(expression(synopsis), None, "{synopsis}");
    }
    for text in [
        "This is Debian's package of foo.\n\nLicense: GPL\n",
        "Files: *\nLicense: Expat\n",
        "Format: https://example.org/\n\nFiles: *\nLicense: Expat\n",
        &format!("{FORMAT}\nFiles: *\nCopyright: them\n\nFiles: b\nLicense: Expat\n"),
        &format!("{FORMAT}\nFiles: *\nLicense: Expat\nLicense: GPL-2\n"),
        FORMAT,
    ] {
        assert_eq!(licences(text.as_bytes()), None, "{text}");
    }
}
