//! Runs the command that the arguments name.

use std::io::Write as _;
use std::process::ExitCode;

use clap::FromArgMatches as _;
use serde_json::json;

use crate::arguments::{Arguments, Command};
use crate::outcome::{Unusable, plain};
use crate::{check, document, explain, look, replay};

pub(crate) fn run() -> ExitCode {
    let parsed = look::command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => {
            let Some(why) = look::words(&error) else { error.exit() };
            if std::env::args().any(|word| word == "--json") {
                println!("{:#}", json!({ "error": why }));
            } else {
                eprintln!("portcullis: {}", plain(&why));
            }
            return ExitCode::from(2);
        }
    };
    let (outcome, as_json) = match arguments.command {
        Command::Check(arguments) => (check::check(&arguments), arguments.source.json),
        Command::Explain(arguments) => (explain::explain(&arguments), arguments.source.json),
        Command::Replay(arguments) => (replay::replay(&arguments), arguments.source.json),
        Command::Document(arguments) => (document::print(&arguments.source), arguments.source.json),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut look::command(), "portcullis", &mut std::io::stdout());
            return ExitCode::SUCCESS;
        }
        Command::Man => return man(),
        Command::Init(_)
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
        Ok(report) => {
            if as_json {
                println!("{:#}", report.json);
            } else {
                print!("{}", plain(&report.text));
            }
            if report.good { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(unusable) => {
            if as_json {
                println!("{:#}", unusable.json.unwrap_or_else(|| json!({ "error": unusable.why })));
            } else {
                eprintln!("portcullis: {}", plain(unusable.why.trim_end()));
            }
            ExitCode::from(2)
        }
    }
}

fn man() -> ExitCode {
    let mut page = Vec::new();
    let root = look::command();
    let written = clap_mangen::Man::new(root.clone()).render(&mut page).and_then(|()| {
        root.get_subcommands().filter(|command| !command.is_disable_help_flag_set()).try_for_each(|command| {
            let named = command.clone().bin_name(format!("portcullis {}", command.get_name()));
            let man = clap_mangen::Man::new(named);
            man.render_name_section(&mut page)?;
            man.render_synopsis_section(&mut page)?;
            man.render_description_section(&mut page)?;
            man.render_options_section(&mut page)?;
            man.render_extra_section(&mut page)
        })
    });
    match written.and_then(|()| std::io::stdout().write_all(&page)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}
