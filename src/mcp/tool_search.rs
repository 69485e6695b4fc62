//! Ranks tools for a query by their names, titles and descriptions (BM25 over fields).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use crate::strict_json;

/// How much an occurrence in each field counts.
const WEIGHTS: [(&str, f64); 3] = [("name", 3.0), ("title", TITLE), ("description", 1.0)];
const TITLE: f64 = 2.0;

/// How soon more occurrences of a word stop to count.
const SATURATION: f64 = 1.2;
/// How much long texts count less.
const LENGTH: f64 = 0.75;

/// The positions of the tools that fit a query, the best one first. `tools` are definitions in JSON.
#[must_use]
pub fn ranked(tools: &[&str], query: &str) -> Vec<usize> {
    let wanted: BTreeSet<String> = words(query).collect();
    let texts: Vec<Counted> = tools.iter().map(|tool| Counted::of(tool)).collect();
    let count = as_f64(texts.len());
    let average = texts.iter().map(|text| text.length).sum::<f64>() / count.max(1.0);
    let rarity = |word: &str| {
        let with = as_f64(texts.iter().filter(|text| text.words.contains_key(word)).count());
        ((count - with + 0.5) / (with + 0.5) + 1.0).ln()
    };
    let rarities: Vec<(&String, f64)> = wanted.iter().map(|word| (word, rarity(word))).collect();
    let mut scored: Vec<(usize, f64)> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| (at, rarities.iter().map(|(word, rarity)| rarity * text.weight(word, average)).sum()))
        .filter(|(_, score): &(usize, f64)| *score > 0.0)
        .collect();
    // A stable sort: what fits equally stays in the order of the list.
    scored.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    scored.into_iter().map(|(at, _)| at).collect()
}

/// The words of a tool, and how much each counts.
struct Counted {
    words: BTreeMap<String, f64>,
    length: f64,
}

impl Counted {
    /// Reads a tool only as far as needed: what its schemas are does not matter.
    fn of(tool: &str) -> Self {
        type Members<'a> = BTreeMap<String, &'a RawValue>;
        let tool: Members<'_> = strict_json::part(tool).unwrap_or_default();
        let annotations: Members<'_> =
            tool.get("annotations").and_then(|raw| strict_json::part(raw.get())).unwrap_or_default();
        let mut counted = Self { words: BTreeMap::new(), length: 0.0 };
        let fields = WEIGHTS.iter().map(|(field, weight)| (tool.get(*field), weight));
        for (raw, weight) in fields.chain([(annotations.get("title"), &TITLE)]) {
            let Some(raw) = raw.map(|raw| raw.get()) else { continue };
            // A text that is no text of Unicode is searched as it is written.
            let text = strict_json::part::<String>(raw);
            for word in words(text.as_deref().unwrap_or(raw)) {
                *counted.words.entry(word).or_default() += weight;
                counted.length += weight;
            }
        }
        counted
    }

    fn weight(&self, word: &str, average: f64) -> f64 {
        let Some(count) = self.words.get(word) else { return 0.0 };
        let length = if average > 0.0 { self.length / average } else { 1.0 };
        count * (SATURATION + 1.0) / (count + SATURATION * (1.0 - LENGTH + LENGTH * length))
    }
}

#[expect(clippy::cast_precision_loss, reason = "no list has so many tools")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Whether texts have no white space between words of such characters: each counts as a word.
fn is_word(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The words of a text in lower case, without the `s` of a plural. `createIssue` and `create_issue` have the same words.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut separated = String::with_capacity(text.len() + 8);
    let mut after_lower = false;
    for c in text.chars() {
        if is_word(c) {
            separated.extend([' ', c, ' ']);
            continue;
        }
        if after_lower && c.is_uppercase() {
            separated.push(' ');
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        separated.extend(c.to_lowercase());
    }
    let words: Vec<String> = separated
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.strip_suffix('s').filter(|stem| stem.len() > 2).unwrap_or(word).to_owned())
        .collect();
    words.into_iter()
}
