//! What a filter of lists does with an item, who decides that, and why a list cannot be filtered.

use std::fmt;

use crate::mcp::kind::Kind;

/// What the filter does with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemDecision {
    /// The item stays.
    Keep,
    /// The item is left out.
    Drop,
    /// The item is left out, and the log says so: clients cannot use its name.
    Unusable,
    /// The item stays, with this member of its `_meta`: a name, and its value in JSON.
    Mark(&'static str, String),
}

/// Decides about the items of lists.
pub trait ItemPolicy {
    /// Decides about the item with this name or URI.
    fn decide(&mut self, kind: Kind, name: &str) -> ItemDecision;

    /// The state of the lock that items are held to, which changes when one of them no longer fits; zero if there is none.
    fn lock_state(&self) -> u64 {
        0
    }

    /// Whether an item that stays may be shown as it is.
    fn shows(&mut self, _kind: Kind, _name: &str, _item: &[u8]) -> bool {
        true
    }

    /// The member of `_meta` with which it marks items, if it marks any.
    fn mark(&self) -> Option<&'static str> {
        None
    }

    /// Whether another caller could have got another list so far; `paged` says that the list is one page of several.
    fn depends_on_caller(&self, kind: Kind, paged: bool) -> bool;
}

/// Why a list cannot be filtered. The filter lets nothing more of such a list pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListError {
    /// The response is not JSON, or ended too early.
    NotJson,
    /// A member that a decision depends on is repeated, or has another letter case.
    Repeated,
    /// The list or one of its items is too large.
    TooLarge,
    /// The member that should hold the list is not an array.
    NotList,
    /// The response has a content coding that the platform does not decode (RFC 9110 §8.4).
    Coded,
    /// The event stream has a charset other than UTF-8, which some clients decode.
    Charset,
    /// The media type is not that of an event stream, but some clients take it for one.
    MediaType,
    /// The response is one to another request.
    Foreign,
    /// The result asks for input in a form that the revision of the client does not have.
    NeedsInput,
    /// An `endpoint` event of the transport of 2024-11-05 refers to another server.
    Endpoint,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "not JSON, or cut short",
            Self::Repeated => "a member is repeated",
            Self::TooLarge => "too large",
            Self::NotList => "the member that should hold the list is not an array",
            Self::Coded => "a content coding that the gateway does not decode",
            Self::Charset => "an event stream in a charset other than UTF-8",
            Self::MediaType => "a media type that only begins like text/event-stream",
            Self::Foreign => "a response to another request",
            Self::NeedsInput => "it asks for input, which a client of the legacy era cannot give in this form",
            Self::Endpoint => "an endpoint event that leads to another server",
        })
    }
}

/// What changes in a result because the server has the other era than the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bridge {
    /// Nothing.
    #[default]
    Nothing,
    /// A result of the legacy era gets the members that every result of the modern era has.
    ToModern {
        /// Whether a client may keep such results: then it learns that it may not keep this one.
        cacheable: bool,
    },
    /// A result of the modern era must not ask for input.
    ToLegacy,
}

impl Bridge {
    /// The members that a result gets.
    #[must_use]
    pub fn added(self) -> &'static str {
        match self {
            Self::Nothing | Self::ToLegacy => "",
            Self::ToModern { cacheable: false } => r#""resultType":"complete""#,
            Self::ToModern { cacheable: true } => r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#,
        }
    }

    /// Whether a member of a result is left out, because the result gets its own.
    #[must_use]
    pub fn replaces(self, member: &str) -> bool {
        matches!(self, Self::ToModern { .. }) && matches!(member, "resultType" | "ttlMs" | "cacheScope")
    }
}

/// What may answer a request of the client, and under which id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ids {
    /// Every response passes.
    #[default]
    AsTheyAre,
    /// A response passes if the server got its id, sealed, and it gets the client's id back. No server can answer what another one was
    /// asked.
    Mapped,
    /// No response passes.
    NoResponses,
}

/// Options for one response.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilterOptions {
    /// What changes in a result for a client of the other era.
    pub bridge: Bridge,
    /// Which responses pass.
    pub ids: Ids,
    /// The response holds no list: only state handles are rewritten in it.
    pub handles_only: bool,
    /// The request asked for a later page.
    pub paged: bool,
    /// The values of `id` and `ttlMs` are left out, because each reader gets its own: [`holes`](crate::mcp::list_filter::ListFilter::holes).
    pub reusable: bool,
}

/// A value that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OmittedValue {
    /// `id`.
    Id,
    /// `ttlMs`.
    Ttl,
}
