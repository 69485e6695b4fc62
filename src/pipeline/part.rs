//! The part of a request to a resource of several servers that is for one of them.

use std::rc::Rc;

use crate::mcp::conversation::{ClientSide, Conversation};
use crate::mcp::kind::Kind;
use crate::mcp::operation::Operation;
use crate::mcp::rewrite::Member;
use crate::settings::federation::Server;

/// The part of a request to a resource of several servers that is for one of them.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) server: Rc<Server>,
    /// The server's own cursor.
    pub(super) cursor: Option<String>,
    /// The client, if it has or opens a session.
    pub(super) client: Option<Rc<ClientSide>>,
    /// How the gateway talks with the server, once it is known.
    pub(super) conversation: Option<Conversation>,
    /// The id, in JSON, that the server gave to its request, if this is the response to it.
    pub(super) answered: Option<String>,
    /// Whether it is one of several, and the gateway reads the answers.
    pub(super) is_gathered: bool,
    /// The id of the request that the server gets, if the client has no session; empty otherwise, and then the id of the client is
    /// sealed.
    pub(super) salt: String,
    /// The item that the request names, if it names one.
    pub(super) item: Option<NamedItem>,
}

/// An item of a server that a request names.
#[derive(Debug, Clone)]
pub(super) struct NamedItem {
    kind: Kind,
    advertised: String,
    /// The server's name; `None` if clients do not see the item.
    original: Option<String>,
}

impl Part {
    /// The item that an operation names.
    pub(super) fn item(server: &Server, operation: &Operation) -> Option<NamedItem> {
        let (kind, name) = operation.target.as_ref()?;
        Some(NamedItem { kind: *kind, advertised: name.clone(), original: server.names.original(*kind, name) })
    }

    /// Whether the request names an item that clients do not see.
    pub(super) fn names_hidden(&self) -> bool {
        self.item.as_ref().is_some_and(|item| item.original.is_none())
    }

    /// The server's name of an item, or what stands in for one that clients do not see.
    fn named(&self, kind: Kind, name: &str) -> Option<String> {
        let names = &self.server.names;
        let known = self.item.as_ref().filter(|item| item.kind == kind && item.advertised == name);
        let original = known.map_or_else(|| names.original(kind, name), |item| item.original.clone());
        original.or_else(|| names.stand_in(kind, name))
    }

    /// What the server has for a text in a member of the message; `None` if it is the same.
    pub(super) fn text(&self, member: Member, kind: Kind, text: &str) -> Option<String> {
        match member {
            Member::Name => self.named(kind, text),
            Member::Uri => self.named(Kind::Resource, text),
            Member::Cursor => self.cursor.clone(),
            Member::Method | Member::Task | Member::State | Member::RelatedTask => None,
        }
    }
}
