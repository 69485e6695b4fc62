//! Card numbers (ISO/IEC 7812), IBANs (ISO 13616) and e-mail addresses, by their form and their check digits.

use crate::content::alphabet::{escape_before, is_word};

/// Digits of a card number.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Whether digits are a card number: the first digits are those of an issuer of payment cards, and the check digit is right (Luhn).
#[must_use]
pub fn is_card(digits: &[u8]) -> bool {
    let begins = matches!(digits, [b'4'..=b'6', ..] | [b'3', b'0' | b'4'..=b'9', ..] | [b'2', b'2'..=b'7', ..]);
    if !begins || !CARD_DIGITS.contains(&digits.len()) {
        return false;
    }
    // Of one digit, Luhn is always right about zero.
    let is_varied = digits.iter().any(|digit| Some(digit) != digits.first());
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit.saturating_sub(b'0'));
            if at % 2 == 1 { doubled(digit) } else { digit }
        })
        .sum();
    is_varied && sum.is_multiple_of(10)
}

/// The groups in which card numbers are written: of four digits, or as American Express does.
const GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 4, 4, 4, 3], &[4, 6, 4]];

/// How long a space or hyphen at the beginning of a text is.
fn separator(text: &[u8]) -> Option<(&[u8], usize)> {
    match text {
        [b' ' | b'-', ..] => Some((text.get(..1)?, 1)),
        // A space that does not break (U+00A0).
        [0xc2, 0xa0, ..] => Some((text.get(..2)?, 2)),
        _ => None,
    }
}

/// Where a card number ends that begins at the beginning of a text: digits, or groups of digits with one space or hyphen between them. What
/// follows it may be digits too, after a space.
#[must_use]
pub fn card_ends_at(text: &[u8]) -> Option<usize> {
    let mut digits: Vec<u8> = Vec::new();
    // How many digits each group has, and where it ends.
    let mut groups: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    let mut used: Option<&[u8]> = None;
    while groups.len() < 5 {
        let group =
            text.get(at..)?.iter().take(*CARD_DIGITS.end() + 1).take_while(|byte| byte.is_ascii_digit()).count();
        if group == 0 || digits.len() + group > *CARD_DIGITS.end() {
            break;
        }
        digits.extend_from_slice(text.get(at..at + group)?);
        at += group;
        groups.push((group, at));
        let Some((with, length)) = separator(text.get(at..)?) else { break };
        if used.is_some_and(|used| used != with) {
            break;
        }
        used = Some(with);
        at += length;
    }
    // The longest number that ends with a group.
    while let Some((group, end)) = groups.last().copied() {
        let sizes: Vec<usize> = groups.iter().map(|(size, _)| *size).collect();
        let is_grouped = groups.len() == 1 || GROUPS.contains(&sizes.as_slice());
        let is_whole = !text.get(end).is_some_and(|byte| is_word(*byte));
        if is_grouped && is_whole && is_card(&digits) {
            return Some(end);
        }
        digits.truncate(digits.len() - group);
        groups.pop();
    }
    None
}

/// Countries and how long their IBANs are (ISO 13616, the registry of SWIFT).
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 \
EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 \
LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 \
SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

fn iban_length(country: &[u8]) -> Option<usize> {
    let country = std::str::from_utf8(country).ok()?.to_ascii_uppercase();
    IBAN_LENGTHS.split(' ').find_map(|entry| entry.strip_prefix(country.as_str())?.parse().ok())
}

/// Where an IBAN ends that begins at the beginning of a text; spaces between groups of four are allowed. Its check digits have to be right.
#[must_use]
pub fn iban_ends_at(text: &[u8]) -> Option<usize> {
    let [first, second, third, fourth, ..] = text else { return None };
    if ![first, second].into_iter().all(u8::is_ascii_alphabetic) || ![third, fourth].into_iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    let length = iban_length(&[*first, *second])?;
    let mut letters = Vec::with_capacity(length);
    let mut at = 0;
    while letters.len() < length {
        match text.get(at) {
            Some(byte) if byte.is_ascii_alphanumeric() => letters.push(byte.to_ascii_uppercase()),
            Some(b' ') if letters.len() % 4 == 0 && text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => return None,
        }
        at += 1;
    }
    if text.get(at).is_some_and(|byte| is_word(*byte)) {
        return None;
    }
    // ISO 7064, modulo 97: letters count from 10, and the first four characters come last.
    let (head, tail) = letters.split_at_checked(4)?;
    let rest = tail.iter().chain(head).fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97,
    });
    (rest == 1).then_some(at)
}

/// The most characters before and after the `@` of an address (RFC 5321 §4.5.3.1).
const LOCAL_CHARS: usize = 64;
const DOMAIN_CHARS: usize = 253;

/// Where an e-mail address begins and ends that has its `@` at `at`; `from` is where the text begins that may still change.
#[must_use]
pub fn email_around(text: &[u8], at: usize, from: usize) -> Option<(usize, usize)> {
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-'".contains(&byte);
    let before = text.get(from..at)?;
    let local = before.iter().rev().take(LOCAL_CHARS).take_while(|byte| is_local(**byte)).count();
    // Of an escape before it, the characters that could belong to it do not.
    let escaped = (1..=local.min(5)).rev().find(|length| {
        let upto = before.get(..before.len() - local + length).unwrap_or_default();
        escape_before(upto) > *length
    });
    let local = local - escaped.unwrap_or_default();
    let begins = before.get(before.len() - local..)?.iter().take_while(|byte| !is_word(**byte)).count();
    let local = local - begins;
    let after = text.get(at + 1..)?;
    // Domains may be written in other alphabets.
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80;
    let is_domain = |byte: u8| is_letter(byte) || matches!(byte, b'.' | b'-');
    let length = after.iter().take(DOMAIN_CHARS).take_while(|byte| is_domain(**byte)).count();
    let domain = after.get(..length)?;
    let end = domain.iter().rposition(|byte| is_letter(*byte))? + 1;
    let mut labels = domain.get(..end)?.split(|byte| *byte == b'.').rev();
    let last = labels.next()?;
    let is_address = local > 0
        && last.len() >= 2
        && (last.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80) || last.starts_with(b"xn--"))
        && labels.clone().next().is_some()
        && labels.all(|label| !label.is_empty());
    is_address.then_some((at - local, at + 1 + end))
}
