//! The filter of a body: it takes parts, and gives what to forward instead.

use crate::content::filter::{ContentFilter, Noted};
use crate::forward::content_of_answer::AskedAboutResults;
use crate::forward::item_policy::PolicyOfItems;
use crate::forward::running_calls::RunningCalls;
use crate::limits::CACHED_LIST_BYTES;
use crate::mcp::envelope::RequestId;
use crate::mcp::list_filter::ListFilter;
use crate::mcp::list_item::ListError;
use crate::mcp::sse::{SseFilter, error_event, late_event};
use crate::policy::decoy::NameRestorer;

/// Filters the body of an answer.
pub struct BodyFilter {
    pub(super) inner: Inner,
    pub(super) kept: Option<CacheCandidate>,
    pub(super) restore: Option<NameRestorer>,
    /// Whether the beginning of a JSON body may be held back.
    pub(super) waits: bool,
    /// Whether an answer with this status may have an empty body.
    pub(super) may_be_empty: bool,
    pub(super) begun: bool,
    /// The ids of the requests that an event stream responds to.
    pub(super) ids: Vec<RequestId>,
    /// The id of the request in the log.
    pub(super) request: String,
    /// Holds what passes to guards and bounds.
    pub(super) content: Option<Box<ContentFilter>>,
    /// The places of the calls among those that run: they end with the filter.
    pub(super) running: Option<Box<RunningCalls>>,
    /// What hooks are asked about what passes.
    pub(super) asked: Option<AskedAboutResults>,
}

/// The part of a body that the gateway forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilteredPart {
    /// These bytes; more may follow.
    More(Vec<u8>),
    /// These bytes, and then the body ends, because the gateway cannot filter the rest.
    Last(Vec<u8>, ListError),
}

/// The result of filtering a body.
#[derive(Default)]
pub struct FilterResult {
    /// The unfiltered body, if it is a candidate for the cache.
    pub kept: Option<CacheCandidate>,
    /// How many items of lists were left out because their names cannot be read unambiguously.
    pub unreadable: usize,
    /// Why the gateway ended the body early.
    pub unfit: Option<ListError>,
    /// Why the gateway left out an event.
    pub skipped: Option<ListError>,
    /// What guards and bounds did.
    pub noted: Vec<Noted>,
}

impl FilterResult {
    /// What guards and bounds did in a stream that goes on.
    #[must_use]
    pub fn noted(noted: Vec<Noted>) -> Self {
        Self { noted, ..Self::default() }
    }
}

/// An unfiltered body that the gateway caches if the list turns out to be public.
pub struct CacheCandidate {
    /// The key to cache it under.
    pub name: String,
    /// The body so far. The filter drops all of it if it exceeds [`CACHED_LIST_BYTES`].
    pub body: Vec<u8>,
}

pub(super) enum Inner {
    Events(Box<SseFilter<PolicyOfItems>>),
    Json(Box<ListFilter<PolicyOfItems>>),
    /// The filter looks for no lists or events in it; whether its length is unknown, so that it is forwarded as it
    /// arrives.
    Plain(bool),
}

impl BodyFilter {
    /// Whether the gateway may hold back the beginning of the body until it is filtered.
    #[must_use]
    pub fn can_wait(&self) -> bool {
        match self.inner {
            Inner::Json(_) => self.waits,
            Inner::Plain(streams) => !streams,
            Inner::Events(_) => false,
        }
    }

    /// Takes a part of the body, and returns what to forward instead. If an event stream cannot be filtered any
    /// further, it ends with an error for each request that it responds to, so that no client waits for a response that
    /// does not come.
    ///
    /// # Errors
    /// [`ListError`]: then no more of the body may be forwarded.
    pub fn push(&mut self, bytes: &[u8]) -> Result<FilteredPart, ListError> {
        let part = self.push_to_all(bytes)?;
        if let (Some(running), FilteredPart::More(bytes)) = (&mut self.running, &part) {
            running.push(bytes);
        }
        Ok(part)
    }

    fn push_to_all(&mut self, bytes: &[u8]) -> Result<FilteredPart, ListError> {
        let part = self.push_to_inner(bytes)?;
        let Some(content) = &mut self.content else { return Ok(part) };
        let mut out = Vec::new();
        match part {
            FilteredPart::More(bytes) => match content.push(&bytes, &mut out) {
                Ok(()) => Ok(FilteredPart::More(out)),
                Err(unfit) if content.is_of_events() => {
                    out.extend_from_slice(content.broken_off());
                    for id in &self.ids {
                        out.extend_from_slice(error_event(id, &self.request).as_bytes());
                    }
                    Ok(FilteredPart::Last(out, unfit))
                }
                Err(unfit) => Err(unfit),
            },
            // What ends the stream is the gateway's own.
            FilteredPart::Last(bytes, unfit) => {
                let _passed = content.push(&bytes, &mut out);
                Ok(FilteredPart::Last(out, unfit))
            }
        }
    }

    /// Ends an event stream that is not complete in time: the client learns that, for each request that the stream responds to. `None` if
    /// the body is no event stream.
    pub fn late(&mut self) -> Option<Vec<u8>> {
        if self.ids.is_empty() {
            return None;
        }
        let mut out = match (&self.content, &self.inner) {
            (Some(content), _) => content.broken_off().to_vec(),
            (None, Inner::Events(filter)) => filter.broken_off().to_vec(),
            // Where the last event ended is not known: the empty line ends it.
            (None, Inner::Json(_) | Inner::Plain(_)) => b"\n\n".to_vec(),
        };
        out.extend(self.ids.iter().flat_map(|id| late_event(id, &self.request).into_bytes()));
        Some(out)
    }

    fn push_to_inner(&mut self, bytes: &[u8]) -> Result<FilteredPart, ListError> {
        let mut out = Vec::with_capacity(bytes.len());
        self.begun |= !bytes.is_empty();
        if let Some(kept) = &mut self.kept {
            kept.body.extend_from_slice(bytes);
        }
        self.kept.take_if(|kept| kept.body.len() > CACHED_LIST_BYTES);
        match &mut self.inner {
            Inner::Events(filter) => {
                if let Err(unfit) = filter.push(bytes, &mut out) {
                    out.extend_from_slice(filter.broken_off());
                    for id in &self.ids {
                        out.extend_from_slice(error_event(id, &self.request).as_bytes());
                    }
                    return Ok(FilteredPart::Last(self.restored(out, true), unfit));
                }
            }
            Inner::Json(filter) => filter.push(bytes, &mut out)?,
            Inner::Plain(_) => out.extend_from_slice(bytes),
        }
        Ok(FilteredPart::More(self.restored(out, false)))
    }

    /// Takes the end of the body, and returns what is left to forward.
    ///
    /// # Errors
    /// [`ListError`] if the body was not complete.
    pub fn finish(&mut self) -> Result<Vec<u8>, ListError> {
        let mut out = Vec::new();
        match &mut self.inner {
            // An event that is not complete at the end of a stream is no event: clients ignore it.
            Inner::Events(filter) if filter.is_strict() => out.extend_from_slice(filter.broken_off()),
            Inner::Events(_) | Inner::Plain(_) => {}
            Inner::Json(_) if self.may_be_empty && !self.begun => {}
            Inner::Json(filter) => {
                filter.finish(&mut out)?;
                if filter.is_foreign() || filter.is_strict() && filter.is_request() {
                    return Err(ListError::Foreign);
                }
            }
        }
        let rest = self.restored(out, true);
        let Some(content) = &mut self.content else { return Ok(rest) };
        let mut out = Vec::new();
        content.push(&rest, &mut out)?;
        content.finish(&mut out)?;
        Ok(out)
    }

    /// What hooks are asked about what passes.
    pub fn take_asked(&mut self) -> Option<AskedAboutResults> {
        self.asked.take()
    }

    /// What guards and bounds did since the last call, for the log.
    pub fn take_noted(&mut self) -> Vec<Noted> {
        self.content.as_mut().map(|content| content.take_noted()).unwrap_or_default()
    }

    fn restored(&mut self, bytes: Vec<u8>, last: bool) -> Vec<u8> {
        let Some(restore) = &mut self.restore else { return bytes };
        let mut out = Vec::with_capacity(bytes.len());
        restore.push(&bytes, &mut out);
        if last {
            restore.finish(&mut out);
        }
        out
    }
}

impl BodyFilter {
    /// The result, after the end of the body.
    pub fn end(&mut self, unfit: Option<ListError>) -> FilterResult {
        let unreadable = match &self.inner {
            Inner::Events(filter) => filter.unreadable(),
            Inner::Json(filter) => filter.unreadable(),
            Inner::Plain(_) => 0,
        };
        let skipped = if let Inner::Events(filter) = &self.inner { filter.unfit() } else { None };
        let whole = unfit.is_none() && skipped.is_none() && unreadable == 0;
        self.running = None;
        FilterResult { kept: self.kept.take().filter(|_| whole), unreadable, unfit, skipped, noted: self.take_noted() }
    }
}

impl std::fmt::Debug for BodyFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodyFilter")
    }
}
