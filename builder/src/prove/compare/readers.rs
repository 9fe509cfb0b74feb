//! Lines that two runs gave, side by side.

use super::{
    pattern::{Pattern, fold_digits, tokens},
    texts,
};

/// A pattern of each line with the others, and the texts with each other.
pub(in crate::prove) fn patterns(lines: &[&str]) {
    for line in lines {
        let _ = fold_digits(line);
        let pattern = Pattern::of(line);
        assert!(pattern.matches(&tokens(line)), "a line does not fit its own pattern: {line:?}");
        for other in lines {
            assert!(
                pattern.with(other).matches(&tokens(line)) && pattern.with(other).matches(&tokens(other)),
                "{line:?} {other:?}"
            );
        }
    }
    let (one, other) = lines.split_at(lines.len() / 2);
    let whole = [texts::Text::new(&one.join("\n"))];
    let _ = texts::changes(&whole, &texts::Text::new(&other.join("\n")));
}
