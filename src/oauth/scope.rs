//! Scopes (RFC 6749 §3.3) and their hierarchy (R10).

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;

/// The text is not a scope token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotScope(String);

impl fmt::Display for NotScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be a scope token (RFC 6749 §3.3: no space, quote or backslash), got {:?}", self.0)
    }
}

impl Error for NotScope {}

/// One scope token: printable ASCII except space, `"` and `\`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(String);

impl Scope {
    /// Reads a scope token.
    ///
    /// # Errors
    /// [`NotScope`] if the text is empty or has other characters.
    pub fn parse(text: &str) -> Result<Self, NotScope> {
        let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if fits { Ok(Self(text.to_owned())) } else { Err(NotScope(text.to_owned())) }
    }

    /// Whether it is equal to `other`, or a wildcard that includes it: `files:*` includes `files:write`.
    #[must_use]
    pub fn is_over(&self, other: &Self) -> bool {
        includes(self, other)
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A set of scopes, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// Reads a `scope` value: tokens, separated by single spaces. Invalid tokens are left out: they give access to
    /// nothing.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        text.split(' ').filter_map(|token| Scope::parse(token).ok()).collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

/// Which scopes include which: a table from the configuration with its transitive closure, and wildcards `prefix:*`.
#[derive(Debug, Clone, Default)]
pub struct ScopeHierarchy(BTreeMap<Scope, BTreeSet<Scope>>);

impl ScopeHierarchy {
    /// Computes the transitive closure of `includes`; it may have cycles.
    #[must_use]
    pub fn new(includes: BTreeMap<Scope, BTreeSet<Scope>>) -> Self {
        let mut closed = includes.clone();
        for (scope, reached) in &mut closed {
            let mut frontier: Vec<Scope> = reached.iter().cloned().collect();
            while let Some(next) = frontier.pop() {
                for further in includes.get(&next).into_iter().flatten() {
                    if further != scope && reached.insert(further.clone()) {
                        frontier.push(further.clone());
                    }
                }
            }
        }
        Self(closed)
    }

    /// All scopes in the table.
    #[must_use]
    pub fn named(&self) -> BTreeSet<&Scope> {
        self.0.iter().flat_map(|(scope, included)| std::iter::once(scope).chain(included)).collect()
    }

    /// The scopes that a scope includes according to the table.
    pub fn implied(&self, scope: &Scope) -> impl Iterator<Item = &Scope> {
        self.0.get(scope).into_iter().flatten()
    }

    /// Whether a caller with the scopes `granted` has the scope `required`.
    #[must_use]
    pub fn covers(&self, granted: &ScopeSet, required: &Scope) -> bool {
        granted.iter().any(|scope| {
            includes(scope, required)
                || self.0.get(scope).is_some_and(|more| more.iter().any(|implied| includes(implied, required)))
        })
    }

    /// The scopes of `required` that `granted` does not cover.
    #[must_use]
    pub fn missing(&self, granted: &ScopeSet, required: &ScopeSet) -> ScopeSet {
        required.iter().filter(|scope| !self.covers(granted, scope)).cloned().collect()
    }
}

impl fmt::Display for ScopeHierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (scope, included) in &self.0 {
            write!(f, "{}=", scope.as_str())?;
            for scope in included {
                write!(f, " {}", scope.as_str())?;
            }
            f.write_str(";")?;
        }
        Ok(())
    }
}

/// Whether the scopes are equal, or `scope` is a wildcard: `files:*` includes every scope that begins with `files:`.
fn includes(scope: &Scope, required: &Scope) -> bool {
    scope == required
        || scope.0.strip_suffix('*').is_some_and(|prefix| {
            prefix.len() > 1
                && prefix.ends_with(':')
                && required.0.len() > prefix.len()
                && required.0.starts_with(prefix)
        })
}
