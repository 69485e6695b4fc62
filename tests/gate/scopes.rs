//! Scopes and their hierarchy (R10).

use std::collections::{BTreeMap, BTreeSet};

use portcullis::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use wasm_bindgen_test::wasm_bindgen_test;

fn hierarchy(table: &[(&str, &[&str])]) -> ScopeHierarchy {
    let scope = |text: &str| Scope::parse(text).expect("a scope");
    let entries = table.iter().map(|(name, more)| (scope(name), more.iter().map(|more| scope(more)).collect()));
    ScopeHierarchy::new(entries.collect::<BTreeMap<_, BTreeSet<_>>>())
}

fn missing(hierarchy: &ScopeHierarchy, granted: &str, required: &str) -> String {
    hierarchy.missing(&ScopeSet::of_text(granted), &ScopeSet::of_text(required)).to_string()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_scope_covers_itself_and_nothing_like_it() {
    let none = hierarchy(&[]);
    assert_eq!(missing(&none, "a b", "a b"), "");
    assert_eq!(missing(&none, "a", "a b c"), "b c");
    assert_eq!(missing(&none, "A", "a"), "a");
    assert_eq!(missing(&none, "aa", "a"), "a");
    assert_eq!(missing(&none, "", "a"), "a");
    assert_eq!(missing(&none, "a", ""), "");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_star_covers_what_begins_with_its_prefix() {
    let none = hierarchy(&[]);
    assert_eq!(missing(&none, "files:*", "files:read files:write"), "");
    assert_eq!(missing(&none, "files:*", "files files: filesx:read mail:read"), "files files: filesx:read mail:read");
    assert_eq!(missing(&none, "files:a:*", "files:a:b files:b"), "files:b");
    // Only `prefix:*` is a pattern.
    assert_eq!(missing(&none, "*", "a"), "a");
    assert_eq!(missing(&none, ":*", ":a"), ":a");
    assert_eq!(missing(&none, "files*", "files:read"), "files:read");
    assert_eq!(missing(&none, "files:*:x", "files:a:x"), "files:a:x");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_table_holds_transitively_and_in_one_direction() {
    let table =
        hierarchy(&[("admin", &["write"]), ("write", &["read", "files:*"]), ("loop", &["pool"]), ("pool", &["loop"])]);
    assert_eq!(missing(&table, "admin", "read write files:x"), "");
    assert_eq!(missing(&table, "write", "admin read"), "admin");
    assert_eq!(missing(&table, "read", "write"), "write");
    assert_eq!(missing(&table, "loop", "pool loop"), "");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_scope_token_grants_nothing() {
    let none = hierarchy(&[]);
    assert_eq!(missing(&none, "a\"b", "a"), "a");
    assert_eq!(missing(&none, "a\tb", "b"), "b");
    assert!(Scope::parse("").is_err());
    assert!(Scope::parse("ä").is_err());
}
