//! What a message requests, in the terms of rules.

use crate::limits::{NAME_BYTES, URI_BYTES};
use crate::mcp::kind::Kind;
use crate::mcp::method::McpMethod;

/// The beginning of the mark that replaces a part of a name in a stand-in. No real tool has it in its name.
pub const STAND_IN_MARK: &str = "portcullis-hidden-";

/// One requested operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The JSON-RPC method.
    pub method: String,
    /// What the method acts on, if that has a name.
    pub target: Option<(Kind, String)>,
    /// The tool whose rules apply too: the one that began a task, or that declares the resource of an App.
    pub follows: Option<String>,
}

impl Operation {
    /// A method without a target.
    #[must_use]
    pub fn plain(method: &str) -> Self {
        Self { method: method.to_owned(), target: None, follows: None }
    }

    /// A request without a message: clients of the legacy era open streams and end sessions this way. Rules
    /// without any pattern apply to it, and rules with the pattern `*` for methods.
    #[must_use]
    pub fn without_message() -> Self {
        Self::plain("")
    }

    /// A method with a target.
    #[must_use]
    pub fn on(method: &str, kind: Kind, name: &str) -> Self {
        Self { target: Some((kind, name.to_owned())), ..Self::plain(method) }
    }

    /// The same operation, to which the rules of a tool apply too.
    #[must_use]
    pub fn following(self, tool: &str) -> Self {
        Self { follows: Some(tool.to_owned()), ..self }
    }

    /// The same operation on another reading of its URI.
    #[must_use]
    pub fn read_as(&self, uri: &str) -> Self {
        Self { target: Some((Kind::Resource, uri.to_owned())), ..self.clone() }
    }

    /// Whether it is about the user interface of an App, and no mark says which tool declares it.
    #[must_use]
    pub fn is_of_unmarked_app(&self) -> bool {
        let Some((Kind::Resource, uri)) = &self.target else { return false };
        self.follows.is_none() && uri.get(..3).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ui:"))
    }

    /// Whether it is about a task: then only the rules of the tool that began it permit it.
    #[must_use]
    pub fn is_of_task(&self) -> bool {
        self.target.is_none() && self.follows.is_some()
    }

    /// The name of its target.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.target.as_ref().map(|(_, name)| name.as_str())
    }

    /// The tool that it calls.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.target.as_ref().filter(|(kind, _)| *kind == Kind::Tool).map(|(_, name)| name.as_str())
    }

    /// Whether it belongs to the protocol itself and needs no rule.
    #[must_use]
    pub fn is_protocol(&self) -> bool {
        self.target.is_none()
            && (self.method.is_empty() || McpMethod::find(&self.method).is_some_and(|known| known.is_protocol))
    }

    /// Whether all readers agree about its name. A server that normalizes names might take a name with surrounding
    /// white space, control characters or invisible characters for another one, so such a name is invalid. A stand-in
    /// may be longer than other names, because it holds the name in hexadecimal digits.
    #[must_use]
    pub fn has_valid_name(&self) -> bool {
        !has_invisible(&self.method) && self.target.as_ref().is_none_or(|(kind, name)| is_valid_name(*kind, name))
    }
}

/// Whether all readers agree what a name is.
#[must_use]
pub fn is_valid_name(kind: Kind, name: &str) -> bool {
    let most = if kind == Kind::Resource { URI_BYTES } else { NAME_BYTES };
    let most = if name.contains(STAND_IN_MARK) { 2 * most + 64 } else { most };
    (1..=most).contains(&name.len()) && name.trim() == name && !has_invisible(name)
}

/// Whether a text has a character that [`is_invisible`].
fn has_invisible(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    !is_plain && text.chars().any(is_invisible)
}

/// Whether `c` is a control or format character: these are invisible, and some readers remove them.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}
