//! The `_meta` member of an item of a list, edited in its text: the rest of the item stays as the origin server wrote it.

use crate::mcp::members::{Member, members_but, object_member};

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
