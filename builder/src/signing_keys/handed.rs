//! Keys that are handed over for one command and lie in no file of ours: from a variable, or on standard
//! input.

use super::KeysError;
use crate::formats::{
    app_id::AppId,
    key_file::{self, Key},
};

/// Keys, and from where they came.
#[derive(Debug)]
pub struct Handed {
    from: &'static str,
    keys: Vec<Key>,
}

impl Handed {
    /// Reads keys: a keyring, or the text of one. `from` says from where they came ("TINYROOT_KEY").
    ///
    /// # Errors
    /// Bytes that are none.
    pub fn read(from: &'static str, bytes: &[u8]) -> Result<Self, KeysError> {
        let keys = key_file::read_any(bytes).map_err(|_| KeysError::HandedDamaged { from })?;
        Ok(Handed { from, keys })
    }

    /// Returns the key of a recipe's app: the one that is named, or the only one, or the only one besides the
    /// one that is named for `another` use.
    ///
    /// # Errors
    /// None, or several of which none is named.
    pub fn for_app(
        self,
        name: &str,
        app_id: Option<&AppId>,
        another: Option<&AppId>,
    ) -> Result<Key, KeysError> {
        let Handed { from, keys } = self;
        let others: Vec<&Key> = keys.iter().filter(|key| another != Some(&key.app_id())).collect();
        if let (None, [only]) = (app_id, &others[..]) {
            return Ok((*only).clone());
        }
        match (app_id, &keys[..]) {
            (_, []) => Err(KeysError::HandedNone { from }),
            (Some(app_id), keys) => {
                let found = keys.iter().find(|key| key.app_id() == *app_id);
                found.cloned().ok_or(KeysError::HandedOthers { from, app_id: *app_id })
            }
            (None, [only]) => Ok(only.clone()),
            (None, keys) => Err(KeysError::HandedSeveral { from, count: keys.len(), name: name.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_key_counts_or_the_only_one() {
        let [one, two] = [1, 2].map(|seed| Key::from_seed([seed; 32]));
        let both = [one.to_bytes(), two.to_bytes()].concat();
        let choose = |bytes: &[u8], app_id: Option<&AppId>| {
            let chosen =
                Handed::read("TINYROOT_KEY", bytes).and_then(|handed| handed.for_app("tea", app_id, None));
            chosen.map_err(|error| error.to_string())
        };
        let text = format!("  {}\r\n", key_file::to_text(&one.to_bytes()));
        for bytes in [one.to_bytes(), text.into_bytes()] {
            assert_eq!(choose(&bytes, None), Ok(one.clone()));
            assert_eq!(choose(&bytes, Some(&one.app_id())), Ok(one.clone()));
            let other = format!("there is no key for {} in TINYROOT_KEY", two.app_id());
            assert_eq!(choose(&bytes, Some(&two.app_id())), Err(other));
        }
        assert_eq!(choose(&both, Some(&two.app_id())), Ok(two.clone()));
        let several = "there are 2 keys in TINYROOT_KEY, and the recipe does not say which is that of tea";
        assert_eq!(choose(&both, None), Err(several.into()));
        let besides = |bytes: &[u8], another: &Key| {
            let handed = Handed::read("TINYROOT_KEY", bytes).expect("reads");
            handed.for_app("tea", None, Some(&another.app_id())).map_err(|error| error.to_string())
        };
        assert_eq!((besides(&both, &one), besides(&both, &two)), (Ok(two.clone()), Ok(one.clone())));
        // One key may do both.
        assert_eq!(besides(&one.to_bytes(), &one), Ok(one.clone()));
        let three = [&both[..], &Key::from_seed([3; 32]).to_bytes()].concat();
        assert_eq!(besides(&three, &one), Err(several.replace('2', "3")));
        assert_eq!(choose(b"\n", None), Err("there is no key in TINYROOT_KEY".into()));
        assert_eq!(
            choose(b"nonsense!", None),
            Err("TINYROOT_KEY is not the text of a key, as `tinyroot key export --text` writes it".into())
        );
    }
}
