//! Reads the configuration in a file.

use std::io::{ErrorKind, IsTerminal as _, Read as _};
use std::time::Duration;

use portcullis::config::{Configuration, DocumentLocation, Mistakes, Secrets, bindings};
use portcullis::gateway::version;
use portcullis::settings::Settings;
use portcullis::strict_json;
use serde_json::{Map, Value, json};

use crate::arguments::Source;
use crate::lines::Lines;
use crate::outcome::{Report, Unusable};

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
    pub(crate) fn read(source: &Source) -> Result<Self, Unusable> {
        let name = source.config.clone();
        let text = read(&name)?;
        let is_json = name.rsplit('.').next().is_some_and(|end| end.eq_ignore_ascii_case("json"))
            || text.trim_start().starts_with('{');
        if is_json {
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
            let mut document = strict_json::parse(text.as_bytes()).map_err(|error| format!("{name}: {error}"))?;
            // A wrangler.json has the document below the same names as wrangler.toml.
            let below = if document.get("vars").is_some() || document.get("env").is_some() {
                places(source.env.as_deref())
            } else {
                Vec::new()
            };
            for step in &below {
                document = document.get_mut(step).map(Value::take).ok_or_else(|| missing(&name, &below))?;
            }
            return Ok(Self { name, text, alone: below.is_empty(), json: true, below, document });
        }
        let table: toml::Table = text.parse().map_err(|error| format!("{name}: {error}"))?;
        let below = places(source.env.as_deref());
        let (first, rest) = below.split_first().ok_or("the document has no path")?;
        let found = rest.iter().try_fold(table.get(first), |value, name| Some(value?.get(name))).flatten();
        let found = found.ok_or_else(|| missing(&name, &below))?;
        let document = serde_json::to_value(found).map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { name, text, below, json: false, alone: false, document })
    }

    /// The configuration in the file. An error if the file only says that the document is in KV.
    pub(crate) fn config(&self) -> Result<Configuration, Unusable> {
        match DocumentLocation::of(self.document.clone()).map_err(|mistakes| self.mistaken(&mistakes))? {
            DocumentLocation::Here(document) => {
                Configuration::load(document, &AnySecret).map_err(|mistakes| self.mistaken(&mistakes))
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
pub(crate) fn config(source: &Source) -> Result<Settings, Unusable> {
    let configuration = File::read(source)?.config().map_err(|unusable| Unusable { json: None, ..unusable })?;
    Ok(configuration.settings)
}

/// The document as `push` writes it to KV.
pub(crate) fn print(source: &Source) -> Result<Report, Unusable> {
    let file = File::read(source)?;
    let Configuration { settings, authorization_server } = file.config()?;
    let text = file.document.to_string();
    let bindings: Vec<Value> = bindings(&settings, authorization_server.as_ref())
        .into_iter()
        .map(|(name, _, at)| json!({ "name": name, "at": at }))
        .collect();
    let json = json!({ "version": version(text.as_bytes()), "document": text, "bindings": bindings });
    Ok(Report { text, json, good: true })
}

/// A placeholder for every secret. Rules do not depend on secrets, so one value is enough that the configuration accepts
/// both as a text and as a private key.
struct AnySecret;

impl Secrets for AnySecret {
    fn secret(&self, _: &str) -> Option<String> {
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

/// The text of a file, or of standard input where the path is `-`.
pub(crate) fn read(path: &str) -> Result<String, Unusable> {
    if path == "-" {
        return standard_input();
    }
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}").into())
}

/// More than a configuration or the decisions of a day have. Larger logs can be named as files.
const INPUT_BYTES: usize = 64 * 1024 * 1024;
/// How long to wait before a pipe without data is read again.
const PAUSE: Duration = Duration::from_millis(20);

/// The whole of standard input. Another program that has the same pipe, such as npx, may have set it to the non-blocking
/// mode, where a read fails until the writer has written.
#[expect(
    clippy::disallowed_methods,
    reason = "the rule against sleeping is for the Worker, and this is the command line"
)]
fn standard_input() -> Result<String, Unusable> {
    let mut input = std::io::stdin().lock();
    if input.is_terminal() {
        return Err("`-` is standard input, which is a terminal: use a pipe, or name a file".into());
    }
    let (mut bytes, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) => return Err(format!("standard input cannot be read: {error}").into()),
        }
        if bytes.len() > INPUT_BYTES {
            return Err(format!("standard input has more than {INPUT_BYTES} bytes: name a file").into());
        }
    }
    if bytes.trim_ascii().is_empty() {
        return Err("standard input is empty; only one option can read it, and only once".into());
    }
    String::from_utf8(bytes).map_err(|_| "standard input must be UTF-8".into())
}

/// Parses a JSON object; `what` names it in an error.
pub(crate) fn object(text: &str, what: &str) -> Result<Map<String, Value>, Unusable> {
    match strict_json::parse(text.as_bytes()) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(format!("{what} must be a JSON object").into()),
        Err(error) => Err(format!("{what}: {error}").into()),
    }
}
