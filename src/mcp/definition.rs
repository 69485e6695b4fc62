//! What an item of a list says of itself that models and clients rely on, and how two such definitions differ.

use serde_json::{Map, Number, Value};

use crate::mcp::kind::Kind;
use crate::strict_json::fold;

/// A kind of item that has a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Defined {
    /// A tool.
    Tool,
    /// A prompt.
    Prompt,
    /// A resource template.
    Template,
}

/// Most differences that a text names.
const NAMED: usize = 5;

/// Most characters of a value in such a text.
const SHOWN_CHARS: usize = 300;

/// Characters before the first difference of two texts that are shown.
const BEFORE: usize = 20;

impl Defined {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tool, Self::Prompt, Self::Template];

    /// Which one an item of a list is. Resources have no definition: they are data.
    #[must_use]
    pub fn of(kind: Kind, item: &Map<String, Value>) -> Option<Self> {
        match kind {
            Kind::Tool => Some(Self::Tool),
            Kind::Prompt => Some(Self::Prompt),
            Kind::Resource => item.contains_key("uriTemplate").then_some(Self::Template),
        }
    }

    /// Which one the target of an operation is, if it is one.
    #[must_use]
    pub fn of_target(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Tool => Some(Self::Tool),
            Kind::Prompt => Some(Self::Prompt),
            Kind::Resource => None,
        }
    }

    /// The member of a result that lists such items.
    #[must_use]
    pub fn list(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Template => "resourceTemplates",
        }
    }

    /// Its name in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Template => "resource template",
        }
    }

    /// The member that names an item.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "name",
            Self::Template => "uriTemplate",
        }
    }

    /// The members of a definition, besides `_meta`.
    #[must_use]
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::Tool => &["name", "title", "description", "inputSchema", "outputSchema", "annotations", "execution"],
            Self::Prompt => &["name", "title", "description", "arguments"],
            Self::Template => &["uriTemplate", "name", "title", "description", "mimeType", "annotations"],
        }
    }

    /// The definition of an item: these members and `_meta`. Some readers ignore letter case, so a member that is one of these in another
    /// letter case belongs to it.
    #[must_use]
    pub fn definition(self, item: &Map<String, Value>) -> Map<String, Value> {
        let is_own = |name: &str| {
            let folded = fold(name);
            folded == "_meta" || self.members().iter().any(|member| member.eq_ignore_ascii_case(&folded))
        };
        let own = item.iter().filter(|(name, _)| is_own(name));
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// Whether two definitions are the same.
#[must_use]
pub fn is_same(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.len() == other.len() && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
}

/// Whether two values are the same: as their canonical forms are (RFC 8785), except that integers are compared with all digits.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => is_same(one, other),
        _ => one == other,
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.as_f64() == other.as_f64(),
    }
}

/// What changed from one definition to another, for a person to read; `None` if nothing did. Characters that cannot be seen are
/// written as escapes.
#[must_use]
pub fn differences(before: &Map<String, Value>, now: &Map<String, Value>) -> Option<String> {
    let mut found = Found::default();
    of_members("", before, now, &mut found);
    let Found { mut texts, more } = found;
    if more > 0 {
        texts.push(format!("and {more} more"));
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The first differences, and how many more there are.
#[derive(Default)]
struct Found {
    texts: Vec<String>,
    more: usize,
}

impl Found {
    fn push(&mut self, text: impl FnOnce() -> String) {
        if self.texts.len() < NAMED {
            self.texts.push(text());
        } else {
            self.more += 1;
        }
    }
}

/// The place of a member.
fn path(at: &str, name: &str) -> String {
    if at.is_empty() { shown(name) } else { format!("{at}.{}", shown(name)) }
}

fn of_members(at: &str, before: &Map<String, Value>, now: &Map<String, Value>, found: &mut Found) {
    for (name, old) in before {
        match now.get(name) {
            None => found.push(|| format!("{} is gone", path(at, name))),
            Some(new) if same(old, new) => {}
            Some(new) => of_values(&path(at, name), old, new, found),
        }
    }
    for (name, new) in now.iter().filter(|(name, _)| !before.contains_key(*name)) {
        found.push(|| format!("{} is new: {}", path(at, name), shown(&new.to_string())));
    }
}

fn of_values(at: &str, before: &Value, now: &Value, found: &mut Found) {
    match (before, now) {
        _ if same(before, now) => {}
        (Value::Object(before), Value::Object(now)) => of_members(at, before, now, found),
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (index, (old, new)) in before.iter().zip(now).enumerate().filter(|(_, (old, new))| !same(old, new)) {
                of_values(&format!("{at}[{index}]"), old, new, found);
            }
        }
        (Value::String(before), Value::String(now)) => found.push(|| of_texts(at, before, now)),
        _ => found.push(|| format!("{at} was {} and is {}", shown(&before.to_string()), shown(&now.to_string()))),
    }
}

/// The parts of two texts from their first difference on.
fn of_texts(at: &str, before: &str, now: &str) -> String {
    let same = before.chars().zip(now.chars()).take_while(|(one, other)| one == other).count();
    let part = |text: &str| {
        let begin = same.saturating_sub(BEFORE);
        let mark = if begin > 0 { "…" } else { "" };
        let rest: String = text.chars().skip(begin).take(SHOWN_CHARS).collect();
        let count = text.chars().count();
        let end = if count > begin + SHOWN_CHARS { format!("… ({count} characters)") } else { String::new() };
        format!("{mark}{rest:?}{end}")
    };
    format!("{at} was {} and is {}", part(before), part(now))
}

/// A text with escapes for what cannot be seen, cut if it is long.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    let end = if text.chars().nth(SHOWN_CHARS).is_some() { "…" } else { "" };
    format!("{}{end}", cut.replace("\\\"", "\""))
}
