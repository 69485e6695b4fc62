//! A resource of several servers behind one URL.

use std::rc::Rc;

use crate::mcp::era::Era;
use crate::mcp::kind::Kind;
use crate::mcp::operation::Operation;
use crate::mcp::tool_view::View;
use crate::policy::server_names::ServerNames;
use crate::settings::resource::Resource;

/// The servers of a resource.
#[derive(Debug, Clone)]
pub struct Federation {
    /// The servers, in the order in which lists have them.
    pub servers: Vec<Rc<Server>>,
    /// Whether a list without one of the servers is refused. Otherwise it names the servers that are left out.
    pub strict: bool,
    /// How tools are shown.
    pub view: View,
    /// Seconds that each server has for a list.
    pub list_seconds: u64,
    /// Identifies the servers and their names: cursors of another configuration do not open.
    pub hash: String,
}

/// One of the servers.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its names.
    pub names: Rc<ServerNames>,
    /// Identifies the server: what belongs to it does not open at another one, whatever their names become.
    pub fingerprint: String,
    /// The resource as it is forwarded to this server: with its origin server and credential.
    pub resource: Rc<Resource>,
    /// The era that it has; `None` if the gateway finds it out.
    pub era: Option<Era>,
}

impl Federation {
    /// The name of the server that an operation is for, and the server's name of its target.
    #[must_use]
    pub fn server_of(&self, operation: &Operation) -> Option<(String, Option<String>)> {
        let (kind, name) = match (&operation.target, &operation.follows) {
            (Some((kind, name)), _) => (*kind, name),
            (None, Some(tool)) => (Kind::Tool, tool),
            (None, None) => return None,
        };
        let server = self.owner(kind, name)?;
        let original = operation.target.as_ref().and_then(|_| server.names.original(kind, name));
        Some((server.names.server.clone(), original))
    }

    /// The server that has an item, by the name that clients see; also of one that they do not see, if its name says whose it is.
    #[must_use]
    pub fn owner(&self, kind: Kind, advertised: &str) -> Option<&Rc<Server>> {
        let has = |server: &&Rc<Server>| {
            server.names.original(kind, advertised).or_else(|| server.names.stand_in(kind, advertised)).is_some()
        };
        self.servers.iter().find(has)
    }

    /// The server with this fingerprint.
    #[must_use]
    pub fn with_fingerprint(&self, fingerprint: &str) -> Option<&Rc<Server>> {
        self.servers.iter().find(|server| server.fingerprint == fingerprint)
    }

    /// The fingerprint of the server that has a tool.
    #[must_use]
    pub fn fingerprint(&self, tool: &str) -> Option<&str> {
        self.owner(Kind::Tool, tool).map(|server| server.fingerprint.as_str())
    }

    /// Whether a name is an alias: an item that does not exist under it has no server that could say so.
    #[must_use]
    pub fn is_alias(&self, name: &str) -> bool {
        self.servers.iter().any(|server| server.names.is_alias(name))
    }
}
