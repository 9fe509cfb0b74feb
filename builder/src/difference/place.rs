//! A part of contents, and a difference between two of them.

/// A part of contents.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Its name: "section `.text`", "member `a/b`".
    pub place: String,
    /// The first byte of the part that differs; `None` where not its bytes do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// A difference between parts, and where to look further.
pub(super) enum Part<'a> {
    /// A part has other contents.
    Contents(Place, Box<[u8]>, Box<[u8]>),
    /// As [`Part::Contents`], of parts that lie in the file as they are.
    Slices(Place, &'a [u8], &'a [u8]),
    /// Something else about the parts differs.
    Said(Vec<Place>, String),
}

/// Returns the offset of the first byte that differs; `None` if all is the same.
pub(super) fn first_difference(first: &[u8], second: &[u8]) -> Option<usize> {
    let common = first.iter().zip(second).position(|(a, b)| a != b);
    common.or_else(|| (first.len() != second.len()).then(|| first.len().min(second.len())))
}

/// Returns where two parts of a name differ.
pub(super) fn place(place: String, first: &[u8], second: &[u8]) -> Place {
    Place { place, offset: first_difference(first, second).map(|offset| offset as u64) }
}
