//! `portcullis replay`.

use portcullis::observe::replay::{Replay, Replayed};
use serde_json::{Value, json};

use crate::arguments::ReplayArguments;
use crate::document::config;
use crate::host::Host;
use crate::outcome::{Report, Unusable};

const NO_DECISIONS: &str = "the log has no decisions: the gateway writes a line with \"event\": \"decision\" for each \
    operation that rules decide, if the configuration has a table [vars.PORTCULLIS.decision_log] (docs/policy.md)\n";

pub(crate) fn replay(options: &ReplayArguments, host: &Host<'_>) -> Result<Report, Unusable> {
    let config = config(&options.source, host)?;
    let log = (host.read)(&options.log)?;
    let (mut replay, mut text) = (Replay::default(), String::new());
    let (mut same, mut changes, mut unknown) = (0_usize, Vec::<Value>::new(), Vec::<Value>::new());
    for (number, line) in log.lines().enumerate() {
        let number = number + 1;
        match replay.line(number, line, &config) {
            Replayed::Other => {}
            Replayed::Same => same += 1,
            Replayed::Unknown(why) => {
                text += &format!("line {number}: the decision cannot be made again: {why}\n");
                unknown.push(json!({ "line": number, "why": why }));
            }
            Replayed::Changed(change) => {
                text += &format!(
                    "line {number}: {}: {} by {} -> {} by {} (request {})\n",
                    change.what, change.then.0, change.then.1, change.now.0, change.now.1, change.request
                );
                changes.push(json!({
                    "line": number,
                    "request_id": change.request,
                    "what": change.what,
                    "then": { "verdict": change.then.0, "by": change.then.1 },
                    "now": { "verdict": change.now.0, "by": change.now.1 },
                }));
            }
        }
    }
    for number in &replay.broken {
        text += &format!(
            "line {number}: does not follow the previous line of its run: lines are missing or were changed\n"
        );
    }
    text += &format!(
        "{} decisions: {same} the same, {} changed, {} unknown; {} gaps\n",
        same + changes.len(),
        changes.len(),
        unknown.len(),
        replay.broken.len()
    );
    let decided = same + changes.len() + unknown.len();
    if decided == 0 {
        text += NO_DECISIONS;
    }
    let good = changes.is_empty() && unknown.is_empty() && replay.broken.is_empty();
    let json = json!({ "same": same, "changed": changes, "unknown": unknown, "gaps": replay.broken });
    Ok(Report { text, json, good })
}
