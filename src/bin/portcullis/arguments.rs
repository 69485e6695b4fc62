//! The arguments of the command line.

use clap::{Args, Parser, Subcommand};

/// Commands for the operators of Portcullis, a security gateway in front of MCP servers
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = COMMANDS_NOTE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const COMMANDS_NOTE: &str = "\
check, explain, replay and document interpret a configuration without a request to a gateway. `npx portcullis` has the
others.

Exit status:
  0  all is well
  1  there is something to review
  2  the command or the configuration cannot be used";

/// The commands, in the order in which a new user needs them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a folder with a gateway of your own
    #[command(disable_help_flag = true)]
    New(Elsewhere),
    /// Runs the gateway on this machine, and prints commands to try
    #[command(disable_help_flag = true)]
    Start(Elsewhere),
    /// Writes the configuration for your server and identity provider
    #[command(disable_help_flag = true)]
    Init(Elsewhere),
    Check(CheckArguments),
    Test(TestArguments),
    /// Sends an MCP endpoint the requests of MCP clients, and says which clients would fail and why
    #[command(disable_help_flag = true)]
    Doctor(Elsewhere),
    /// Decodes a token, and verifies it in the Worker itself, under a configuration
    #[command(disable_help_flag = true)]
    Token(Elsewhere),
    Lock(LockArguments),
    Explain(Box<ExplainArguments>),
    Replay(ReplayArguments),
    Diff(DiffArguments),
    /// Checks the configuration, and deploys the gateway to Cloudflare
    #[command(disable_help_flag = true)]
    Deploy(Elsewhere),
    /// Runs the gateway without Cloudflare, in workerd
    #[command(disable_help_flag = true)]
    Serve(Elsewhere),
    /// Makes and shows signing keys, and prints the steps of their rotation
    #[command(disable_help_flag = true)]
    Keys(Elsewhere),
    /// Makes an API key
    #[command(disable_help_flag = true)]
    Apikey(Elsewhere),
    /// Shows, ends and deletes grants of the authorization server
    #[command(disable_help_flag = true)]
    Grants(Elsewhere),
    /// Writes a configuration to KV, from where a gateway loads it
    #[command(disable_help_flag = true)]
    Push(Elsewhere),
    /// Writes the configuration that was in effect before to KV again
    #[command(disable_help_flag = true)]
    Rollback(Elsewhere),
    Migrate(MigrateArguments),
    Document(DocumentArguments),
    /// Builds a Worker with verifiers of your own
    #[command(disable_help_flag = true)]
    Build(Elsewhere),
    /// Writes completions for a shell to standard output
    #[command(after_help = WRITTEN)]
    Completions {
        /// The shell that the completions are for
        shell: clap_complete::Shell,
    },
    /// Writes the man page to standard output
    #[command(after_help = WRITTEN)]
    Man,
}

const WRITTEN: &str = "\
Exit status:
  0  the text was written
  2  the command cannot be used";

/// The arguments of a command that is not in this program, because it sends requests to running servers or calls
/// wrangler. `npx portcullis` has these commands.
#[derive(Debug, Args)]
pub(crate) struct Elsewhere {
    /// See `npx portcullis COMMAND --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

const MIGRATE_NOTE: &str = "\
Only the keys change: comments and everything else in the file stay byte for byte. The documents of all environments are
rewritten.

Exit status:
  0  the file has no old keys any more, or had none
  2  the command or the file cannot be used; nothing was written";

/// Rewrites the keys of a configuration that a release renamed
#[derive(Debug, Args)]
#[command(after_help = MIGRATE_NOTE)]
pub(crate) struct MigrateArguments {
    /// The configuration, in TOML, JSON or JSONC; - for standard input [default: wrangler.toml or wrangler.jsonc]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<String>,

    /// Prints the changes, and writes nothing (`npx portcullis` only: this program never writes)
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The location of the configuration.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The configuration, in TOML, JSON or JSONC; - for standard input [default: wrangler.toml or wrangler.jsonc]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<String>,

    /// The environment of wrangler.toml
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,

    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const CHECK_NOTE: &str = "\
The command also finds rules that can never match, in whole or in part; scopes that unlock nothing; a document that is
larger than the limit (of a Worker's variable, or of KV); and, with --list or --origin, items that no rule covers.

Exit status:
  0  the configuration is valid
  1  there is a finding
  2  the configuration has a mistake, or the command cannot be used";

/// Prints each mistake of a configuration with its line
#[derive(Debug, Args)]
#[command(after_help = CHECK_NOTE)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) source: Source,

    /// The path of the resource to check [default: all resources]
    #[arg(long, value_name = "PATH")]
    pub(crate) resource: Option<String>,

    /// A file with an answer to tools/list, prompts/list, resources/list or resources/templates/list
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Vec<String>,

    /// Reads the lists of the running MCP server at this URL (`npx portcullis` only)
    #[arg(long, value_name = "URL")]
    pub(crate) origin: Vec<String>,

    /// The environment variable with a header field for that server, for example "Authorization: Bearer …"
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) origin_header_from: Vec<String>,
}

const LOCK_NOTE: &str = "\
The lock file is portcullis.lock.json, in the folder of the configuration. Where there is none, it is written. Otherwise nothing is
written without --update, which asks for each change, or --yes. `check`, `push` and `serve` read it for the resources that have `lock`.

Exit status:
  0  the lock is as the server says, or it was written without a warning
  1  something differs and was not accepted, or there are warnings to review
  2  the command or the configuration cannot be used";

/// Writes the definitions of a server's tools, prompts and resource templates into portcullis.lock.json, and says what changed
#[derive(Debug, Args)]
#[command(after_help = LOCK_NOTE)]
pub(crate) struct LockArguments {
    #[command(flatten)]
    pub(crate) source: Source,

    /// The path of the resource [default: the only one]
    #[arg(long, value_name = "PATH")]
    pub(crate) resource: Option<String>,

    /// The name of the server, of several [default: the one at the URL]
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,

    /// A file with an answer to tools/list, prompts/list or resources/templates/list
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Vec<String>,

    /// Reads the lists of the running MCP server at this URL (`npx portcullis` only)
    #[arg(long, value_name = "URL")]
    pub(crate) origin: Vec<String>,

    /// The environment variable with a header field for that server, for example "Authorization: Bearer …"
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) origin_header_from: Vec<String>,

    /// Asks for each change whether the lock takes it (`npx portcullis` only)
    #[arg(long)]
    pub(crate) update: bool,

    /// Takes all changes without a question (`npx portcullis` only)
    #[arg(long)]
    pub(crate) yes: bool,

    /// The numbers of the changes that the text of the lock file in the report has [default: all]
    #[arg(long, value_name = "NUMBERS", hide = true)]
    pub(crate) accept: Option<String>,
}

const EXPLAIN_NOTE: &str = "\
Exit status:
  0  the call is allowed, or waits for approval
  1  the call is refused, or the caller lacks a scope
  2  the command or the configuration cannot be used";

/// Prints what the rules decide for these claims and this call, and how each rule contributed to the decision
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_NOTE)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    pub(crate) source: Source,

    /// The path of the resource [default: the first resource with rules]
    #[arg(long, value_name = "PATH")]
    pub(crate) resource: Option<String>,

    /// The JSON-RPC method [default: the method that uses the tool, prompt or MCP resource]
    #[arg(long)]
    pub(crate) method: Option<String>,

    /// The tool to call
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,

    /// The prompt to get
    #[arg(long, value_name = "NAME")]
    pub(crate) prompt: Option<String>,

    /// The MCP resource to read
    #[arg(long)]
    pub(crate) uri: Option<String>,

    /// A JSON file with the claims of the token; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) claims: Option<String>,

    /// The caller has no credentials: instead of --claims, --scopes and --issuer
    #[arg(long)]
    pub(crate) anonymous: bool,

    /// The arguments of the call, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) arguments: Option<String>,

    /// Scopes in addition to those of the claims, separated by spaces
    #[arg(long)]
    pub(crate) scopes: Option<String>,

    /// The name of the issuer in the configuration [default: the issuer that `iss` of the claims names]
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: Option<String>,

    /// The country that the call comes from
    #[arg(long, value_name = "CC")]
    pub(crate) country: Option<String>,

    /// The number (ASN) of the network that the call comes from
    #[arg(long, value_name = "N")]
    pub(crate) asn: Option<u64>,

    /// The caller presents a client certificate
    #[arg(long)]
    pub(crate) mtls: bool,
}

const REPLAY_NOTE: &str = "\
Exit status:
  0  each decision is the same
  1  a decision differs or cannot be made again, or the log has a gap
  2  the command or the configuration cannot be used";

/// Makes the decisions of a log again under this configuration, and prints each difference and each gap of the log
#[derive(Debug, Args)]
#[command(after_help = REPLAY_NOTE)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) source: Source,

    /// The decision log, one record on each line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) log: String,
}

const TEST_NOTE: &str = "\
A file has the callers, the requests and, by caller and request, the expected decisions: \"allow\", \"approve\"
(a person has to approve the call), \"deny\", \"step_up SCOPES\" (the scopes that the caller lacks),
\"sign_in\" (the user has to sign in again) or \"login\" (the caller has no credentials). docs/policy.md has an example.

Exit status:
  0  each decision is as expected
  1  a decision differs
  2  the command, the configuration or a file cannot be used";

/// Compares the decisions of the rules with the examples in files
#[derive(Debug, Args)]
#[command(after_help = TEST_NOTE)]
pub(crate) struct TestArguments {
    /// Files of examples [default: the JSON files in tests/]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<String>,

    #[command(flatten)]
    pub(crate) source: Source,

    /// Also writes the result as JUnit XML (`npx portcullis` only)
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<String>,
}

const DIFF_NOTE: &str = "\
Exit status:
  0  each decision is the same
  1  a decision differs, or cannot be made
  2  the command, a configuration or a file cannot be used";

/// Prints which decisions differ between two configurations, for the requests of a log or of examples
#[derive(Debug, Args)]
#[command(after_help = DIFF_NOTE)]
pub(crate) struct DiffArguments {
    /// The configuration before
    pub(crate) old: String,

    /// The configuration after
    pub(crate) new: String,

    /// A decision log, one record on each line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<String>,

    /// A file of examples, as `portcullis test` reads it [default: the JSON files in tests/, without --log]
    #[arg(long, value_name = "FILE")]
    pub(crate) examples: Vec<String>,

    /// The environment of both
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,

    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const DOCUMENT_NOTE: &str = "\
Exit status:
  0  the document was printed
  2  the command or the configuration cannot be used";

/// Prints the document as `push` writes it to KV; with --json also its version, bindings and secrets
#[derive(Debug, Args)]
#[command(after_help = DOCUMENT_NOTE)]
pub(crate) struct DocumentArguments {
    #[command(flatten)]
    pub(crate) source: Source,
}
