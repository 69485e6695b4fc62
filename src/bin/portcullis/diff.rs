//! `portcullis diff`: which decisions differ between two configurations.

use portcullis::observe::replay::{Replay, Replayed};
use portcullis::settings::Settings;
use serde_json::{Value, json};

use crate::arguments::{DiffArguments, Source};
use crate::document::config;
use crate::examples::cases;
use crate::host::Host;
use crate::outcome::{Report, Unusable, in_line};

/// What was compared.
#[derive(Default)]
struct Compared {
    text: String,
    changes: Vec<Value>,
    same: usize,
    unknown: usize,
}

impl Compared {
    fn change(&mut self, what: &str, (old, old_by): (&str, &str), (new, new_by): (&str, &str)) {
        self.text += &format!("{}: {old} by {old_by} -> {new} by {new_by}\n", in_line(what));
        self.changes.push(json!({
            "what": what, "old": { "decision": old, "by": old_by }, "new": { "decision": new, "by": new_by },
        }));
    }
}

pub(crate) fn diff(options: &DiffArguments, host: &Host<'_>) -> Result<Report, Unusable> {
    let read = |file: &String| {
        let source = Source { config: Some(file.clone()), env: options.env.clone(), json: false };
        config(&source, host)
    };
    let (old, new) = (read(&options.old)?, read(&options.new)?);
    if options.log.is_none() && options.examples.is_empty() {
        return Err("diff needs decisions to compare: --log FILE or --examples FILE".into());
    }
    let mut compared = Compared::default();
    for file in &options.examples {
        for (before, after) in cases(file, &old, host)?.cases.iter().zip(cases(file, &new, host)?.cases) {
            if before.decision == after.decision {
                compared.same += 1;
                continue;
            }
            let what = format!("{file}: {}: {}", before.caller, before.request);
            compared.change(&what, (&before.decision, &before.by), (&after.decision, &after.by));
        }
    }
    if let Some(file) = &options.log {
        compare_log(file, &(host.read)(file)?, (&old, &new), &mut compared);
    }
    let Compared { mut text, changes, same, unknown } = compared;
    text += &format!(
        "{} decisions: {same} the same, {} changed, {unknown} unknown\n",
        same + changes.len() + unknown,
        changes.len()
    );
    let good = changes.is_empty() && unknown == 0;
    Ok(Report { text, json: json!({ "same": same, "changed": changes, "unknown": unknown }), good })
}

/// Makes each decision of a log under both configurations.
fn compare_log(file: &str, log: &str, (old, new): (&Settings, &Settings), compared: &mut Compared) {
    let (mut before, mut after) = (Replay::default(), Replay::default());
    for (number, line) in log.lines().enumerate() {
        let number = number + 1;
        match (before.line(number, line, old), after.line(number, line, new)) {
            (Replayed::Other, _) | (_, Replayed::Other) => {}
            (Replayed::Unknown(why), _) | (_, Replayed::Unknown(why)) => {
                compared.unknown += 1;
                compared.text += &format!("{file}:{number}: the decision cannot be made again: {why}\n");
            }
            (Replayed::Same, Replayed::Same) => compared.same += 1,
            (Replayed::Changed(one), Replayed::Changed(other)) if one.now.0 == other.now.0 => compared.same += 1,
            (Replayed::Changed(one), Replayed::Changed(other)) => {
                let what = format!("{file}:{number}: {}", one.what);
                compared.change(&what, (&one.now.0, &one.now.1), (&other.now.0, &other.now.1));
            }
            (Replayed::Changed(one), Replayed::Same) => {
                let what = format!("{file}:{number}: {}", one.what);
                compared.change(&what, (&one.now.0, &one.now.1), (&one.then.0, &one.then.1));
            }
            (Replayed::Same, Replayed::Changed(other)) => {
                let what = format!("{file}:{number}: {}", other.what);
                compared.change(&what, (&other.then.0, &other.then.1), (&other.now.0, &other.now.1));
            }
        }
    }
}
