//! What documents say of the sources is there: requirements, tests and files that they name. Native alone, as it reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder whose names end so.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !matches!(name, "node_modules" | "results" | "vectors" | "seeds") {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found
}

/// Ids of requirements that a text cites: a letter of a family and one or two digits, as a word of its own; `R4 to R9` cites
/// all between. Digits of percent-encoded and of escaped text are none.
fn cited(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_%-\\#{".contains(c);
    let id = |word: &str| {
        let (family, digits) = word.split_at_checked(1)?;
        let fits = matches!(family, "R" | "T" | "L" | "A" | "P") && !digits.starts_with('0');
        let fits = fits && digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        Some((family.to_owned(), digits.parse::<u8>().ok().filter(|_| fits)?))
    };
    let words: Vec<&str> = text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let mut found: BTreeSet<(String, u8)> = words.iter().filter_map(|word| id(word)).collect();
    for range in words.windows(3).filter(|words| words[1] == "to") {
        if let (Some((family, first)), Some((other, last))) = (id(range[0]), id(range[2]))
            && family == other
        {
            found.extend((first..=last).map(|number| (family.clone(), number)));
        }
    }
    found.into_iter().map(|(family, number)| format!("{family}{number}")).collect()
}

/// The rows of the tables of requirements, by id: the text of the last column, which names a test.
fn defined() -> BTreeMap<String, String> {
    let text = read(&root().join("docs/requirements.md"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split(" | ").map(str::trim).collect();
        let id = cells.first().filter(|id| cited(id).len() == 1)?;
        Some(((*id).to_owned(), cells.last()?.to_string()))
    };
    text.lines().filter_map(row).collect()
}

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_requirement_that_is_cited_is_defined() {
    let defined = defined();
    assert!(defined.len() >= 60, "{}", defined.len());
    let mut cited_anywhere = BTreeSet::new();
    let folders = ["src", "tests", "docs", "scripts", "fuzz", "examples"];
    let sources = folders.iter().flat_map(|folder| files(folder, &[".rs", ".mjs", ".js", ".md", ".toml", ".py"]));
    for path in sources.filter(|path| !path.ends_with("requirements.md") && !path.ends_with("documents.rs")) {
        for id in cited(&read(&path)) {
            assert!(
                defined.contains_key(&id),
                "{} cites {id}, which docs/requirements.md does not define",
                path.display()
            );
            cited_anywhere.insert(id);
        }
    }
    let unused: Vec<&String> = defined.keys().filter(|id| !cited_anywhere.contains(*id)).collect();
    assert!(unused.is_empty(), "no file cites {unused:?}");
}

#[test]
fn the_tests_of_requirements_are_there() {
    for (id, test) in defined() {
        let Some(path) = quoted(&test).find(|part| part.starts_with("tests/")) else { panic!("{id} has no test") };
        let text = read(&root().join(path));
        let name = quoted(&test).nth(1).or_else(|| test.split('"').nth(1));
        let name = name.unwrap_or_else(|| panic!("{id} names no test in {path}"));
        assert!(text.contains(name), "{id}: {path} has no test {name:?}");
    }
}

fn extension(name: &str) -> &str {
    Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// Where the tables of the security model look for a file or folder that they name without a path.
fn find_test(name: &str, authorization_server: bool) -> Option<PathBuf> {
    let folders: &[&str] = match (extension(name) == "mjs", authorization_server) {
        _ if name.contains('/') && root().join(name).exists() => &[""],
        (true, _) => &["tests/e2e", "tests/package", "tests/identity"],
        (false, true) => &["tests/gate/authorization_server", "tests/gate"],
        (false, false) => &["tests/gate"],
    };
    folders.iter().map(|folder| root().join(folder).join(name)).find(|path| path.exists())
}

#[test]
fn the_security_model_names_tests_that_are_there() {
    let text = read(&root().join("docs/security.md"));
    let mut checked = 0;
    let mut of_server = false;
    for line in text.lines() {
        of_server = (of_server || line.contains("tests/gate/authorization_server/")) && !line.starts_with("## ");
        let Some(cell) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")?.rsplit(" | ").next()) else {
            continue;
        };
        let mut file: Option<String> = None;
        for part in quoted(cell).filter(|part| !part.contains('*')) {
            if matches!(extension(part), "rs" | "mjs" | "json") {
                let path = find_test(part, of_server);
                let path = path.unwrap_or_else(|| panic!("docs/security.md names {part}, which is not there"));
                file = path.is_file().then(|| read(&path));
                checked += 1;
            } else if let Some(text) = &file
                && part.contains('_')
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            {
                assert!(
                    text.contains(part),
                    "docs/security.md names the test {part}, which is not in its file: {cell}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked >= 60, "{checked}");
}

#[test]
fn the_files_that_contributors_are_sent_to_are_there() {
    let text = read(&root().join("CONTRIBUTING.md"));
    let is_path = |part: &&str| {
        part.contains('/')
            && !part.contains(' ')
            && ["src/", "tests/", "scripts/", "docs/"].iter().any(|it| part.starts_with(it))
    };
    let named: Vec<&str> = quoted(&text).filter(is_path).filter(|part| !part.contains("NAME")).collect();
    assert!(named.len() >= 30, "{}", named.len());
    for path in named {
        assert!(root().join(path).exists(), "CONTRIBUTING.md names {path}, which is not there");
    }
}

#[test]
fn ids_are_told_from_what_looks_like_one() {
    let found = cited("T13, (R10) and L5, A2 to A4: P256 %C3%A4 %3A1 AB12 T0 T123 x-T1 V8 \\u{A1}");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["A2", "A3", "A4", "L5", "R10", "T13"]);
}
