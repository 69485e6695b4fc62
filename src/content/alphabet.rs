//! Sets of ASCII characters.

/// A set of ASCII characters that a credential consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// `0-9a-f`, in any letter case.
    Hex,
    /// `A-Z2-7` (RFC 4648 §6).
    Base32,
    /// `A-Z0-9`.
    Capitals,
    /// `A-Za-z`.
    Letters,
    /// `A-Za-z0-9`.
    Alphanumeric,
    /// `A-Za-z0-9_-` (RFC 4648 §5).
    Base64Url,
    /// `A-Za-z0-9_.-`.
    Token,
    /// `A-Za-z0-9+/=_-`.
    AnyBase64,
    /// The charset of Bech32 in capitals (BIP 173).
    Bech32,
}

impl Alphabet {
    /// Whether a character belongs to it.
    #[must_use]
    pub fn has(self, byte: u8) -> bool {
        match self {
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Base32 => byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte),
            Self::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Letters => byte.is_ascii_alphabetic(),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Token => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::AnyBase64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-'),
            Self::Bech32 => b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".contains(&byte),
        }
    }

    /// How many characters at the beginning of a text belong to it, of the first `most`.
    #[must_use]
    pub fn run(self, text: &[u8], most: usize) -> usize {
        text.iter().take(most).take_while(|byte| self.has(**byte)).count()
    }
}

/// Whether a character is a part of a word, so that what follows it does not begin one.
#[must_use]
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// How many characters at the end of a text are an escape: of JSON within the text (`\n`, `\u003d`), or of a URL (`%3D`). What follows
/// them begins a word.
#[must_use]
pub fn escape_before(text: &[u8]) -> usize {
    let is_hex = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    match text {
        [.., b'\\', b'n' | b't' | b'r' | b'b' | b'f'] => 2,
        [.., b'\\', b'u', one, two, three, four] if is_hex(&[*one, *two, *three, *four]) => 6,
        [.., b'%', one, two] if is_hex(&[*one, *two]) => 3,
        _ => 0,
    }
}
