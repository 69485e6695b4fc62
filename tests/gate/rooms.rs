//! The order of rooms, as `src/lib.rs` states it: a room uses rooms below it, and no circle of files is large. Native alone,
//! as it reads the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{ItemUse, UseTree};

/// Files of the largest circle that may be inside one room.
const CIRCLE: usize = 3;

/// The text of each module, by its path in the crate (`token::binding`). The crate root is the empty path.
type Sources = BTreeMap<String, String>;

fn sources(folder: &Path, module: &str, found: &mut Sources) {
    for entry in fs::read_dir(folder).expect("src is there") {
        let path = entry.expect("src can be read").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("names are text").to_owned();
        let inner = if module.is_empty() { name.clone() } else { format!("{module}::{name}") };
        if path.is_dir() {
            // The command line uses the library from outside.
            if inner != "bin" {
                sources(&path, &inner, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = if matches!(name.as_str(), "mod" | "lib") { module.to_owned() } else { inner };
            found.insert(module, fs::read_to_string(&path).expect("src can be read"));
        }
    }
}

/// The paths that a file names, as they are written.
#[derive(Default)]
struct Named(Vec<Vec<String>>);

impl Named {
    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.0.push(with(name.ident.to_string())),
            UseTree::Rename(rename) => self.0.push(with(rename.ident.to_string())),
            UseTree::Glob(_) => self.0.push(before.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(super)` imports nothing.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// The modules that a module uses.
fn used(module: &str, text: &str, all: &Sources) -> BTreeSet<String> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{module}: {error}"));
    let mut named = Named::default();
    named.visit_file(&file);
    let resolve = |path: Vec<String>| {
        let mut base: Vec<String> = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let mut rest = path.as_slice();
        match rest.first().map(String::as_str) {
            Some("crate") => (base, rest) = (Vec::new(), &rest[1..]),
            Some("self" | "super") => {
                while let Some(first @ ("self" | "super")) = rest.first().map(String::as_str) {
                    if first == "super" {
                        base.pop();
                    }
                    rest = &rest[1..];
                }
            }
            // A name of another crate, or one that a `use` brought.
            _ => return None,
        }
        base.extend_from_slice(rest);
        (1..=base.len()).rev().map(|length| base[..length].join("::")).find(|path| all.contains_key(path))
    };
    named.0.into_iter().filter_map(resolve).filter(|other| other != module).collect()
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

/// The rooms from top to bottom, as the crate's documentation lists them.
fn order(root: &str) -> Vec<String> {
    let listed = root.split("//! ```").nth(1).expect("src/lib.rs lists the rooms");
    listed.lines().skip(1).filter_map(|line| line.strip_prefix("//! ")?.split(' ').next().map(str::to_owned)).collect()
}

fn declared(root: &str) -> BTreeSet<String> {
    let file = syn::parse_file(root).expect("src/lib.rs is Rust");
    file.items
        .iter()
        .filter_map(|item| if let syn::Item::Mod(it) = item { Some(it.ident.to_string()) } else { None })
        .collect()
}

/// The first import that runs upward, or to a room that is not in the order.
fn upward(all: &Sources, order: &[String]) -> Option<String> {
    let rank = |module: &str| order.iter().position(|name| name == room(module));
    for (module, text) in all.iter().filter(|(module, _)| !module.is_empty()) {
        for other in used(module, text, all).iter().filter(|other| room(other) != room(module)) {
            match (rank(module), rank(other)) {
                (Some(own), Some(its)) if own < its => {}
                _ => return Some(format!("{module} uses {other}: {} is not below {}", room(other), room(module))),
            }
        }
    }
    None
}

/// Modules that use each other, directly or not, in groups of more than one.
fn circles(all: &Sources) -> BTreeSet<BTreeSet<String>> {
    let uses: BTreeMap<&String, BTreeSet<String>> = all
        .iter()
        .filter(|(module, _)| !module.is_empty())
        .map(|(module, text)| (module, used(module, text, all)))
        .collect();
    let reachable = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = next.pop() {
            for other in uses.get(&module).into_iter().flatten() {
                if seen.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        seen
    };
    let reaches: BTreeMap<&String, BTreeSet<String>> = uses.keys().map(|module| (*module, reachable(module))).collect();
    let group = |module: &String| -> BTreeSet<String> {
        reaches[module]
            .iter()
            .filter(|other| reaches.get(other).is_some_and(|it| it.contains(module)))
            .cloned()
            .collect()
    };
    uses.keys().map(|module| group(module)).filter(|group| group.len() > 1).collect()
}

fn this_crate() -> Sources {
    let mut found = Sources::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found);
    found
}

#[test]
fn every_room_is_in_the_order() {
    let all = this_crate();
    let order = order(&all[""]);
    let listed: BTreeSet<String> = order.iter().cloned().collect();
    assert_eq!(listed.len(), order.len(), "a room is listed twice");
    assert_eq!(listed, declared(&all[""]));
}

#[test]
fn no_import_runs_upward() {
    let all = this_crate();
    assert_eq!(upward(&all, &order(&all[""])), None);
}

#[test]
fn circles_are_small_and_inside_one_room() {
    for circle in circles(&this_crate()) {
        let rooms: BTreeSet<&str> = circle.iter().map(|module| room(module)).collect();
        assert!(rooms.len() == 1 && circle.len() <= CIRCLE, "these use each other: {circle:?}");
    }
}

#[test]
fn what_runs_upward_is_found() {
    let order = ["top", "bottom"].map(str::to_owned);
    let with = |top: &str, bottom: &str| -> Sources {
        [("", ""), ("top", ""), ("top::one", top), ("bottom", bottom), ("bottom::two", "")]
            .map(|(module, text)| (module.to_owned(), text.to_owned()))
            .into()
    };
    assert_eq!(upward(&with("use crate::bottom::two::{self, Thing};", ""), &order), None);
    for text in [
        "use crate::top::one::Thing;",
        "use super::top::{one};",
        "fn f() { crate::top::one::thing(); }",
        "fn f(it: super::top::one::Thing) {}",
        "mod inner { use crate::top::one as other; }",
    ] {
        let found = upward(&with("", text), &order).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(found, "bottom uses top::one: top is not below bottom");
    }
    let circle = circles(&with("use crate::bottom::two::Thing;", "use crate::top::one::Thing;"));
    assert!(circle.is_empty(), "{circle:?}");
    let circle = circles(&with("use crate::bottom::Thing;", "use crate::top::one::Thing;"));
    assert_eq!(circle.into_iter().flatten().collect::<Vec<_>>(), ["bottom", "top::one"]);
}

/// Decisions use the request's context; its audit record is for the log alone.
#[test]
fn no_decision_reads_the_audit_record() {
    for (module, text) in this_crate() {
        let may_read = room(&module) == "observe" || matches!(module.as_str(), "gateway::log" | "pipeline::audit");
        assert!(may_read || !text.contains(".audit.entries()"), "{module} reads the audit record");
    }
}
