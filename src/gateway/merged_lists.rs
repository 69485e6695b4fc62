//! Merged lists that an isolate keeps: each belongs to the very lists that it was merged from.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::limits::{MERGED_LISTS, MERGED_LISTS_BYTES};
use crate::mcp::list_cache::FilteredList;
use crate::mcp::merge::MergedText;

/// The merged lists, the one that was kept first in front.
#[derive(Debug, Default)]
pub(super) struct MergedLists {
    kept: VecDeque<(Vec<Rc<FilteredList>>, Rc<MergedText>)>,
    bytes: usize,
}

impl MergedLists {
    /// The list that was merged from these.
    pub(super) fn get<'a>(&self, parts: impl Iterator<Item = &'a Rc<FilteredList>> + Clone) -> Option<Rc<MergedText>> {
        let same = |known: &[Rc<FilteredList>]| {
            known.len() == parts.clone().count()
                && known.iter().zip(parts.clone()).all(|(one, other)| Rc::ptr_eq(one, other))
        };
        self.kept.iter().find(|(known, _)| same(known)).map(|(_, text)| Rc::clone(text))
    }

    /// Keeps the list that was merged from these.
    pub(super) fn keep<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a Rc<FilteredList>>,
        text: MergedText,
    ) -> Rc<MergedText> {
        let text = Rc::new(text);
        self.bytes += text.size();
        self.kept.push_back((parts.cloned().collect(), Rc::clone(&text)));
        while self.kept.len() > MERGED_LISTS || self.bytes > MERGED_LISTS_BYTES {
            let Some((_, first)) = self.kept.pop_front() else { break };
            self.bytes -= first.size();
        }
        text
    }
}
