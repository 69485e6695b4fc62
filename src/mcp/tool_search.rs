//! Ranks tools for a query by their names, titles and descriptions (BM25 over fields).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::strict_json;

/// How much an occurrence in each field counts.
const WEIGHTS: [(&str, f64); 3] = [("name", 3.0), ("title", 2.0), ("description", 1.0)];

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
    fn of(tool: &str) -> Self {
        let tool: Option<BTreeMap<String, Value>> = strict_json::part(tool);
        let mut counted = Self { words: BTreeMap::new(), length: 0.0 };
        for (field, weight) in WEIGHTS {
            let text = tool.as_ref().and_then(|tool| tool.get(field)?.as_str()).unwrap_or_default();
            for word in words(text) {
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

/// The words of a text in lower case, without the `s` of a plural. `createIssue` and `create_issue` have the same words.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut separated = String::with_capacity(text.len() + 8);
    let mut after_lower = false;
    for c in text.chars() {
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
