//! The names of a server behind a resource of several servers: what clients see of its tools, prompts and resources, and back.
//! Each name has one owner: no prefix begins with another one, and no alias begins with a prefix.

use crate::limits::{ADVERTISED_NAME_BYTES, NAME_BYTES, URI_BYTES};
use crate::mcp::handle::APP_SCHEME;
use crate::mcp::kind::Kind;
use crate::policy::pattern::Pattern;

/// Maps the names of one server.
#[derive(Debug, Clone)]
pub struct ServerNames {
    /// The name of the server.
    pub server: String,
    /// What its tools and prompts begin with.
    pub prefix: String,
    /// Names of tools that replace the ones with the prefix: the server's name, and the new one.
    pub aliases: Vec<(String, String)>,
    /// The server's names of what clients do not see.
    pub hidden: Vec<Pattern>,
}

impl ServerNames {
    /// The name for clients; `None` if they do not see the item, or its name would be too long.
    #[must_use]
    pub fn advertised(&self, kind: Kind, original: &str) -> Option<String> {
        if self.hidden.iter().any(|pattern| pattern.matches(original)) {
            return None;
        }
        let (name, most) = match kind {
            Kind::Tool => (self.alias_of(original), ADVERTISED_NAME_BYTES),
            Kind::Prompt => (None, NAME_BYTES),
            Kind::Resource => (Some(self.uri(original)), URI_BYTES),
        };
        let name = name.unwrap_or_else(|| format!("{}{original}", self.prefix));
        (name.len() <= most).then_some(name)
    }

    /// The server's name of an item that clients see under this name; `None` if it is not one of this server's.
    #[must_use]
    pub fn original(&self, kind: Kind, advertised: &str) -> Option<String> {
        let original = match kind {
            Kind::Tool => {
                let aliased = self.aliases.iter().find(|(_, alias)| alias == advertised);
                let aliased = aliased.map(|(original, _)| original.as_str());
                aliased.or_else(|| advertised.strip_prefix(&self.prefix).filter(|it| self.alias_of(it).is_none()))?
            }
            Kind::Prompt => advertised.strip_prefix(&self.prefix)?,
            Kind::Resource => return self.original_uri(advertised).filter(|uri| !self.hides(uri)),
        };
        (!original.is_empty() && !self.hides(original)).then(|| original.to_owned())
    }

    fn hides(&self, original: &str) -> bool {
        self.hidden.iter().any(|pattern| pattern.matches(original))
    }

    fn alias_of(&self, original: &str) -> Option<String> {
        self.aliases.iter().find(|(known, _)| known == original).map(|(_, alias)| alias.clone())
    }

    /// A URI with the name of the server in its scheme. Hosts of Apps know user interfaces by their scheme, so there the name is
    /// in the path.
    fn uri(&self, original: &str) -> String {
        match original.strip_prefix(APP_SCHEME) {
            Some(rest) => format!("{APP_SCHEME}{}/{rest}", self.server),
            None => format!("{}+{original}", self.server),
        }
    }

    fn original_uri(&self, advertised: &str) -> Option<String> {
        match advertised.strip_prefix(APP_SCHEME) {
            Some(rest) => {
                let rest = rest.strip_prefix(self.server.as_str())?.strip_prefix('/')?;
                Some(format!("{APP_SCHEME}{rest}"))
            }
            // A user interface has one URI only.
            None => advertised
                .strip_prefix(self.server.as_str())?
                .strip_prefix('+')
                .filter(|uri| !uri.is_empty() && !uri.starts_with(APP_SCHEME))
                .map(str::to_owned),
        }
    }
}
