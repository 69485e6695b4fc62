//! What the command line takes.

use clap::{Args, Parser, Subcommand};

/// The gate in front of MCP servers: what a configuration means, without a request.
///
/// Ends with 0 where all is well, with 1 where there is something to look at, and with 2 where the command or the
/// configuration cannot be used.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(CheckArguments),
    Explain(Box<ExplainArguments>),
    Replay(ReplayArguments),
    Document(DocumentArguments),
    /// Writes completions for a shell to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Writes the man page to standard output
    Man,
    /// Writes the configuration for your server and identity provider
    #[command(disable_help_flag = true)]
    Init(Elsewhere),
    /// Walks a gateway as MCP clients do, and says which would fail and why
    #[command(disable_help_flag = true)]
    Doctor(Elsewhere),
    /// Decodes a token, and verifies it against a configuration in the Worker itself
    #[command(disable_help_flag = true)]
    Token(Elsewhere),
    /// Puts a configuration into KV, where a gateway takes it from
    #[command(disable_help_flag = true)]
    Push(Elsewhere),
    /// Puts the configuration before the last into KV again
    #[command(disable_help_flag = true)]
    Rollback(Elsewhere),
    /// Makes, rotates and shows signing keys
    #[command(disable_help_flag = true)]
    Keys(Elsewhere),
    /// Makes an API key
    #[command(disable_help_flag = true)]
    Apikey(Elsewhere),
    /// Shows, ends and deletes grants of the authorization server
    #[command(disable_help_flag = true)]
    Grants(Elsewhere),
}

/// What asks servers that run, or calls wrangler, is not Rust: `npx portcullis` knows it.
#[derive(Debug, Args)]
pub(crate) struct Elsewhere {
    /// What it takes: see its --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The file: wrangler.toml, or the document alone in a file of JSON; - for standard input
    #[arg(long, value_name = "FILE", default_value = "wrangler.toml")]
    pub(crate) config: String,

    /// The environment of wrangler.toml
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,

    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Says what is wrong with a configuration, each mistake with its line
///
/// And rules that can never match, in whole or in part; scopes that unlock nothing; the size against the limit of a
/// Worker's variable; and with --list what no rule is about (`npx portcullis check --origin URL` asks a server that
/// runs, with the field that the environment variable of --origin-header-from holds). Ends with 1 where there is a finding, with 2 where the
/// configuration has a mistake.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) source: Source,

    /// The resource with rules to look at [default: all of them]
    #[arg(long, value_name = "PATH")]
    pub(crate) resource: Option<String>,

    /// A saved answer to tools/list, prompts/list, resources/list or resources/templates/list
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Vec<String>,
}

/// Says what the rules decide for these claims and this call, and what was thought of each
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    pub(crate) source: Source,

    /// The resource [default: the first with rules]
    #[arg(long, value_name = "PATH")]
    pub(crate) resource: Option<String>,

    /// The JSON-RPC method [default: what uses the tool, prompt or resource]
    #[arg(long)]
    pub(crate) method: Option<String>,

    /// The tool that is called
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,

    /// The prompt that is asked for
    #[arg(long, value_name = "NAME")]
    pub(crate) prompt: Option<String>,

    /// The MCP resource that is read
    #[arg(long)]
    pub(crate) uri: Option<String>,

    /// The claims of the token, as JSON; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) claims: Option<String>,

    /// The arguments of the call
    #[arg(long, value_name = "JSON")]
    pub(crate) arguments: Option<String>,

    /// Scopes besides those of the claims, with spaces between
    #[arg(long)]
    pub(crate) scopes: Option<String>,

    /// The name of the issuer [default: that of `iss`]
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: Option<String>,

    /// The country that the call comes from
    #[arg(long, value_name = "CC")]
    pub(crate) country: Option<String>,

    /// The network that the call comes from
    #[arg(long, value_name = "N")]
    pub(crate) asn: Option<u64>,

    /// The call comes with a client certificate
    #[arg(long)]
    pub(crate) mtls: bool,
}

/// Decides the decisions of a log again, and prints those that differ, and where the log has gaps
///
/// Ends with 1 where there is a difference or a gap.
#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) source: Source,

    /// The log, a record on each line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) log: String,
}

/// Prints the document as `push` puts it into KV; with --json, and its version
#[derive(Debug, Args)]
pub(crate) struct DocumentArguments {
    #[command(flatten)]
    pub(crate) source: Source,
}
