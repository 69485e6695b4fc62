//! What a message asks for, as far as rules are about it.

use crate::limits::{NAME_BYTES, URI_BYTES};
use crate::mcp::kind::Kind;
use crate::mcp::method::McpMethod;

/// Around what stands in for a part of a name. No tool is called so.
pub const MARK: &str = "portcullis-hidden-";

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The JSON-RPC method.
    pub method: String,
    /// What it is done to, where it is done to something that has a name.
    pub target: Option<(Kind, String)>,
}

impl Operation {
    /// A method that is done to nothing that has a name.
    #[must_use]
    pub fn plain(method: &str) -> Self {
        Self { method: method.to_owned(), target: None }
    }

    /// A request without a message, as the old era's streams are opened and sessions ended: only rules about everything are
    /// about it.
    #[must_use]
    pub fn without_message() -> Self {
        Self::plain("")
    }

    /// A method, done to something.
    #[must_use]
    pub fn on(method: &str, kind: Kind, name: &str) -> Self {
        Self { method: method.to_owned(), target: Some((kind, name.to_owned())) }
    }

    /// The name of what it is done to.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.target.as_ref().map(|(_, name)| name.as_str())
    }

    /// The tool that it calls.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.target.as_ref().filter(|(kind, _)| *kind == Kind::Tool).map(|(_, name)| name.as_str())
    }

    /// Whether it is a message of the protocol itself, which needs no rule.
    #[must_use]
    pub fn is_protocol(&self) -> bool {
        self.target.is_none()
            && (self.method.is_empty() || McpMethod::find(&self.method).is_some_and(|known| known.is_protocol))
    }

    /// Whether all readers agree about its name. What stands in for one may be as long as hexadecimal digits make it. One with spaces around it, control or invisible characters might be
    /// taken for another by a server that tidies names up; such a name is no name here.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        if self.method.chars().any(is_invisible) {
            return false;
        }
        let Some((kind, name)) = &self.target else { return true };
        let most = if *kind == Kind::Resource { URI_BYTES } else { NAME_BYTES };
        let most = if name.contains(MARK) { 2 * most + 64 } else { most };
        (1..=most).contains(&name.len()) && name.trim() == name && !name.chars().any(is_invisible)
    }
}

/// Control and format characters: nothing is seen of them, and some readers drop them.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}
