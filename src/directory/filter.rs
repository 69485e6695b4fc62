//! Filters (RFC 7644 §3.4.2.2): how they are read, evaluated, and which index answers them.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::error::{ScimError, quote};
use super::path::{Named, resolve};
use super::schema::{Attribute, Key, Kind, Schema};
use super::timestamp::parse_rfc3339;
use crate::limits::{SCIM_FILTER_BYTES, SCIM_FILTER_DEPTH, SCIM_FILTER_TERMS};
use crate::strict_json::{self, fold};

/// A value of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// True or false.
    Flag(bool),
    /// Milliseconds since the epoch.
    Time(i64),
}

impl<'a> Fact<'a> {
    /// Text that the resource has.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// Text that was made for the filter.
    #[must_use]
    pub fn owned(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }

    /// A second since the epoch.
    #[must_use]
    pub fn second(second: u64) -> Self {
        Self::Time(i64::try_from(second.saturating_mul(1000)).unwrap_or(i64::MAX))
    }
}

/// A resource as filters see it.
pub trait Facts {
    /// The value of an attribute or sub-attribute that is not part of a list.
    fn fact(&self, key: Key) -> Option<Fact<'_>>;
    /// How many elements a list has.
    fn elements(&self, key: Key) -> usize;
    /// The value of a sub-attribute of an element; for a list without sub-attributes the element itself.
    fn element(&self, index: usize, key: Key) -> Option<Fact<'_>>;
}

/// How a comparison compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `co`
    Contains,
    /// `sw`
    StartsWith,
    /// `ew`
    EndsWith,
    /// `pr`
    Present,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

/// What a comparison compares with: text in one case unless the attribute distinguishes case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// `null`, and the operand of `pr`.
    Null,
    /// Text.
    Text(String),
    /// True or false.
    Flag(bool),
    /// Milliseconds since the epoch.
    Time(i64),
}

/// A comparison of one attribute or sub-attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The attribute at the top.
    pub attribute: &'static Attribute,
    /// What is compared: the attribute itself or a sub-attribute.
    pub compared: &'static Attribute,
    /// How.
    pub operator: Operator,
    /// With what.
    pub operand: Operand,
}

/// A filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these match.
    And(Vec<Filter>),
    /// At least one of these matches.
    Or(Vec<Filter>),
    /// This does not match.
    Not(Box<Filter>),
    /// The value, or an element of the list, compares.
    Compare(Comparison),
    /// One element of the list matches all of a filter.
    Element(&'static Attribute, Box<Filter>),
}

/// The index that answers a filter. Text is in one case where the attribute does not distinguish case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// `id eq`
    Id(String),
    /// `userName eq`
    UserName(String),
    /// `externalId eq`
    ExternalId(String),
    /// `displayName eq`
    DisplayName(String),
    /// `emails.value eq`
    Email(String),
    /// `members.value eq`
    Member(String),
    /// `groups.value eq`
    Group(String),
}

impl Filter {
    /// How many comparisons it has.
    #[must_use]
    pub fn comparisons(&self) -> u64 {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().map(Self::comparisons).sum(),
            Self::Not(inner) | Self::Element(_, inner) => inner.comparisons(),
            Self::Compare(_) => 1,
        }
    }

    /// Reads a filter on the resources of a schema.
    ///
    /// # Errors
    /// If it is malformed, too large, names an attribute that the directory does not keep, or compares what cannot be compared.
    pub fn parse(schema: &'static Schema, text: &str) -> Result<Self, ScimError> {
        Parser { text, at: 0, terms: 0, scope: Scope::Resource(schema) }.whole()
    }

    /// Reads a filter on the elements of a list: what is between the brackets of a value path.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub fn parse_elements(attribute: &'static Attribute, text: &str) -> Result<Self, ScimError> {
        Parser { text, at: 0, terms: 0, scope: Scope::Element(attribute) }.whole()
    }

    /// Whether a resource matches.
    #[must_use]
    pub fn matches(&self, facts: &dyn Facts) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(facts)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(facts)),
            Self::Not(part) => !part.matches(facts),
            Self::Compare(comparison) => comparison.matches(facts),
            Self::Element(attribute, filter) => {
                (0..facts.elements(attribute.key)).any(|index| filter.matches_element(&|key| facts.element(index, key)))
            }
        }
    }

    /// Whether an element of a list matches a filter on elements.
    #[must_use]
    pub fn matches_element<'a>(&self, element: &dyn Fn(Key) -> Option<Fact<'a>>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches_element(element)),
            Self::Or(parts) => parts.iter().any(|part| part.matches_element(element)),
            Self::Not(part) => !part.matches_element(element),
            Self::Compare(comparison) => comparison.holds(element(comparison.compared.key).as_ref()),
            // The parser reads no list inside of a list.
            Self::Element(..) => false,
        }
    }

    /// The index that finds all resources that can match, and whether each resource that it finds does match. An index of a unique
    /// attribute comes first.
    #[must_use]
    pub fn lookup(&self) -> Option<(Lookup, bool)> {
        match self {
            Self::Compare(comparison) => comparison.lookup().map(|lookup| (lookup, true)),
            Self::Element(attribute, filter) => match filter.as_ref() {
                Self::Compare(comparison) => {
                    Comparison { attribute, ..comparison.clone() }.lookup().map(|lookup| (lookup, true))
                }
                Self::And(parts) => {
                    let whole = |part: &Filter| Self::Element(attribute, Box::new(part.clone())).lookup();
                    parts.iter().find_map(whole).map(|(lookup, _)| (lookup, false))
                }
                _ => None,
            },
            Self::And(parts) => {
                let found = parts.iter().filter_map(Self::lookup).map(|(lookup, _)| lookup);
                found.min_by_key(Lookup::cost).map(|lookup| (lookup, false))
            }
            Self::Or(_) | Self::Not(_) => None,
        }
    }

    /// Whether the filter looks at an attribute.
    #[must_use]
    pub fn mentions(&self, key: Key) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.mentions(key)),
            Self::Not(part) => part.mentions(key),
            Self::Compare(comparison) => comparison.attribute.key == key,
            Self::Element(attribute, _) => attribute.key == key,
        }
    }

    /// The values that decide what the filter says of the elements of a list, if it only asks whether the list has them; else `None`.
    #[must_use]
    pub fn only_values_of(&self, key: Key) -> Option<Vec<String>> {
        let mut values = Vec::new();
        self.add_values_of(key, &mut values).then_some(values)
    }

    fn add_values_of(&self, key: Key, values: &mut Vec<String>) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().all(|part| part.add_values_of(key, values)),
            Self::Not(part) => part.add_values_of(key, values),
            Self::Compare(comparison) if comparison.attribute.key != key => true,
            Self::Element(attribute, _) if attribute.key != key => true,
            Self::Compare(_) | Self::Element(..) => match self.lookup() {
                Some((Lookup::Member(value) | Lookup::Group(value), true)) => {
                    values.push(value);
                    true
                }
                _ => false,
            },
        }
    }

    /// The comparisons with `eq` that an element has to match, if the filter has only those: a new element can be made from them.
    #[must_use]
    pub fn equalities(&self) -> Option<Vec<&Comparison>> {
        match self {
            Self::Compare(comparison) if comparison.operator == Operator::Equal => Some(vec![comparison]),
            Self::And(parts) => {
                let parts: Option<Vec<_>> = parts.iter().map(Self::equalities).collect();
                parts.map(|parts| parts.into_iter().flatten().collect())
            }
            _ => None,
        }
    }
}

impl Lookup {
    fn cost(&self) -> u8 {
        match self {
            Self::Id(_) => 0,
            Self::UserName(_) | Self::ExternalId(_) => 1,
            Self::Email(_) => 2,
            Self::DisplayName(_) => 3,
            Self::Member(_) | Self::Group(_) => 4,
        }
    }
}

impl Comparison {
    fn matches(&self, facts: &dyn Facts) -> bool {
        if !self.attribute.multi_valued {
            if self.compared.kind == Kind::Complex {
                return self.compared.sub_attributes.iter().any(|sub| facts.fact(sub.key).is_some());
            }
            return self.holds(facts.fact(self.compared.key).as_ref());
        }
        match facts.elements(self.attribute.key) {
            0 => self.holds(None),
            count => (0..count).any(|index| self.holds(facts.element(index, self.compared.key).as_ref())),
        }
    }

    /// Whether a value compares. An absent value is unequal to every value but `null`.
    fn holds(&self, fact: Option<&Fact<'_>>) -> bool {
        let Some(fact) = fact else {
            return match self.operator {
                Operator::Equal => self.operand == Operand::Null,
                Operator::NotEqual => self.operand != Operand::Null,
                _ => false,
            };
        };
        let order = match (fact, &self.operand) {
            (Fact::Text(text), Operand::Text(operand)) => {
                let text = if self.compared.case_exact { text.clone() } else { Cow::Owned(fold(text)) };
                match self.operator {
                    Operator::Contains => return text.contains(operand.as_str()),
                    Operator::StartsWith => return text.starts_with(operand.as_str()),
                    Operator::EndsWith => return text.ends_with(operand.as_str()),
                    _ => text.as_ref().cmp(operand.as_str()),
                }
            }
            (Fact::Flag(flag), Operand::Flag(operand)) => flag.cmp(operand),
            (Fact::Time(time), Operand::Time(operand)) => time.cmp(operand),
            // `null`, and `pr`.
            _ => return matches!(self.operator, Operator::NotEqual | Operator::Present),
        };
        match self.operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => order != Ordering::Equal,
            Operator::Greater => order == Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Present => true,
            Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
        }
    }

    /// The index that answers the comparison.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        let (Operator::Equal, Operand::Text(text)) = (self.operator, &self.operand) else { return None };
        let text = text.clone();
        match self.compared.key {
            Key::Id => Some(Lookup::Id(text)),
            Key::UserName => Some(Lookup::UserName(text)),
            Key::ExternalId => Some(Lookup::ExternalId(text)),
            Key::DisplayName => Some(Lookup::DisplayName(text)),
            Key::EmailValue => Some(Lookup::Email(text)),
            Key::MemberValue => Some(Lookup::Member(text)),
            Key::GroupValue => Some(Lookup::Group(text)),
            _ => None,
        }
    }
}

/// Whose attributes a filter names.
#[derive(Clone, Copy)]
enum Scope {
    Resource(&'static Schema),
    Element(&'static Attribute),
}

/// What a name in a filter leads to: the attribute at the top, and what is compared.
type Target = (&'static Attribute, &'static Attribute);

struct Parser<'a> {
    text: &'a str,
    at: usize,
    terms: usize,
    scope: Scope,
}

impl<'a> Parser<'a> {
    fn whole(mut self) -> Result<Filter, ScimError> {
        if self.text.len() > SCIM_FILTER_BYTES {
            return Err(ScimError::invalid_filter(format!("the filter is longer than {SCIM_FILTER_BYTES} bytes")));
        }
        let filter = self.any(SCIM_FILTER_DEPTH)?;
        if self.rest().trim_start_matches(' ').is_empty() { Ok(filter) } else { Err(self.unexpected()) }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn unexpected(&self) -> ScimError {
        ScimError::invalid_filter(format!("the filter is malformed at {}", quote(self.rest())))
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
    }

    /// Takes a character after spaces.
    fn take(&mut self, wanted: char) -> bool {
        self.skip_spaces();
        let taken = self.rest().starts_with(wanted);
        self.at += if taken { wanted.len_utf8() } else { 0 };
        taken
    }

    fn expect(&mut self, wanted: char) -> Result<(), ScimError> {
        if self.take(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The word after spaces.
    fn word(&mut self) -> &'a str {
        self.skip_spaces();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "$-_.:+".contains(c))).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let taken = self.word().eq_ignore_ascii_case(wanted);
        self.at += if taken { wanted.len() } else { 0 };
        taken
    }

    fn any(&mut self, depth: usize) -> Result<Filter, ScimError> {
        let mut parts = vec![self.all(depth)?];
        while self.take_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, ScimError> {
        let mut parts = vec![self.term(depth)?];
        while self.take_word("and") {
            parts.push(self.term(depth)?);
        }
        Ok(one_or(parts, Filter::And))
    }

    fn term(&mut self, depth: usize) -> Result<Filter, ScimError> {
        let deeper = |depth: usize| {
            depth.checked_sub(1).ok_or_else(|| {
                ScimError::invalid_filter(format!("the filter nests deeper than {SCIM_FILTER_DEPTH} levels"))
            })
        };
        if self.take_word("not") {
            self.expect('(')?;
            let inner = self.any(deeper(depth)?)?;
            self.expect(')')?;
            return Ok(Filter::Not(Box::new(inner)));
        }
        if self.take('(') {
            let inner = self.any(deeper(depth)?)?;
            self.expect(')')?;
            return Ok(inner);
        }
        let target = self.target()?;
        if !self.rest().starts_with('[') {
            return self.comparison(target).map(Filter::Compare);
        }
        let (list, compared) = target;
        if matches!(self.scope, Scope::Element(_))
            || list != compared
            || list.sub_attributes.is_empty()
            || !list.multi_valued
        {
            return Err(self.unexpected());
        }
        self.at += 1;
        let outer = std::mem::replace(&mut self.scope, Scope::Element(list));
        let inner = self.any(deeper(depth)?)?;
        self.expect(']')?;
        // Entra ID selects an element and compares a sub-attribute of it: emails[type eq "work"].value eq "…".
        let element = if self.rest().starts_with('.') {
            self.at += 1;
            let target = self.target()?;
            Filter::And(vec![inner, Filter::Compare(self.comparison(target)?)])
        } else {
            inner
        };
        self.scope = outer;
        Ok(Filter::Element(list, Box::new(element)))
    }

    fn target(&mut self) -> Result<Target, ScimError> {
        let name = self.word();
        if name.is_empty() {
            return Err(self.unexpected());
        }
        let unknown = || ScimError::invalid_filter(format!("the directory keeps no attribute {}", quote(name)));
        let target = match self.scope {
            Scope::Element(list) => (list, list.sub_attribute(name).ok_or_else(unknown)?),
            Scope::Resource(schema) => match resolve(schema, name) {
                Some(Named::Kept(attribute, sub)) => (attribute, sub.unwrap_or(attribute)),
                _ => return Err(unknown()),
            },
        };
        self.at += name.len();
        Ok(target)
    }

    fn comparison(&mut self, (attribute, compared): Target) -> Result<Comparison, ScimError> {
        self.terms += 1;
        if self.terms > SCIM_FILTER_TERMS {
            return Err(ScimError::invalid_filter(format!("the filter has more than {SCIM_FILTER_TERMS} comparisons")));
        }
        let word = self.word();
        let operator = operator(word).ok_or_else(|| self.unexpected())?;
        self.at += word.len();
        // A list of complex values is compared by `value` (RFC 7643 §2.4).
        let compared = match compared.sub_attribute("value") {
            Some(value) if compared.multi_valued => value,
            _ => compared,
        };
        let operand = if operator == Operator::Present { Operand::Null } else { self.operand(compared, operator)? };
        Ok(Comparison { attribute, compared, operator, operand })
    }

    fn operand(&mut self, compared: &Attribute, operator: Operator) -> Result<Operand, ScimError> {
        let wrong = |expected: &str| {
            Err(ScimError::invalid_filter(format!("{} must be compared with {expected}", quote(compared.name))))
        };
        if !self.rest().starts_with(' ') {
            return Err(self.unexpected());
        }
        let value = self.literal()?;
        let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
        let part = matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith);
        match (compared.kind, value) {
            (Kind::Complex, _) => wrong("pr, or by one of its sub-attributes"),
            (_, Value::Null) if equality => Ok(Operand::Null),
            (Kind::Boolean, _) if !equality => wrong("eq, ne or pr"),
            (Kind::Boolean, Value::Bool(flag)) => Ok(Operand::Flag(flag)),
            (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Operand::Flag(true)),
            (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Operand::Flag(false)),
            (Kind::Boolean, _) => wrong("true or false"),
            (Kind::DateTime, _) if part => wrong("eq, ne, gt, ge, lt, le or pr"),
            (Kind::DateTime, Value::String(text)) => parse_rfc3339(&text)
                .map_or_else(|| wrong("a time, such as \"2026-01-31T00:00:00Z\""), |time| Ok(Operand::Time(time))),
            (Kind::DateTime, _) => wrong("a time, such as \"2026-01-31T00:00:00Z\""),
            (Kind::String | Kind::Reference, Value::String(text)) => {
                Ok(Operand::Text(if compared.case_exact { text } else { fold(&text) }))
            }
            (Kind::String | Kind::Reference, _) => wrong("a string in quotes"),
        }
    }

    /// A value of JSON: a string, number, `true`, `false` or `null`.
    fn literal(&mut self) -> Result<Value, ScimError> {
        self.skip_spaces();
        let rest = self.rest();
        let end = if rest.starts_with('"') { string_end(rest) } else { Some(self.word().len()).filter(|end| *end > 0) };
        let literal = end.and_then(|end| rest.get(..end)).ok_or_else(|| self.unexpected())?;
        let word = if literal.starts_with('"') { literal.to_owned() } else { literal.to_ascii_lowercase() };
        let value = strict_json::parse(word.as_bytes()).map_err(|_| self.unexpected())?;
        self.at += literal.len();
        Ok(value)
    }
}

/// The length of a JSON string at the start of a text.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn one_or(mut parts: Vec<Filter>, several: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            several(parts)
        }
        None => several(parts),
    }
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word.to_ascii_lowercase().as_str() {
        "eq" => Operator::Equal,
        "ne" => Operator::NotEqual,
        "co" => Operator::Contains,
        "sw" => Operator::StartsWith,
        "ew" => Operator::EndsWith,
        "pr" => Operator::Present,
        "gt" => Operator::Greater,
        "ge" => Operator::GreaterOrEqual,
        "lt" => Operator::Less,
        "le" => Operator::LessOrEqual,
        _ => return None,
    })
}
