//! Whether a file holds a key or another secret.

use super::{keys, tokens};

/// Looks for both; the first half is what its package ships.
pub(in crate::prune::rules) fn look(bytes: &[u8]) {
    let _ = keys::is_private_key(bytes);
    let (shipped, now) = bytes.split_at(bytes.len() / 2);
    if let Some(token) = tokens::token(now, shipped) {
        assert!(token.line >= 1 && token.name.len() <= now.len());
    }
    assert_eq!(tokens::token(now, now), None, "what is shipped is no secret");
}
