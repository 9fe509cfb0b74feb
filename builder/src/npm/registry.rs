//! The choice of the registry: as npm itself chooses it, after tinyroot's own option. There is none by
//! default, as there is no default mirror for packages of others.

/// Where a registry may be named.
pub struct Sources<'a> {
    /// `--npm-registry`, or its variable.
    pub option: Option<&'a str>,
    /// npm's own variable.
    pub environment: Option<&'a str>,
    /// The text of the user's `.npmrc`.
    pub npmrc: Option<&'a str>,
}

/// Returns the base URL of the registry that is named first.
pub fn registry(sources: &Sources<'_>) -> Option<String> {
    let named = [sources.option, sources.environment].into_iter().flatten().find(|url| !url.is_empty());
    named.or_else(|| sources.npmrc.and_then(of_npmrc)).map(str::to_owned)
}

/// Returns the value of `registry`, the last one, of npm's configuration (npmrc(5), an ini file). Values with
/// variables in them are left to npm.
fn of_npmrc(text: &str) -> Option<&str> {
    let mut values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (key.trim() == "registry" && !value.is_empty() && !value.contains("${")).then_some(value)
    });
    values.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_counts() {
        let npmrc = "; registry = http://comment.example\n@scope:registry=http://scope.example\nfund=false\n\
                     registry = \"http://file.example/\"\nregistry=${ELSEWHERE}\n";
        let rows: [[Option<&str>; 4]; 5] = [
            [Some("http://o.example"), Some("http://e.example"), Some(npmrc), Some("http://o.example")],
            [None, Some("http://e.example"), Some(npmrc), Some("http://e.example")],
            [None, Some(""), Some(npmrc), Some("http://file.example/")],
            [None, None, Some("fund=false\n"), None],
            [None, None, None, None],
        ];
        for [option, environment, npmrc, expected] in rows {
            assert_eq!(registry(&Sources { option, environment, npmrc }).as_deref(), expected);
        }
    }
}
