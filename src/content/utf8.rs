//! Checks that a body is UTF-8, however it is cut. Readers put other characters in place of what is not.

/// The state of the check.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// The beginning of a character that is not complete.
    rest: Vec<u8>,
}

impl Utf8 {
    /// Takes a part. Whether everything so far is UTF-8, or the beginning of it.
    pub(super) fn push(&mut self, part: &[u8]) -> bool {
        let mut part = part;
        while !self.rest.is_empty() {
            let Some((&byte, after)) = part.split_first() else { return true };
            part = after;
            self.rest.push(byte);
            match std::str::from_utf8(&self.rest) {
                Ok(_) => self.rest.clear(),
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(part) {
            Ok(_) => true,
            Err(error) => {
                self.rest.extend_from_slice(part.get(error.valid_up_to()..).unwrap_or_default());
                error.error_len().is_none()
            }
        }
    }

    /// Whether no character is incomplete.
    pub(super) fn is_complete(&self) -> bool {
        self.rest.is_empty()
    }
}
