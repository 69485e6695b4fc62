//! The names of a server behind a resource of several servers: what clients see of its tools, prompts and resources, and back.
//! Each name has one owner: no prefix begins with another one, and no alias begins with a prefix.

use crate::limits::{ADVERTISED_NAME_BYTES, NAME_BYTES, URI_BYTES};
use crate::mcp::handle::APP_SCHEME;
use crate::mcp::kind::Kind;
use crate::mcp::operation::is_valid_name;
use crate::policy::decoy::marked;
use crate::policy::pattern::{Pattern, fold};
use crate::policy::uri::readings;

/// Maps the names of one server.
#[derive(Debug, Clone)]
pub struct ServerNames {
    /// The name of the server.
    pub server: String,
    /// What its tools and prompts begin with.
    pub prefix: String,
    /// Names of tools that replace the ones with the prefix: the server's name, and the new one.
    pub aliases: Vec<(String, String)>,
    /// The same for prompts.
    pub prompt_aliases: Vec<(String, String)>,
    /// Descriptions that clients see in place of the server's own: the server's name of the tool, and the text.
    pub descriptions: Vec<(String, String)>,
    /// What URIs begin with that clients see as they are: no URI of another server does.
    pub kept_uris: Vec<String>,
    /// The server's names of what clients do not see.
    pub hidden: Vec<Pattern>,
}

impl ServerNames {
    /// The name for clients; `None` if they do not see the item, or two readers could read its name differently, or the name would
    /// be too long.
    #[must_use]
    pub fn advertised(&self, kind: Kind, original: &str) -> Option<String> {
        if !self.shows(kind, original) {
            return None;
        }
        let alias = self.alias_of(kind, original).map(str::to_owned);
        let (name, most) = match kind {
            Kind::Tool => (alias, ADVERTISED_NAME_BYTES),
            Kind::Prompt => (alias, NAME_BYTES),
            Kind::Resource => (Some(self.uri(original)?), URI_BYTES),
        };
        if name.is_none() && self.is_aliased(kind, original) {
            return None;
        }
        let name = name.unwrap_or_else(|| format!("{}{original}", self.prefix));
        (name.len() <= most).then_some(name)
    }

    /// The server's name of an item that clients see under this name; `None` if it is not one of this server's.
    #[must_use]
    pub fn original(&self, kind: Kind, advertised: &str) -> Option<String> {
        let original = match kind {
            Kind::Tool | Kind::Prompt => match self.aliases(kind).iter().find(|(_, alias)| alias == advertised) {
                Some((original, _)) => original.clone(),
                None => self.behind(kind, advertised).filter(|it| !self.is_aliased(kind, it))?,
            },
            Kind::Resource => self.behind(kind, advertised)?,
        };
        self.shows(kind, &original).then_some(original)
    }

    /// What the server gets in place of an item that clients do not see, so that the answer is that for an item which the server does
    /// not have. `None` if the name does not say that it is this server's.
    #[must_use]
    pub fn stand_in(&self, kind: Kind, advertised: &str) -> Option<String> {
        let original = self.behind(kind, advertised).filter(|original| is_valid_name(kind, original))?;
        let (scheme, rest) = match original.split_once("://") {
            Some((scheme, rest)) if kind == Kind::Resource => (format!("{scheme}://"), rest),
            _ => (String::new(), original.as_str()),
        };
        Some(format!("{scheme}{}", marked(rest)))
    }

    /// Whether the name is an alias of one of this server's tools or prompts.
    #[must_use]
    pub fn is_alias(&self, name: &str) -> bool {
        self.aliases.iter().chain(&self.prompt_aliases).any(|(_, alias)| fold(alias) == fold(name))
    }

    /// Whether clients may see a name of this server that matches a pattern. May say so although they do not.
    #[must_use]
    pub fn may_match(&self, kind: Kind, pattern: &Pattern) -> bool {
        let (head, is_whole) = pattern.head();
        let fits = |begin: String| head.starts_with(&begin) || !is_whole && begin.starts_with(head);
        self.begins(kind).into_iter().any(|begin| fits(fold(&begin)))
            || self.aliases(kind).iter().any(|(_, alias)| pattern.matches_folded(&fold(alias)))
    }

    /// Whether patterns match all names that clients may see of this server. May say no although they do.
    #[must_use]
    pub fn are_all_matched(&self, kind: Kind, patterns: &[Pattern]) -> bool {
        let covers = |begin: &String| patterns.iter().any(|it| it.as_str().ends_with('*') && it.matches(begin));
        let matches = |(_, alias): &(String, String)| patterns.iter().any(|pattern| pattern.matches(alias));
        self.begins(kind).iter().all(covers) && self.aliases(kind).iter().all(matches)
    }

    /// What the names begin with that clients see, besides aliases.
    fn begins(&self, kind: Kind) -> Vec<String> {
        match kind {
            Kind::Tool | Kind::Prompt => vec![self.prefix.clone()],
            Kind::Resource => {
                let mapped = [format!("{}+", self.server), format!("{APP_SCHEME}{}/", self.server)];
                mapped.into_iter().chain(self.kept_uris.iter().cloned()).collect()
            }
        }
    }

    /// The description that clients see in place of the server's own.
    #[must_use]
    pub fn description(&self, kind: Kind, original: &str) -> Option<&str> {
        let all = self.descriptions.iter().filter(|_| kind == Kind::Tool);
        all.filter(|(tool, _)| tool == original).map(|(_, text)| text.as_str()).next()
    }

    /// The aliases of its items of a kind.
    #[must_use]
    pub fn aliases(&self, kind: Kind) -> &[(String, String)] {
        match kind {
            Kind::Tool => &self.aliases,
            Kind::Prompt => &self.prompt_aliases,
            Kind::Resource => &[],
        }
    }

    /// Whether clients see a URI as it is.
    fn keeps(&self, uri: &str) -> bool {
        self.kept_uris.iter().any(|begin| uri.starts_with(begin))
    }

    /// What follows the prefix, or the name of the server in a URI.
    fn behind(&self, kind: Kind, advertised: &str) -> Option<String> {
        match kind {
            Kind::Tool | Kind::Prompt => advertised.strip_prefix(&self.prefix).map(str::to_owned),
            Kind::Resource => self.original_uri(advertised),
        }
    }

    /// Whether clients see an item. Servers may ignore letter case, and read a URI as another one.
    #[must_use]
    pub fn shows(&self, kind: Kind, original: &str) -> bool {
        let hides = |name: &str| {
            if self.hidden.is_empty() {
                return false;
            }
            let folded = fold(name);
            self.hidden.iter().any(|pattern| pattern.matches(name) || pattern.matches_folded(&folded))
        };
        if !is_valid_name(kind, original) || hides(original) {
            return false;
        }
        kind != Kind::Resource || readings(original).is_some_and(|all| !all.iter().any(|reading| hides(reading)))
    }

    fn alias_of(&self, kind: Kind, original: &str) -> Option<&str> {
        self.aliases(kind).iter().find(|(known, _)| known == original).map(|(_, alias)| alias.as_str())
    }

    /// Whether a server that ignores letter case takes the name for one that has an alias.
    fn is_aliased(&self, kind: Kind, original: &str) -> bool {
        self.aliases(kind).iter().any(|(known, _)| fold(known) == fold(original))
    }

    /// A URI with the name of the server in its scheme. Hosts of Apps know user interfaces by their scheme, so there the name is
    /// in the path.
    fn uri(&self, original: &str) -> Option<String> {
        match original.strip_prefix(APP_SCHEME) {
            Some(rest) => Some(format!("{APP_SCHEME}{}/{rest}", self.server)),
            None if self.keeps(original) => Some(original.to_owned()),
            None => (!is_of_app(original)).then(|| format!("{}+{original}", self.server)),
        }
    }

    fn original_uri(&self, advertised: &str) -> Option<String> {
        if let Some(rest) = advertised.strip_prefix(APP_SCHEME) {
            let rest = rest.strip_prefix(self.server.as_str())?.strip_prefix('/')?;
            return Some(format!("{APP_SCHEME}{rest}"));
        }
        if self.keeps(advertised) {
            return Some(advertised.to_owned());
        }
        // A resource has one URI only.
        let uri = advertised.strip_prefix(self.server.as_str())?.strip_prefix('+')?;
        (!is_of_app(uri) && !self.keeps(uri)).then(|| uri.to_owned())
    }
}

/// Whether some reader takes a URI for that of a user interface.
fn is_of_app(uri: &str) -> bool {
    uri.get(..3).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ui:"))
}
