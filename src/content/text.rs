//! A text on its way through guards: what they find in it is masked, although the text arrives in parts.

use std::rc::Rc;

use crate::content::credentials::pem_ends;
use crate::content::finder::{Finder, GoesOn, Match};
use crate::limits::{GUARD_OVERLAP_BYTES, GUARD_WINDOW_BYTES};

/// The last bytes of a private key that are kept to find where it ends.
const PEM_TAIL_BYTES: usize = 128;

/// A text with masks in place of what is found in it.
pub fn masked(text: &str, finders: &[Rc<Finder>], mask: &mut dyn FnMut(&Match) -> Option<String>) -> String {
    let (mut window, mut out) = (Window::default(), Vec::with_capacity(text.len()));
    window.plain(text.as_bytes());
    window.pass(finders, true, mask, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The part of a text that has not passed yet: as it was written, and what that stands for.
#[derive(Debug, Default)]
pub(super) struct Window {
    raw: Vec<u8>,
    /// What it stands for; empty as long as that is the same.
    text: Vec<u8>,
    /// Where escapes stand: the beginning and the end of what they stand for, and where they end as they are written.
    escapes: Vec<(usize, usize, usize)>,
    /// The character before the window.
    before: Option<u8>,
    /// What is masked at the beginning of the window, if that goes on there.
    goes_on: Option<GoesOn>,
}

impl Window {
    /// Begins another text.
    pub(super) fn begin(&mut self) {
        self.raw.clear();
        self.text.clear();
        self.escapes.clear();
        (self.before, self.goes_on) = (None, None);
    }

    /// Takes characters that stand for themselves.
    pub(super) fn plain(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        if !self.escapes.is_empty() {
            self.text.extend_from_slice(bytes);
        }
    }

    /// Takes an escape, and what it stands for.
    pub(super) fn escape(&mut self, raw: &[u8], stands_for: &str) {
        if self.escapes.is_empty() {
            self.text.clone_from(&self.raw);
        }
        let begins = self.text.len();
        self.raw.extend_from_slice(raw);
        self.text.extend_from_slice(stands_for.as_bytes());
        self.escapes.push((begins, self.text.len(), self.raw.len()));
    }

    /// Whether a part of it has to pass before it takes more.
    pub(super) fn is_full(&self) -> bool {
        self.text().len() >= GUARD_WINDOW_BYTES
    }

    /// Where a character is, as the text is written; and its place if it were in the middle of what an escape stands for.
    fn raw_at(&self, at: usize) -> (usize, usize) {
        let after = self.escapes.partition_point(|(begins, ..)| *begins < at);
        match after.checked_sub(1).and_then(|last| self.escapes.get(last)) {
            Some((begins, ends, _)) if at < *ends => self.raw_at(*begins),
            Some((_, ends, raw_ends)) => (raw_ends + (at - ends), at),
            None => (at, at),
        }
    }

    fn drop_to(&mut self, at: usize) {
        let (raw, at) = self.raw_at(at);
        if let Some(last) = at.checked_sub(1).and_then(|last| self.text().get(last)) {
            self.before = Some(*last);
        }
        self.raw.drain(..raw.min(self.raw.len()));
        self.text.drain(..at.min(self.text.len()));
        self.escapes.retain_mut(|(begins, ends, raw_ends)| {
            let stays = *begins >= at;
            if stays {
                (*begins, *ends, *raw_ends) = (*begins - at, *ends - at, *raw_ends - raw);
            }
            stays
        });
        if self.escapes.is_empty() {
            self.text.clear();
        }
    }

    /// What it stands for.
    fn text(&self) -> &[u8] {
        if self.escapes.is_empty() { &self.raw } else { &self.text }
    }

    /// Lets pass what may pass: all of it at the end of the text, and otherwise what no later character can change. `mask` says what stands
    /// in place of a match, if something does.
    pub(super) fn pass(
        &mut self,
        finders: &[Rc<Finder>],
        is_end: bool,
        mask: &mut dyn FnMut(&Match) -> Option<String>,
        out: &mut Vec<u8>,
    ) {
        if !self.is_past_masked(is_end) {
            return;
        }
        let length = self.text().len();
        let limit = if is_end { length } else { length.saturating_sub(GUARD_OVERLAP_BYTES) };
        let mut masks: Vec<(Match, String)> = Vec::new();
        for finder in finders {
            let found = finder.find(self.text(), self.before);
            let here = found.into_iter().take_while(|found| found.start < limit);
            masks.extend(here.filter_map(|found| mask(&found).map(|instead| (found, instead))));
        }
        // Of what overlaps, the first one has its mask, and the rest of the others goes with it.
        masks.sort_by_key(|(found, _)| found.start);
        let mut passed = 0;
        for (found, instead) in masks {
            if found.start >= passed {
                self.copy(passed, found.start, out);
                out.extend_from_slice(instead.as_bytes());
            }
            if found.end >= passed {
                passed = found.end;
                self.goes_on = found.goes_on.filter(|_| !is_end);
            }
        }
        let cut = passed.max(limit);
        self.copy(passed, cut, out);
        self.drop_to(cut);
    }

    /// Lets all of it pass.
    pub(super) fn pass_all(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.raw);
        self.begin();
    }

    /// Passes over what goes on at the beginning, and is masked. Whether something is left to look at.
    fn is_past_masked(&mut self, is_end: bool) -> bool {
        let ends = match self.goes_on {
            None => return true,
            Some(GoesOn::While(alphabet)) => {
                Some(alphabet.run(self.text(), usize::MAX)).filter(|run| is_end || *run < self.text().len())
            }
            Some(GoesOn::UntilPemEnds) => pem_ends(self.text()).filter(|ends| is_end || *ends < self.text().len()),
        };
        if let Some(ends) = ends {
            self.drop_to(ends);
            self.goes_on = None;
            return true;
        }
        let kept = match self.goes_on {
            Some(GoesOn::UntilPemEnds) if !is_end => PEM_TAIL_BYTES,
            _ => 0,
        };
        self.drop_to(self.text().len().saturating_sub(kept));
        false
    }

    fn copy(&self, from: usize, to: usize, out: &mut Vec<u8>) {
        let (from, to) = (self.raw_at(from).0, self.raw_at(to).0);
        out.extend_from_slice(self.raw.get(from..to).unwrap_or_default());
    }
}
