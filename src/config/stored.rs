//! Where the configuration document is: in the Worker's variable, or in KV, where an operator can change it without a
//! deployment.

use crate::config::ranges;
use deserr::deserialize;
use serde_json::Value;

use crate::config::document::PointerDocument;
use crate::config::mistakes::Mistakes;
use crate::config::values::{bounded, read_binding};
use crate::limits::KV_EDGE_SECONDS;
use crate::strict_json;

/// Where the document is.
#[derive(Debug, Clone, PartialEq)]
pub enum DocumentLocation {
    /// In the variable: this is the document.
    Here(Value),
    /// In KV.
    Stored(StoredDocument),
}

/// A document in KV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// The name of the KV binding.
    pub kv: String,
    /// The key of the document.
    pub key: String,
    /// Seconds between two reads.
    pub seconds: u64,
}

impl DocumentLocation {
    /// Reads the variable: an object, or a string that holds one as JSON.
    ///
    /// # Errors
    /// Every mistake in a text that is not JSON, or in the table `stored`.
    pub fn of(variable: Value) -> Result<Self, Mistakes> {
        let variable = match variable {
            Value::String(text) => strict_json::parse(text.as_bytes()).map_err(|error| {
                let what = format_args!("must be a table, or one as JSON; the text is {error}").to_string();
                Mistakes::of("PORTCULLIS", what)
            })?,
            other => other,
        };
        match variable.as_object().map(|members| (members.contains_key("stored"), members.len())) {
            Some((true, 1)) => {}
            Some((true, _)) => {
                let others = variable.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
                let others: Vec<&str> = others.filter(|key| *key != "stored").collect();
                let what = format!("must be the only key: {} belong in the stored document", others.join(", "));
                return Err(Mistakes::of("stored", what));
            }
            _ => return Ok(Self::Here(variable)),
        }
        let PointerDocument { stored } = deserialize::<_, _, Mistakes>(variable)?;
        let mut mistakes = Mistakes::new();
        let seconds = bounded(stored.seconds, ranges::STORED, "stored.seconds", &mut mistakes);
        let key = stored.key.unwrap_or_else(|| "portcullis".to_owned());
        // Leaves room for what `portcullis push` adds to the key of each version: KV keys have at most 512 bytes.
        if key.is_empty() || key.len() > 400 {
            mistakes.note("stored.key", "must be 1 to 400 bytes");
        }
        let kv = read_binding(Some(&stored.kv), "stored.kv", &mut mistakes).unwrap_or_default();
        if mistakes.is_empty() {
            Ok(Self::Stored(StoredDocument { kv, key, seconds: seconds.saturating_sub(KV_EDGE_SECONDS) }))
        } else {
            Err(mistakes)
        }
    }
}
