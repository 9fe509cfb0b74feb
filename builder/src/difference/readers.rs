//! What the readers of foreign bytes promise (`testing::readers`).

use super::of_bytes;

/// A file of any kind, compared with itself, with the same file changed in one byte, and with its first half.
pub(crate) fn file(bytes: &[u8]) {
    assert_eq!(of_bytes(bytes, bytes), None);
    let Some(middle) = bytes.len().checked_sub(1).map(|last| last / 2) else { return };
    let mut changed = bytes.to_vec();
    changed[middle] ^= 1;
    for other in [&changed[..], &bytes[..middle]] {
        let found = of_bytes(bytes, other).expect("they differ");
        assert_eq!(found.offset, middle as u64);
        assert!(found.places.len() <= 9);
        let other_way = of_bytes(other, bytes).expect("they differ");
        assert_eq!(other_way.offset, found.offset);
    }
}
