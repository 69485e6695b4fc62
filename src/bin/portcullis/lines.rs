//! Finds values in the text of a file: the line and column of a mistake, and the bytes of keys and values.

use std::borrow::Cow;
use std::ops::Range;

use jsonc_parser::ast::Value as JsonValue;
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of a file, in which the path of a value finds its line and column.
pub(crate) struct Lines<'a> {
    text: &'a str,
    pub(crate) root: Node<'a>,
}

/// A value and its byte range.
pub(crate) struct Node<'a> {
    pub(crate) at: Range<usize>,
    pub(crate) inner: Inner<'a>,
}

pub(crate) enum Inner<'a> {
    Members(Vec<Member<'a>>),
    Items(Vec<Node<'a>>),
    Text,
    Other,
}

/// A member of a table.
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The byte range of the name, with its quotes.
    pub(crate) at: Range<usize>,
    pub(crate) value: Node<'a>,
}

impl<'a> Lines<'a> {
    /// Parses TOML; the root is the table below the names in `below`. `None` if the text is not TOML or lacks that table.
    pub(crate) fn of_toml(text: &'a str, below: &[&str]) -> Option<Self> {
        let table = DeTable::parse(text).ok()?;
        let at = table.span();
        Some(Self { text, root: under(toml_table(table.into_inner(), at), below)? })
    }

    /// Parses JSON in the same way.
    pub(crate) fn of_json(text: &'a str, below: &[&str]) -> Option<Self> {
        let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default()).ok()?;
        Some(Self { text, root: under(json(parsed.value?), below)? })
    }

    /// The line and column, counted from 1, of the value that the path of a mistake names. If there is no such value,
    /// those of the innermost value on the path.
    pub(crate) fn find(&self, path: &str) -> (usize, usize) {
        let (mut node, mut rest, mut at) = (&self.root, path, self.root.at.start);
        loop {
            match &node.inner {
                Inner::Members(members) => {
                    // A name may contain dots: the longest name that fits is the right one.
                    let fits = |name: &str| {
                        rest.strip_prefix(name)
                            .filter(|after| after.is_empty() || after.starts_with('.') || after.starts_with('['))
                    };
                    let found = members.iter().filter_map(|member| Some((fits(&member.name)?, member)));
                    let Some((after, member)) = found.min_by_key(|(after, _)| after.len()) else { break };
                    (node, at) = (&member.value, member.at.start);
                    rest = after.strip_prefix('.').unwrap_or(after);
                }
                Inner::Items(items) => {
                    let found = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
                    let Some((index, after)) = found else { break };
                    let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index)) else { break };
                    (node, at) = (item, item.at.start);
                    rest = after.strip_prefix('.').unwrap_or(after);
                }
                Inner::Text | Inner::Other => break,
            }
        }
        self.place(at)
    }

    /// The line and column of a byte, counted from 1.
    pub(crate) fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        (line, column)
    }
}

fn under<'a>(mut root: Node<'a>, below: &[&str]) -> Option<Node<'a>> {
    for name in below {
        let Inner::Members(members) = root.inner else { return None };
        root = members.into_iter().find(|member| member.name == *name)?.value;
    }
    Some(root)
}

fn toml_table(table: DeTable<'_>, at: Range<usize>) -> Node<'_> {
    let members = table.into_iter().map(|(name, value)| {
        let at = name.span();
        Member { name: name.into_inner(), at, value: toml_value(value) }
    });
    Node { at, inner: Inner::Members(members.collect()) }
}

fn toml_value(value: Spanned<DeValue<'_>>) -> Node<'_> {
    let at = value.span();
    match value.into_inner() {
        DeValue::Table(table) => toml_table(table, at),
        DeValue::Array(items) => Node { at, inner: Inner::Items(items.into_iter().map(toml_value).collect()) },
        DeValue::String(_) => Node { at, inner: Inner::Text },
        _ => Node { at, inner: Inner::Other },
    }
}

fn json(value: JsonValue<'_>) -> Node<'_> {
    let at = value.range();
    let at = at.start..at.end;
    match value {
        JsonValue::Object(object) => {
            let members = object.properties.into_iter().map(|property| {
                let at = property.name.range();
                let name = property.name.into_string().into();
                Member { name, at: at.start..at.end, value: json(property.value) }
            });
            Node { at, inner: Inner::Members(members.collect()) }
        }
        JsonValue::Array(array) => Node { at, inner: Inner::Items(array.elements.into_iter().map(json).collect()) },
        JsonValue::StringLit(_) => Node { at, inner: Inner::Text },
        _ => Node { at, inner: Inner::Other },
    }
}
