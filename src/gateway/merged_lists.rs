//! Merged lists that an isolate keeps: each belongs to the very lists that it was merged from.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::limits::{MERGED_LISTS, MERGED_LISTS_BYTES};
use crate::mcp::list_cache::FilteredList;
use crate::mcp::merge::MergedText;

/// The merged lists, the one that was kept first in front.
#[derive(Debug, Default)]
pub(super) struct MergedLists {
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    parts: Vec<Rc<FilteredList>>,
    text: Rc<MergedText>,
}

impl Kept {
    /// Its bytes: those of its parts too, which it keeps alive.
    fn size(&self) -> usize {
        self.text.size() + self.parts.iter().map(|part| part.size()).sum::<usize>()
    }
}

impl MergedLists {
    /// How many bytes they keep in memory, with their parts.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The list that was merged from these.
    pub(super) fn get<'a>(&self, parts: impl Iterator<Item = &'a Rc<FilteredList>> + Clone) -> Option<Rc<MergedText>> {
        let same = |known: &[Rc<FilteredList>]| {
            known.len() == parts.clone().count()
                && known.iter().zip(parts.clone()).all(|(one, other)| Rc::ptr_eq(one, other))
        };
        self.kept.iter().find(|kept| same(&kept.parts)).map(|kept| Rc::clone(&kept.text))
    }

    /// Keeps the list that was merged from these.
    pub(super) fn keep<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a Rc<FilteredList>>,
        text: MergedText,
    ) -> Rc<MergedText> {
        let text = Rc::new(text);
        let kept = Kept { parts: parts.cloned().collect(), text: Rc::clone(&text) };
        self.bytes += kept.size();
        self.kept.push_back(kept);
        while self.kept.len() > MERGED_LISTS || self.bytes > MERGED_LISTS_BYTES {
            let Some(first) = self.kept.pop_front() else { break };
            self.bytes -= first.size();
        }
        text
    }
}
