//! Reads the configuration in a file.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jsonc_parser::ast::Value as JsonValue;
use jsonc_parser::{CollectOptions, ParseOptions};
use portcullis::config::{Configuration, DocumentLocation, Mistakes, Secrets, bindings};
use portcullis::gateway::version;
use portcullis::settings::Settings;
use portcullis::strict_json;
use serde_json::{Map, Value, json};

use crate::arguments::Source;
use crate::host::Host;
use crate::lines::Lines;
use crate::lock;
use crate::outcome::{Report, Unusable};

/// The text of a file.
pub(crate) struct TextFile {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) is_json: bool,
}

impl TextFile {
    /// Reads a file: the one that is named, or the one that wrangler reads.
    pub(crate) fn read(named: Option<&str>, host: &Host<'_>) -> Result<Self, Unusable> {
        let (name, text) = match named {
            Some(name) => (name.to_owned(), (host.read)(name)?),
            None => found(host)?,
        };
        let is_json =
            name.rsplit('.').next().is_some_and(|end| ["json", "jsonc"].contains(&&*end.to_ascii_lowercase()))
                || text.trim_start().starts_with(['{', '/']);
        let text = if is_json { text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned() } else { text };
        Ok(Self { name, text, is_json })
    }

    /// An error where the text is neither TOML nor JSON in which each member is there once.
    pub(crate) fn check_syntax(&self) -> Result<(), Unusable> {
        let checked = if self.is_json {
            jsonc(&self.text).map(|_| ())
        } else {
            self.text.parse::<toml::Table>().map(|_| ()).map_err(|error| error.to_string())
        };
        checked.map_err(|why| format!("{}: {why}", self.name).into())
    }
}

/// A file and the document in it.
pub(crate) struct File {
    name: String,
    text: String,
    /// The names of the tables above the document.
    below: Vec<String>,
    json: bool,
    /// The file has only the document, which therefore is not a Worker's variable.
    pub(crate) alone: bool,
    pub(crate) document: Value,
}

impl File {
    /// Reads a file.
    pub(crate) fn read(source: &Source, host: &Host<'_>) -> Result<Self, Unusable> {
        let TextFile { name, text, is_json } = TextFile::read(source.config.as_deref(), host)?;
        if is_json {
            let mut document = jsonc(&text).map_err(|error| format!("{name}: {error}"))?;
            // A wrangler.jsonc has the document below the same names as wrangler.toml.
            let below = if document.get("vars").is_some() || document.get("env").is_some() {
                places(source.env.as_deref())
            } else {
                Vec::new()
            };
            for step in &below {
                document = document.get_mut(step).map(Value::take).ok_or_else(|| missing(&name, &below))?;
            }
            lock::merge(&mut document, &name, host)?;
            return Ok(Self { name, text, alone: below.is_empty(), json: true, below, document });
        }
        let table: toml::Table = text.parse().map_err(|error| format!("{name}: {error}"))?;
        let below = places(source.env.as_deref());
        let (first, rest) = below.split_first().ok_or("the document has no path")?;
        let found = rest.iter().try_fold(table.get(first), |value, name| Some(value?.get(name))).flatten();
        let found = found.ok_or_else(|| missing(&name, &below))?;
        let mut document = serde_json::to_value(found).map_err(|error| format!("{name}: {error}"))?;
        lock::merge(&mut document, &name, host)?;
        Ok(Self { name, text, below, json: false, alone: false, document })
    }

    /// The configuration in the file. An error if the file only says that the document is in KV.
    pub(crate) fn config(&self) -> Result<Configuration, Unusable> {
        self.config_with(&AnySecret::default())
    }

    /// The same without locks.
    pub(crate) fn config_without_lock(&self) -> Result<Configuration, Unusable> {
        let document = lock::without(self.document.clone());
        Self { document, name: self.name.clone(), text: self.text.clone(), below: self.below.clone(), ..*self }.config()
    }

    /// The same as `config`; `secrets` notes the names of the secrets that the document names.
    fn config_with(&self, secrets: &AnySecret) -> Result<Configuration, Unusable> {
        match DocumentLocation::of(self.document.clone()).map_err(|mistakes| self.mistaken(&mistakes))? {
            DocumentLocation::Here(document) => {
                Configuration::load(document, secrets).map_err(|mistakes| self.mistaken(&mistakes))
            }
            DocumentLocation::Stored(stored) => Err(format!(
                "{}: the document is in KV {:?}, under the key {:?}: name the file that you push there with --config",
                self.name, stored.kv, stored.key
            )
            .into()),
        }
    }

    /// An error with each mistake and its line.
    fn mistaken(&self, mistakes: &Mistakes) -> Unusable {
        let below: Vec<&str> = self.below.iter().map(String::as_str).collect();
        let lines = if self.json { Lines::of_json(&self.text, &below) } else { Lines::of_toml(&self.text, &below) };
        let mut found: Vec<_> = mistakes
            .lines()
            .iter()
            .map(|mistake| {
                let (path, what) = mistake.split_once(": ").unwrap_or(("", mistake));
                (lines.as_ref().map_or((1, 1), |lines| lines.find(path)), path, what)
            })
            .collect();
        found.sort_by_key(|(place, _, _)| *place);
        let (mut text, mut list) = (String::new(), Vec::new());
        for ((line, column), path, what) in found {
            text.push_str(&format!("\n{}:{line}:{column}: {path}: {what}", self.name));
            list.push(json!({ "path": path, "line": line, "column": column, "mistake": what }));
        }
        let count = match list.len() {
            1 => "1 mistake".to_owned(),
            count => format!("{count} mistakes"),
        };
        let json = json!({ "file": self.name, "valid": false, "mistakes": list });
        Unusable { why: format!("{} has {count}{text}", self.name), json: Some(json) }
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The names of the file that wrangler reads.
const FILES: [&str; 3] = ["wrangler.toml", "wrangler.jsonc", "wrangler.json"];

/// The file that wrangler reads, where no option names one.
fn found(host: &Host<'_>) -> Result<(String, String), Unusable> {
    let mut read = FILES.iter().filter_map(|name| Some(((*name).to_owned(), (host.read)(name).ok()?)));
    match (read.next(), read.next()) {
        (Some(one), None) => Ok(one),
        (Some((one, _)), Some((other, _))) => {
            Err(format!("{one} and {other} are both here: remove one, or name one with --config").into())
        }
        // The first name stands for all in the message of the system.
        (None, _) => Err(match (host.read)("wrangler.toml") {
            Err(why) => format!("{why}; there is no wrangler.jsonc either: name a file with --config").into(),
            Ok(_) => "wrangler.toml cannot be read".into(),
        }),
    }
}

/// Parses JSON, or JSON with comments and trailing commas as wrangler reads it. A member that is there twice is an error.
fn jsonc(text: &str) -> Result<Value, String> {
    let options = ParseOptions { allow_comments: true, allow_trailing_commas: true, ..ParseOptions::default() };
    let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options);
    let value = parsed.map_err(|error| error.to_string())?.value.ok_or("is empty")?;
    strict(value)
}

fn strict(value: JsonValue<'_>) -> Result<Value, String> {
    match value {
        JsonValue::Object(object) => {
            let mut members = Map::new();
            for property in object.properties {
                let name = property.name.into_string();
                let value = strict(property.value)?;
                if members.insert(name.clone(), value).is_some() {
                    return Err(format!("the member {name:?} is there twice"));
                }
            }
            Ok(Value::Object(members))
        }
        JsonValue::Array(array) => array.elements.into_iter().map(strict).collect::<Result<_, _>>().map(Value::Array),
        JsonValue::StringLit(text) => Ok(Value::String(text.value.into_owned())),
        JsonValue::BooleanLit(is) => Ok(Value::Bool(is.value)),
        JsonValue::NullKeyword(_) => Ok(Value::Null),
        JsonValue::NumberLit(number) => strict_json::parse(number.value.as_bytes()).map_err(|error| error.to_string()),
    }
}

/// The names of the tables above the document.
fn places(env: Option<&str>) -> Vec<String> {
    let names = match env {
        Some(env) => vec!["env", env, "vars", "PORTCULLIS"],
        None => vec!["vars", "PORTCULLIS"],
    };
    names.into_iter().map(str::to_owned).collect()
}

fn missing(name: &str, below: &[String]) -> String {
    format!("{name} has no [{}]: name another file with --config, or an environment with --env", below.join("."))
}

/// The configuration for the commands about rules. Their JSON errors have the text alone, without the list of mistakes.
pub(crate) fn config(source: &Source, host: &Host<'_>) -> Result<Settings, Unusable> {
    let configuration = File::read(source, host)?.config().map_err(|unusable| Unusable { json: None, ..unusable })?;
    Ok(configuration.settings)
}

/// The document as `push` writes it to KV.
pub(crate) fn print(source: &Source, host: &Host<'_>) -> Result<Report, Unusable> {
    let file = File::read(source, host)?;
    let secrets = AnySecret::default();
    let Configuration { settings, authorization_server } = file.config_with(&secrets)?;
    let text = file.document.to_string();
    let bindings: Vec<Value> = bindings(&settings, authorization_server.as_ref())
        .into_iter()
        .map(|(name, method, at)| json!({ "name": name, "method": method, "at": at }))
        .collect();
    let secrets = secrets.named.into_inner();
    let json =
        json!({ "version": version(text.as_bytes()), "document": text, "bindings": bindings, "secrets": secrets });
    Ok(Report { text, json, good: true })
}

/// A placeholder for every secret. Rules do not depend on secrets, so one value is enough that the configuration accepts
/// both as a text and as a private key.
#[derive(Default)]
struct AnySecret {
    /// The names that the document has.
    named: RefCell<BTreeSet<String>>,
}

impl Secrets for AnySecret {
    fn secret(&self, name: &str) -> Option<String> {
        self.named.borrow_mut().insert(name.to_owned());
        let zero = "A".repeat(43);
        Some(format!(r#"{{"kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}","d":"{zero}"}}"#))
    }

    fn are_placeholders(&self) -> bool {
        true
    }
}

/// The index of the resource at `path`, or, without a path, of the first resource with rules.
pub(crate) fn resource(path: Option<&str>, settings: &Settings) -> Result<usize, Unusable> {
    let found = match path {
        Some(path) => settings.resources.iter().position(|resource| resource.path.as_str() == path),
        None => settings.resources.iter().position(|resource| resource.policy.is_some()),
    };
    found.ok_or_else(|| {
        let paths: Vec<&str> = settings.resources.iter().map(|resource| resource.path.as_str()).collect();
        match path {
            Some(path) => format!("there is no resource {path}; the resources are {}", paths.join(", ")).into(),
            None => format!("no resource has rules: at {} only scopes limit access", paths.join(", ")).into(),
        }
    })
}

/// Parses a JSON object; `what` names it in an error.
pub(crate) fn object(text: &str, what: &str) -> Result<Map<String, Value>, Unusable> {
    match strict_json::parse(text.as_bytes()) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(format!("{what} must be a JSON object").into()),
        Err(error) => Err(format!("{what}: {error}").into()),
    }
}
