//! Pins: how versions of packages rank against each other, as apt_preferences(5) has it.
//!
//! A pin for names goes before one for all packages (`*`), and of several that fit the first counts.
//! Above all others goes the rank, then the version; a version that ranks below 0 is never taken.

/// One pin.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// A name, or a pattern in which `*` stands for anything and `?` for one character.
    pub package: String,
    /// The suite that it is about, pocket included (`bookworm-backports`); none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The versions that it is about, as a pattern; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The rank: 500 is that of a suite that says nothing else, below 0 is never.
    pub priority: i32,
}

impl Pin {
    fn fits(&self, name: &str, version: &str, suite: &str) -> bool {
        matches(&self.package, name)
            && self.suite.as_deref().is_none_or(|wanted| wanted == suite)
            && self.version.as_deref().is_none_or(|wanted| matches(wanted, version))
    }
}

/// Returns the rank that pins give to a version of a package, if any is about it.
pub fn rank(pins: &[Pin], name: &str, version: &str, suite: &str) -> Option<i32> {
    let of = |general: bool| {
        let mut fitting = pins.iter().filter(|pin| (pin.package == "*") == general);
        fitting.find(|pin| pin.fits(name, version, suite)).map(|pin| pin.priority)
    };
    of(false).or_else(|| of(true))
}

/// Returns whether a text fits a pattern; in time that grows with the product of their lengths at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and how much of the text it covers so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, covered)) = star else { return false };
                star = Some((at, covered + 1));
                (p, t) = (at + 1, covered + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_a_shell_has_them() {
        for (pattern, text, expected) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx-full", false),
            ("*", "anything", true),
            ("php8.2-*", "php8.2-fpm", true),
            ("php8.2-*", "php8.3-fpm", false),
            ("1.2?-*", "1.22-3", true),
            ("*-*-dev", "librust-foo-dev", true),
            ("a*b*c", "abbbc", true),
            ("a*b*c", "abbb", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn names_go_before_all_and_the_first_counts() {
        let pin = |package: &str, suite: Option<&str>, priority| Pin {
            package: package.into(),
            suite: suite.map(String::from),
            version: None,
            priority,
        };
        let pins = [pin("*", Some("b"), 50), pin("ng*", Some("b"), 600), pin("nginx", None, 700)];
        assert_eq!(rank(&pins, "nginx", "1", "b"), Some(600));
        assert_eq!(rank(&pins, "nginx", "1", "a"), Some(700));
        assert_eq!(rank(&pins, "cgit", "1", "b"), Some(50));
        assert_eq!(rank(&pins, "cgit", "1", "a"), None);
    }
}
