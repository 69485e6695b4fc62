//! Runs the command that the arguments name.

use clap::FromArgMatches as _;
use serde_json::{Value, json};

use crate::arguments::{Arguments, Command};
use crate::host::{Host, Printed};
use crate::outcome::{Report, Unusable, plain};
use crate::{check, diff, document, examples, explain, lock, look, migrate, replay};

/// The exit status where there is something to review.
const REVIEW: u8 = 1;
/// The exit status where the command or the configuration cannot be used.
pub(crate) const UNUSABLE: u8 = 2;

pub(crate) fn run(host: &Host<'_>) -> Printed {
    let words = std::iter::once("portcullis").chain(host.arguments.iter().map(String::as_str));
    let parsed = look::command().try_get_matches_from(words).and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => {
            return match look::words(&error, host) {
                Some(why) => unusable(why.into(), host.arguments.iter().any(|word| word == "--json")),
                None if error.use_stderr() => {
                    Printed { status: UNUSABLE, stderr: error.to_string(), ..Printed::default() }
                }
                None => Printed { stdout: error.to_string(), ..Printed::default() },
            };
        }
    };
    let (outcome, as_json) = match arguments.command {
        Command::Check(arguments) => (check::check(&arguments, host), arguments.source.json),
        Command::Lock(arguments) => (lock::lock(&arguments, host), arguments.source.json),
        Command::Explain(arguments) => (explain::explain(&arguments, host), arguments.source.json),
        Command::Replay(arguments) => (replay::replay(&arguments, host), arguments.source.json),
        Command::Test(arguments) => (examples::test(&arguments, host), arguments.source.json),
        Command::Diff(arguments) => (diff::diff(&arguments, host), arguments.json),
        Command::Migrate(arguments) => (migrate::migrate(&arguments, host), arguments.json),
        Command::Document(arguments) => (document::print(&arguments.source, host), arguments.source.json),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut look::command(), "portcullis", &mut script);
            (text(script), false)
        }
        Command::Man => (man(), false),
        Command::New(_)
        | Command::Start(_)
        | Command::Deploy(_)
        | Command::Serve(_)
        | Command::Build(_)
        | Command::Init(_)
        | Command::Doctor(_)
        | Command::Token(_)
        | Command::Push(_)
        | Command::Rollback(_)
        | Command::Keys(_)
        | Command::Apikey(_)
        | Command::Grants(_) => {
            let why = "this program does not have the command, which sends requests to running servers or calls \
                       wrangler: run `npx portcullis` in a clone of the repository";
            (Err(Unusable::new(why)), false)
        }
    };
    match outcome {
        Ok(report) => Printed {
            status: if report.good { 0 } else { REVIEW },
            stdout: if as_json { format!("{:#}\n", report.json) } else { plain(&report.text) },
            ..Printed::default()
        },
        Err(why) => unusable(why, as_json),
    }
}

fn unusable(unusable: Unusable, as_json: bool) -> Printed {
    let printed = Printed { status: UNUSABLE, ..Printed::default() };
    if as_json {
        let json = unusable.json.unwrap_or_else(|| json!({ "error": unusable.why }));
        return Printed { stdout: format!("{json:#}\n"), ..printed };
    }
    Printed { stderr: format!("portcullis: {}\n", plain(unusable.why.trim_end())), ..printed }
}

/// A report that is text alone.
fn text(bytes: Vec<u8>) -> Result<Report, Unusable> {
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok(Report { text, json: Value::Null, good: true })
}

fn man() -> Result<Report, Unusable> {
    let mut page = Vec::new();
    let root = look::command();
    clap_mangen::Man::new(root.clone())
        .render(&mut page)
        .and_then(|()| {
            root.get_subcommands().filter(|command| !command.is_disable_help_flag_set()).try_for_each(|command| {
                let named = command.clone().bin_name(format!("portcullis {}", command.get_name()));
                let man = clap_mangen::Man::new(named);
                man.render_name_section(&mut page)?;
                man.render_synopsis_section(&mut page)?;
                man.render_description_section(&mut page)?;
                man.render_options_section(&mut page)?;
                man.render_extra_section(&mut page)
            })
        })
        .map_err(|error| error.to_string())?;
    text(page)
}
