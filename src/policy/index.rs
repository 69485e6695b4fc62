//! An index that finds the rules that can be about an operation, so that other rules cost nothing.

use std::collections::BTreeMap;

use crate::mcp::kind::Kind;
use crate::mcp::method::CALL_TOOL;
use crate::mcp::operation::Operation;
use crate::policy::pattern::{Pattern, fold};
use crate::policy::rule::Rule;

/// The rules by the beginning of their patterns.
#[derive(Debug, Default)]
pub(super) struct Index {
    methods: Names,
    names: BTreeMap<Kind, Names>,
    /// Rules that apply to every operation.
    everything: Vec<usize>,
}

#[derive(Debug, Default)]
struct Names {
    /// Patterns without `*`.
    exact: BTreeMap<String, Vec<usize>>,
    /// Other patterns, by the text before their first `*`.
    heads: BTreeMap<String, Vec<usize>>,
    /// The lengths of these texts.
    lengths: Vec<usize>,
}

impl Names {
    fn add(&mut self, patterns: &[Pattern], rule: usize) {
        for pattern in patterns {
            let (head, whole) = pattern.head();
            let table = if whole { &mut self.exact } else { &mut self.heads };
            table.entry(head.to_owned()).or_default().push(rule);
            if !whole && !self.lengths.contains(&head.len()) {
                self.lengths.push(head.len());
            }
        }
    }

    fn find(&self, folded: &str, found: &mut Vec<usize>) {
        found.extend(self.exact.get(folded).into_iter().flatten());
        for &length in &self.lengths {
            if let Some(head) = folded.get(..length) {
                found.extend(self.heads.get(head).into_iter().flatten());
            }
        }
    }
}

impl Index {
    /// Builds the index of rules.
    #[must_use]
    pub(super) fn of(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            if rule.targets.is_everything() {
                index.everything.push(at);
            }
            index.methods.add(&rule.targets.methods, at);
            for kind in [Kind::Tool, Kind::Prompt, Kind::Resource] {
                index.names.entry(kind).or_default().add(rule.targets.of(kind), at);
            }
        }
        index
    }

    /// The rules that may be about an operation, in order.
    #[must_use]
    pub(super) fn candidates(&self, operation: &Operation) -> Vec<usize> {
        let mut found = self.everything.clone();
        self.methods.find(&fold(&operation.method), &mut found);
        if let Some((kind, name)) = &operation.target
            && let Some(names) = self.names.get(kind)
        {
            names.find(&fold(name), &mut found);
        }
        if let Some(tool) = &operation.follows {
            self.methods.find(CALL_TOOL, &mut found);
            if let Some(names) = self.names.get(&Kind::Tool) {
                names.find(&fold(tool), &mut found);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
