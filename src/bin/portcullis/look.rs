//! The look of help and of messages about wrong arguments. `scripts/lib/options.mjs` gives the commands in JavaScript the
//! same look.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, Error};

use crate::arguments::Arguments;
use crate::host::Host;

/// The longest line, as in `scripts/lib/options.mjs`.
const WIDTH: usize = 100;
const TEMPLATE: &str = "{usage-heading} {usage}\n\n{about}.\n\n{all-args}{after-help}";

/// The command line, with the same form of help for each command.
pub(crate) fn command() -> Command {
    Arguments::command()
        .help_template(TEMPLATE)
        .term_width(WIDTH)
        .mut_subcommands(|command| command.help_template(TEMPLATE).term_width(WIDTH))
}

/// What is wrong with the arguments, in words, and where they are listed. `None` where clap's own text is the result: help,
/// and the version.
pub(crate) fn words(error: &Error, host: &Host<'_>) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let near = |kind, word: &str| {
        let known = match error.get(kind) {
            Some(ContextValue::String(known)) => std::slice::from_ref(known),
            Some(ContextValue::Strings(known)) => known.as_slice(),
            _ => &[],
        };
        let rated = known.iter().map(|known| (distance(word, known), known));
        let most = (word.chars().count() / 3).max(1);
        let near = rated.filter(|(changes, _)| *changes <= most).min_by_key(|(changes, _)| *changes);
        near.map_or_else(String::new, |(_, near)| format!("; did you mean {near}?"))
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let name = argument.split_whitespace().next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let why = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return None;
        }
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("there is no command {name}{}", near(ContextKind::SuggestedSubcommand, &name))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            format!("there is no option {name}{}", near(ContextKind::SuggestedArg, name))
        }
        ErrorKind::UnknownArgument => format!("unexpected argument {argument:?}"),
        ErrorKind::InvalidValue if value.is_empty() => format!("{name} needs a value: {argument}"),
        ErrorKind::InvalidValue => {
            let known = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(known)) => known.join(", "),
                _ => String::new(),
            };
            format!("{name} must be one of {known}, got {value:?}")
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("{name}: {why}, got {value:?}")
        }
        ErrorKind::TooManyValues => format!("{name} takes no value, got {value:?}"),
        ErrorKind::ArgumentConflict => format!("{name} is given twice"),
        ErrorKind::MissingRequiredArgument => format!("{name} is required"),
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    let known = host.arguments.first().filter(|name| command().find_subcommand(name).is_some());
    let call = &host.call;
    Some(match known {
        Some(name) => format!("{why}\n`{call} {name} --help` prints the arguments"),
        None => format!("{why}\n`{call} --help` prints the commands"),
    })
}

/// How many characters must be changed to make one word of the other.
fn distance(word: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = (0..=other.len()).collect();
    for (row, character) in word.chars().enumerate() {
        let mut now = vec![row + 1];
        for (pair, known) in before.windows(2).zip(&other) {
            let (&[diagonal, above], Some(&left)) = (pair, now.last()) else { continue };
            now.push((diagonal + usize::from(*known != character)).min(above + 1).min(left + 1));
        }
        before = now;
    }
    before.last().copied().unwrap_or_default()
}
