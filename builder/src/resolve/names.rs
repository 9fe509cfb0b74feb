//! Names that a person may have meant.

/// How many names are told at most.
const MOST: usize = 5;

/// Returns the names that differ least from a wrong one, the nearest first; none that differs by
/// more than a third.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    // Real names are shorter than 100 characters; more would only cost time.
    let wrong: String = wrong.chars().take(100).collect();
    let limit = (wrong.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = names
        .filter(|name| name.len().abs_diff(wrong.len()) <= limit)
        .filter_map(|name| distance(&wrong, name, limit).map(|distance| (distance, name)))
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().take(MOST).map(|(_, name)| name.into()).collect()
}

/// Returns how many letters must be put in, taken out, changed or swapped with the next; `None` if
/// more than a limit.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        if row.iter().all(|cell| *cell > limit) {
            return None;
        }
        before_last = std::mem::replace(&mut last, row);
    }
    Some(last[b.len()]).filter(|found| *found <= limit)
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
