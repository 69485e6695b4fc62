//! The `_meta` member of an item of a list, edited in its text: the rest of the item stays as the origin server wrote it.

use std::ops::Range;

use crate::mcp::handle::APP_SCHEME;
use crate::mcp::members::{Member, members_but, object_member, text_member};

/// An item whose `_meta` has this member. It replaces any member of that name that the origin server wrote.
pub(super) fn marked(item: Vec<u8>, name: &str, value: &str) -> Option<Vec<u8>> {
    with_meta(item, name, Some(value))
}

/// An item with a member of its `_meta` set, or removed.
pub(super) fn with_meta(mut item: Vec<u8>, name: &str, value: Option<&str>) -> Option<Vec<u8>> {
    let member = value.map(|value| format!("\"{name}\":{value}"));
    let found = object_member(&item, "_meta")?;
    let (range, text) = match (found, member) {
        (Member::Absent | Member::Null(_) | Member::Empty(_), None) => return Some(item),
        (Member::Absent, Some(member)) => {
            let end = item.iter().rposition(|byte| *byte == b'}')?;
            (end..end, format!(",\"_meta\":{{{member}}}"))
        }
        (Member::Null(at), Some(member)) => (at..at + 4, format!("{{{member}}}")),
        (Member::Empty(at), Some(member)) => (at + 1..at + 1, member),
        (Member::Object(at, length), member) => {
            let meta = item.get(at..at + length)?;
            let kept = members_but(meta, name)?;
            let all: Vec<String> = member.into_iter().chain(kept).collect();
            (at..at + length, format!("{{{}}}", all.join(",")))
        }
    };
    item.splice(range, text.into_bytes());
    Some(item)
}

/// The members of `_meta` that have the URI of a user interface: in earlier drafts of SEP-1865, and before it.
const APP_MEMBERS: [&str; 2] = ["ui/resourceUri", "openai/outputTemplate"];

/// Whether an item may declare a user interface. Some servers write `/` as `\\/`.
#[must_use]
pub fn may_have_app(item: &[u8]) -> bool {
    ["resourceUri", "outputTemplate"].iter().any(|name| item.windows(name.len()).any(|part| part == name.as_bytes()))
}

/// An item whose user interface has another URI: `_meta.ui.resourceUri`, or one of the members from before it. `None` if it has none, or none that changes.
pub fn with_app_uri(item: &[u8], change: impl Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
    let Member::Object(meta_at, length) = object_member(item, "_meta")? else { return None };
    let meta = item.get(meta_at..meta_at + length)?;
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    if let Some(Member::Object(at, length)) = object_member(meta, "ui")
        && let Some((range, uri)) = text_member(meta.get(at..at + length)?, "resourceUri")
    {
        found.push((meta_at + at + range.start..meta_at + at + range.end, uri));
    }
    for (range, uri) in APP_MEMBERS.iter().filter_map(|name| text_member(meta, name)) {
        found.push((meta_at + range.start..meta_at + range.end, uri));
    }
    // From the end, so that the positions before it stay what they are.
    found.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut changed = None;
    for (range, uri) in found {
        let Some(instead) = Some(&uri).filter(|uri| uri.starts_with(APP_SCHEME)).and_then(|uri| change(uri)) else {
            continue;
        };
        let text = serde_json::to_vec(&instead).ok()?;
        changed.get_or_insert_with(|| item.to_vec()).splice(range, text);
    }
    changed
}
