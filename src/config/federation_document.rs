//! The table for one of several servers behind a resource, as an operator writes it.

use deserr::Deserr;

use crate::config::mistakes::Mistakes;
use crate::config::origin_credential_document::{IdentityName, OriginCredentialDocument};
use crate::config::table::Table;

/// An era of MCP.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(rename_all = lowercase, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "lowercase"))]
pub enum EraName {
    /// 2026-07-28.
    Modern,
    /// Up to 2025-11-25.
    Legacy,
}

/// How the tools of several servers are shown.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(rename_all = lowercase, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "lowercase"))]
pub enum ViewName {
    /// With their definitions.
    All,
    /// Without schemas.
    Names,
    /// As two tools that search for tools and call them.
    Search,
}

/// One of several servers behind a resource.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ServerDocument {
    /// The name of the server, 1 to 32 characters: lower-case letters, digits and `-`, beginning with a letter. It is in the URIs of
    /// its resources, in logs and in decisions.
    pub name: String,

    /// The URL of the MCP server. Must be `https`, except loopback in development. Optional with `service`.
    #[deserr(default)]
    pub origin: Option<String>,

    /// The name of a service binding through which the gateway reaches the server.
    #[deserr(default)]
    pub service: Option<String>,

    /// How the gateway authenticates to this server. `per_user` is not possible here. Default: the gateway does not authenticate.
    #[deserr(default)]
    pub credential: Option<OriginCredentialDocument>,

    /// Whether this server learns who calls, as `identity` of a resource. Default: as there.
    #[deserr(default)]
    pub identity: Option<IdentityName>,

    /// The era of MCP in which the gateway talks with this server: `modern` (2026-07-28) or `legacy` (up to 2025-11-25). Default: the
    /// gateway asks the server, and prefers the era of the client if the server has both.
    #[deserr(default)]
    pub era: Option<EraName>,

    /// What the names of its tools and prompts begin with, 1 to 40 characters of `A-Z a-z 0-9 _ - . /`. No prefix may begin with
    /// that of another server. Default: the name and `_`.
    #[deserr(default)]
    pub prefix: Option<String>,

    /// Other names for tools: `{ create_issue = "new_issue" }` has clients see `new_issue` in place of the prefix and
    /// `create_issue`. No alias may begin with a prefix, or occur twice. Default: none.
    #[deserr(default)]
    pub aliases: Option<Table<String>>,

    /// The same for prompts. Default: none.
    #[deserr(default)]
    pub prompt_aliases: Option<Table<String>>,

    /// Descriptions of tools that clients see in place of the server's own, by the server's name of the tool, 1 to 1024 characters
    /// each: long ones cost every model that reads them. Default: none.
    #[deserr(default)]
    pub descriptions: Option<Table<String>>,

    /// What URIs and URI templates begin with that clients see as they are, without the name of the server: `["docs://"]`. Each begins
    /// with a scheme and `:`, other than `ui:`. No entry may begin with that of another server. Default: none.
    #[deserr(default)]
    pub keep_uris: Option<Vec<String>>,

    /// Patterns for the server's own names of tools and prompts, and for its URIs, that clients do not see and cannot use. Default:
    /// none.
    #[deserr(default)]
    pub hidden: Option<Vec<String>>,
}
