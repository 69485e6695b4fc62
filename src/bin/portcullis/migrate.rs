//! `portcullis migrate`: rewrites keys of a configuration that a release renamed. Everything else in the file stays byte for byte.

use std::ops::Range;

use portcullis::config::renamed::{NewValue, RenamedKey, renamed};
use serde_json::json;

use crate::arguments::MigrateArguments;
use crate::document::TextFile;
use crate::host::Host;
use crate::lines::{Inner, Lines, Member, Node};
use crate::outcome::{Report, Unusable};

/// A change of the text.
struct Edit {
    at: Range<usize>,
    text: String,
}

/// What is rewritten.
#[derive(Default)]
struct Rewritten {
    edits: Vec<Edit>,
    changes: Vec<Change>,
    mistakes: Vec<String>,
}

/// A key with another name from now on: where it is, and both names.
struct Change {
    at: usize,
    path: String,
    new: &'static str,
}

pub(crate) fn migrate(arguments: &MigrateArguments, host: &Host<'_>) -> Result<Report, Unusable> {
    let file = TextFile::read(arguments.config.as_deref(), host)?;
    file.check_syntax()?;
    let lines = if file.is_json { Lines::of_json(&file.text, &[]) } else { Lines::of_toml(&file.text, &[]) };
    let lines = lines.ok_or_else(|| format!("{}: cannot be read", file.name))?;
    let mut rewritten = Rewritten::default();
    for (place, document) in documents(&lines.root) {
        if matches!(document.inner, Inner::Text) {
            let why = format!("{place}: the document is JSON in a string: write it to a file of its own for --config");
            rewritten.mistakes.push(why.replace(".:", ":"));
        }
        rewritten.table(&place, "", document, &file.text);
    }
    let Rewritten { mut edits, changes, mistakes } = rewritten;
    let shown = |at: usize| {
        let (line, column) = lines.place(at);
        format!("{}:{line}:{column}", file.name)
    };
    if !mistakes.is_empty() {
        return Err(mistakes.join("\n").into());
    }
    edits.sort_by_key(|edit| edit.at.start);
    let mut text = file.text.clone();
    for edit in edits.iter().rev() {
        text.replace_range(edit.at.clone(), &edit.text);
    }
    let report: String = changes
        .iter()
        .map(|change| format!("{}: {} is now called {}\n", shown(change.at), change.path, change.new))
        .collect();
    let list: Vec<_> = changes
        .iter()
        .map(|change| {
            let (line, column) = lines.place(change.at);
            json!({ "path": change.path, "line": line, "column": column, "new": change.new })
        })
        .collect();
    let json = json!({ "file": file.name, "changes": list, "text": text });
    Ok(Report { text: report, json, good: true })
}

/// The documents of a file, each with the names of the tables above it: that of every environment, or the whole file.
fn documents<'a, 'b>(root: &'b Node<'a>) -> Vec<(String, &'b Node<'a>)> {
    let member = |node: &'b Node<'a>, name: &str| match &node.inner {
        Inner::Members(members) => members.iter().find(|member| member.name == name).map(|member| &member.value),
        _ => None,
    };
    let document = |node| member(member(node, "vars")?, "PORTCULLIS");
    let environments = member(root, "env");
    if member(root, "vars").is_none() && environments.is_none() {
        return vec![(String::new(), root)];
    }
    let mut found: Vec<_> =
        document(root).map(|document| ("vars.PORTCULLIS.".to_owned(), document)).into_iter().collect();
    if let Some(Node { inner: Inner::Members(all), .. }) = environments {
        found.extend(all.iter().filter_map(|environment| {
            Some((format!("env.{}.vars.PORTCULLIS.", environment.name), document(&environment.value)?))
        }));
    }
    found
}

impl Rewritten {
    /// Looks for renamed keys in a value of a document; `place` names the tables above the document, and `path` the value in it.
    fn table(&mut self, place: &str, path: &str, node: &Node<'_>, text: &str) {
        match &node.inner {
            Inner::Members(members) => {
                for member in members {
                    let inner =
                        if path.is_empty() { member.name.to_string() } else { format!("{path}.{}", member.name) };
                    match renamed(path, &member.name) {
                        Some(key) => self.key(&format!("{place}{inner}"), key, member, members, text),
                        None => self.table(place, &inner, &member.value, text),
                    }
                }
            }
            Inner::Items(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.table(place, &format!("{path}[{index}]"), item, text);
                }
            }
            Inner::Text | Inner::Other => {}
        }
    }

    fn key(&mut self, path: &str, key: &RenamedKey, member: &Member<'_>, members: &[Member<'_>], text: &str) {
        if members.iter().any(|other| other.name == key.new) {
            let why = format!("{path}: {} is there too, which is its name now: remove one of them", key.new);
            return self.mistakes.push(why);
        }
        if key.value == NewValue::InArray {
            let Inner::Text = member.value.inner else {
                return self
                    .mistakes
                    .push(format!("{path}: must be a string before it can be rewritten as {}", key.new));
            };
            let value = text.get(member.value.at.clone()).unwrap_or_default();
            self.edits.push(Edit { at: member.value.at.clone(), text: format!("[{value}]") });
        }
        // The name keeps its quotes, unless it is written with escapes.
        let old = text.get(member.at.clone()).unwrap_or_default();
        let name = if old.contains(key.old) { old.replace(key.old, key.new) } else { format!("{:?}", key.new) };
        self.edits.push(Edit { at: member.at.clone(), text: name });
        self.changes.push(Change { at: member.at.start, path: path.to_owned(), new: key.new });
    }
}
