//! Finds secrets and personal data of known forms in a text.

use crate::content::alphabet::{Alphabet, escape_before, is_word};
use crate::content::credentials::{self, FORMS, Form};
use crate::content::numbers::{card_ends_at, email_around, iban_ends_at};

/// What a guard looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Credentials of known forms.
    Credentials,
    /// Card numbers.
    Cards,
    /// IBANs.
    Iban,
    /// E-mail addresses.
    Email,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Credentials, Self::Cards, Self::Iban, Self::Email];

    /// What a caller learns of it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Credentials => "a credential",
            Self::Cards => "a card number",
            Self::Iban => "an IBAN",
            Self::Email => "an e-mail address",
        }
    }
}

/// How something goes on that begins in a part of a text and has no largest length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoesOn {
    /// As long as the characters belong to this alphabet.
    While(Alphabet),
    /// Up to the last line of a private key.
    UntilPemEnds,
}

/// Something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Its category.
    pub category: Category,
    /// Its form.
    pub form: &'static str,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// How it may go on, if it reaches the end of the part.
    pub goes_on: Option<GoesOn>,
}

/// Marks for the bytes with which something may begin.
const CREDENTIAL: u8 = 1;
const DIGIT: u8 = 2;
const LETTER: u8 = 4;
const AT: u8 = 8;
const DASH: u8 = 16;
/// A character of a word.
const WORD: u8 = 32;
/// With these something may begin.
const BEGINS: u8 = CREDENTIAL | DIGIT | LETTER | AT | DASH;

/// Finds what belongs to certain categories.
#[derive(Debug, Clone)]
pub struct Finder {
    /// What may begin with a byte, by the byte.
    marks: Vec<u8>,
    /// The forms of credentials that begin with a byte, by the byte; without entries if none are looked for.
    forms: Vec<Vec<&'static Form>>,
}

impl Finder {
    /// A finder for these categories.
    #[must_use]
    pub fn new(categories: &[Category]) -> Self {
        let mut marks = vec![0; 256];
        let mut forms: Vec<Vec<&'static Form>> = vec![Vec::new(); 256];
        let mut mark = |byte: u8, with: u8| marks.get_mut(usize::from(byte)).into_iter().for_each(|mark| *mark |= with);
        for category in categories {
            match category {
                Category::Credentials => {
                    for form in FORMS {
                        let Some(&first) = form.prefix.as_bytes().first() else { continue };
                        mark(first, CREDENTIAL);
                        forms.get_mut(usize::from(first)).into_iter().for_each(|list| list.push(form));
                    }
                    mark(b'e', CREDENTIAL);
                    mark(b'-', DASH);
                }
                Category::Cards => (b'0'..=b'9').for_each(|digit| mark(digit, DIGIT)),
                Category::Iban => (b'A'..=b'Z').chain(b'a'..=b'z').for_each(|letter| mark(letter, LETTER)),
                Category::Email => mark(b'@', AT),
            }
        }
        for (byte, mark) in (0..=u8::MAX).zip(&mut marks) {
            *mark |= if is_word(byte) { WORD } else { 0 };
        }
        Self { marks, forms }
    }

    /// What a text contains, in order and without overlap. `before` is the character before the text, if it is a part of a longer one.
    #[must_use]
    pub fn find(&self, text: &[u8], before: Option<u8>) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        let mut at = 0;
        let mut from = 0;
        let mut runs = credentials::Runs::default();
        let mut previous = before;
        while let Some(&byte) = text.get(at) {
            let mark = self.mark(byte);
            // Within a word, nothing begins but what has a mark of its own.
            let is_inner = mark & BEGINS != 0
                && mark & (AT | DASH) == 0
                && previous.is_some_and(|previous| self.mark(previous) & WORD != 0)
                && escape_before(text.get(..at).unwrap_or_default()) == 0;
            if mark & BEGINS != 0
                && !is_inner
                && let Some(here) = self.begins(text, (at, from), previous, &mut runs)
            {
                // An address begins before its @, and may take the place of something shorter.
                (at, from) = (here.end.max(at + 1), here.end);
                previous = text.get(at - 1).copied();
                found.push(here);
            } else {
                previous = Some(byte);
                at += 1;
            }
        }
        found
    }

    fn mark(&self, byte: u8) -> u8 {
        self.marks.get(usize::from(byte)).copied().unwrap_or_default()
    }

    fn begins(
        &self,
        text: &[u8],
        (at, from): (usize, usize),
        previous: Option<u8>,
        runs: &mut credentials::Runs,
    ) -> Option<Match> {
        let rest = text.get(at..)?;
        let first = *rest.first()?;
        let mark = self.mark(first);
        let here = |category, form, length: usize, goes_on: Option<GoesOn>| {
            let end = at + length;
            Some(Match { category, form, start: at, end, goes_on: goes_on.filter(|_| end == text.len()) })
        };
        if mark & AT != 0 {
            let (start, end) = email_around(text, at, from)?;
            return Some(Match { category: Category::Email, form: "email", start, end, goes_on: None });
        }
        if mark & DASH != 0
            && let Some(begins) = credentials::pem_begins(rest)
        {
            // Without a last line, everything after the first line may be the key.
            let body = rest.get(begins..)?;
            let (length, goes_on) = match credentials::pem_ends(body) {
                Some(ends) => (begins + ends, None),
                None => (rest.len(), Some(GoesOn::UntilPemEnds)),
            };
            return here(Category::Credentials, "private_key", length, goes_on);
        }
        if mark & CREDENTIAL != 0 {
            for form in self.forms.get(usize::from(first))? {
                if let Some(length) = credentials::ends_at(form, rest) {
                    let goes_on = (form.most == 0).then_some(GoesOn::While(form.alphabet));
                    return here(Category::Credentials, form.name, length, goes_on);
                }
            }
            if let Some(end) = credentials::jwt_ends_at(text, at, runs) {
                return here(Category::Credentials, "jwt", end - at, Some(GoesOn::While(Alphabet::Token)));
            }
        }
        // A part of a longer number is no card number.
        let is_within = matches!(previous, Some(b'.' | b'-'))
            && at.checked_sub(2).and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
        if mark & DIGIT != 0
            && !is_within
            && let Some(length) = card_ends_at(rest)
        {
            return here(Category::Cards, "card_number", length, None);
        }
        if mark & LETTER != 0 {
            return here(Category::Iban, "iban", iban_ends_at(rest)?, None);
        }
        None
    }
}
