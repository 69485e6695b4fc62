//! Keys of the document that a release renamed. The gateway does not read the old names: `portcullis migrate` rewrites them.

/// How the value of a renamed key changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewValue {
    /// It is the same.
    Same,
    /// The one value becomes an array with it.
    InArray,
}

/// A key that a release renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenamedKey {
    /// The table that has the key, as messages name it, with `[]` for each index.
    pub table: &'static str,
    /// The old name.
    pub old: &'static str,
    /// The new name.
    pub new: &'static str,
    /// The new value.
    pub value: NewValue,
}

/// All renamed keys, the oldest first.
pub const RENAMED: &[RenamedKey] =
    &[RenamedKey { table: "identity_assertion", old: "key_secret", new: "key_secrets", value: NewValue::InArray }];

impl RenamedKey {
    /// Whether a path, such as `resources[0].credential`, is that of the table of the key.
    #[must_use]
    pub fn is_in(&self, path: &str) -> bool {
        let (mut known, mut given) = (self.table.split("[]"), path.split('['));
        known.next() == given.next()
            && known
                .all(|part| given.next().and_then(|after| after.split_once(']')).is_some_and(|(_, name)| name == part))
            && given.next().is_none()
    }
}

/// The renamed key with this old name in the table at this path.
#[must_use]
pub fn renamed(path: &str, key: &str) -> Option<&'static RenamedKey> {
    RENAMED.iter().find(|known| known.old == key && known.is_in(path))
}
