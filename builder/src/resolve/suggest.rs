//! Names that a person may have meant.

/// The largest number of names in a message.
const MOST: usize = 5;

/// Returns the names that differ least from a wrong one, the nearest first; none that differs by
/// more than a third.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    // Real names are shorter than 100 characters; more would only cost time.
    let wrong: String = wrong.chars().take(100).collect();
    let limit = (wrong.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = names
        .filter(|name| name.len().abs_diff(wrong.len()) <= limit)
        .map(|name| (strsim::osa_distance(&wrong, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().take(MOST).map(|(_, name)| name.into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_nearest() {
        let names =
            ["dokuwiki", "doku", "nginx", "nginx-full", "nginx-light", "php-fpm", "php8.2-fpm", "libc6"];
        let rows: &[(&str, &[&str])] = &[
            ("dokuwki", &["dokuwiki"]),
            ("ngnix", &["nginx"]),
            ("php82-fpm", &["php8.2-fpm", "php-fpm"]),
            ("libc7", &["libc6"]),
            ("postgresql", &[]),
            ("", &[]),
        ];
        for (wrong, expected) in rows {
            assert_eq!(nearest(wrong, names.into_iter()), *expected, "{wrong}");
        }
    }
}
