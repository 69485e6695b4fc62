//! Holds arguments and structured results to the schemas of their tools (JSON Schema 2020-12), compiled once in each isolate.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::content::fault::Fault;
use crate::content::guard::Direction;

/// Most bytes of schemas, as text, that an isolate keeps compiled.
const COMPILED_BYTES: usize = 1024 * 1024;

/// A schema, compiled; `None` if it cannot be.
type Compiled = Option<Rc<Validator>>;

/// The schemas of tools that an isolate has compiled, by the index of their resource, the name of the tool, and the direction.
#[derive(Default)]
pub struct Schemas {
    compiled: RefCell<HashMap<(usize, String, bool), Compiled>>,
    bytes: RefCell<usize>,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schemas")
    }
}

/// The member of a tool that has the schema for a direction.
fn member(direction: Direction) -> &'static str {
    match direction {
        Direction::Arguments => "inputSchema",
        Direction::Results => "outputSchema",
    }
}

impl Schemas {
    /// What of a value does not fit the schema of a tool, which has this definition. A tool without a schema accepts every value.
    #[must_use]
    pub fn misfit(
        &self,
        (resource, tool, definition): (usize, &str, &Map<String, Value>),
        direction: Direction,
        value: &Value,
    ) -> Option<Fault> {
        let schema = definition.get(member(direction))?;
        let key = (resource, tool.to_owned(), direction == Direction::Results);
        let known = self.compiled.borrow().get(&key).cloned();
        let validator = known.unwrap_or_else(|| {
            let compiled = Validator::compile(schema).ok().map(Rc::new);
            let mut bytes = self.bytes.borrow_mut();
            *bytes += schema.to_string().len();
            if *bytes > COMPILED_BYTES {
                self.compiled.borrow_mut().clear();
                *bytes = schema.to_string().len();
            }
            self.compiled.borrow_mut().insert(key, compiled.clone());
            compiled
        });
        match validator {
            None => Some(Fault::NoSchema),
            Some(validator) => validator.misfits(value).map(Fault::Misfit),
        }
    }
}

/// What of a message with the result of a call does not fit the tool's output schema. An error has none, and neither has a result that is
/// not complete yet.
///
/// # Errors
/// [`Fault::Misfit`] if two readers could read the message differently.
pub fn result_to_check(message: &[u8]) -> Result<Option<Value>, Fault> {
    let unreadable = || Fault::Misfit("the message cannot be read for certain".to_owned());
    let mut message = crate::strict_json::parse(message).map_err(|_| unreadable())?;
    let Some(members) = message.as_object_mut() else { return Err(unreadable()) };
    let Some(result) = members.get_mut("result") else { return Ok(None) };
    let Some(result) = result.as_object_mut() else { return Err(unreadable()) };
    let is_other =
        |name: &str, own: &str| name != own && crate::strict_json::fold(name) == crate::strict_json::fold(own);
    if result.keys().any(|name| ["structuredContent", "isError", "resultType"].iter().any(|own| is_other(name, own))) {
        return Err(unreadable());
    }
    let is_incomplete = result.get("resultType").is_some_and(|kind| kind == "input_required" || kind == "task")
        || result.get("task").is_some_and(Value::is_object);
    let is_error = result.get("isError").is_some_and(|said| *said == json!(true));
    let is_checked = !is_incomplete && !is_error;
    Ok(is_checked.then(|| result.remove("structuredContent").unwrap_or(Value::Null)))
}

/// The arguments of a call, as schemas see them.
#[must_use]
pub fn arguments_to_check(arguments: Option<&[u8]>) -> Option<Value> {
    arguments.map_or_else(|| Some(json!({})), |text| crate::strict_json::parse(text).ok())
}

/// Why a schema cannot be used, if it cannot.
#[must_use]
pub fn why_unusable(schema: &Value) -> Option<String> {
    Validator::compile(schema).err()
}

/// What of the schemas of a tool cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchecked {
    /// This schema, and why: calls of the tool are refused.
    Schema(&'static str, String),
    /// The pattern at this place: the rest of the schema is checked.
    Pattern(String),
}

/// What of the schemas of a tool cannot be checked.
#[must_use]
pub fn unchecked(definition: &Map<String, Value>) -> Vec<Unchecked> {
    let mut all = Vec::new();
    for member in [Direction::Arguments, Direction::Results].map(member) {
        let Some(schema) = definition.get(member) else { continue };
        match Validator::compile(schema) {
            Err(why) => all.push(Unchecked::Schema(member, why)),
            Ok(validator) => {
                all.extend(validator.unchecked().iter().map(|place| Unchecked::Pattern(format!("{member}{place}"))));
            }
        }
    }
    all
}

#[cfg(feature = "schemas")]
mod validator {
    use std::error::Error;

    use boon::{CompileError, Compiler, Draft, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
    use serde_json::Value;

    /// Most misfits that a text names.
    const NAMED: usize = 5;

    /// Most characters of the place of a misfit that a text has.
    const PLACE_CHARS: usize = 200;

    /// The name under which a schema is compiled. It leads nowhere.
    const NAME: &str = "mem:///schema";

    /// A schema must not make the gateway read another document.
    struct NoOtherDocuments;

    impl UrlLoader for NoOtherDocuments {
        fn load(&self, _: &str) -> Result<Value, Box<dyn Error>> {
            Err("the gateway reads no other document".into())
        }
    }

    /// A compiled schema.
    pub(super) struct Validator {
        schemas: Schemas,
        index: SchemaIndex,
        /// Where patterns are that are not checked.
        unchecked: Vec<String>,
    }

    /// Most times that a schema is compiled without the patterns that were refused before.
    const ATTEMPTS: usize = 16;

    impl Validator {
        pub(super) fn compile(schema: &Value) -> Result<Self, String> {
            let (mut schema, mut unchecked) = (schema.clone(), Vec::new());
            for _ in 0..ATTEMPTS {
                let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
                compiler.set_default_draft(Draft::V2020_12);
                compiler.use_loader(Box::new(NoOtherDocuments));
                compiler.add_resource(NAME, schema.clone()).map_err(|error| why(&error))?;
                let error = match compiler.compile(NAME, &mut schemas) {
                    Ok(index) => return Ok(Self { schemas, index, unchecked }),
                    Err(error) => error,
                };
                // Schemas that libraries make of types have patterns with lookahead, for e-mail addresses for example.
                let refused = refused_patterns(&error);
                let removed: Vec<String> = refused.into_iter().filter(|place| remove(&mut schema, place)).collect();
                if removed.is_empty() {
                    return Err(why(&error));
                }
                unchecked.extend(removed);
            }
            Err("it has too many patterns that take more than linear time".to_owned())
        }

        /// Where patterns are that are not checked, because they would take more than linear time.
        pub(super) fn unchecked(&self) -> &[String] {
            &self.unchecked
        }

        /// What of a value does not fit: places and keywords, and no values.
        pub(super) fn misfits(&self, value: &Value) -> Option<String> {
            let error = self.schemas.validate(value, self.index).err()?;
            let mut named = Vec::new();
            collect(&error, &mut named);
            let more = named.len().saturating_sub(NAMED);
            named.truncate(NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            Some(format!("{}{more}", named.join("; ")))
        }
    }

    /// Where values of `pattern` are that cannot be compiled, as JSON Pointers.
    fn refused_patterns(error: &CompileError) -> Vec<String> {
        let CompileError::ValidationError { src, .. } = error else { return Vec::new() };
        let mut places = Vec::new();
        collect_patterns(src, &mut places);
        places
    }

    fn collect_patterns(error: &ValidationError<'_, '_>, into: &mut Vec<String>) {
        if matches!(&error.kind, ErrorKind::Format { want: "regex", .. }) {
            let place = error.instance_location.to_string();
            if place.ends_with("/pattern") {
                into.push(place);
            }
        }
        for cause in &error.causes {
            collect_patterns(cause, into);
        }
    }

    /// Removes a member that holds a text.
    fn remove(schema: &mut Value, place: &str) -> bool {
        let Some((parent, name)) = place.rsplit_once('/') else { return false };
        let parent = schema.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.is_some_and(|members| members.get(name).is_some_and(Value::is_string) && members.remove(name).is_some())
    }

    fn why(error: &CompileError) -> String {
        match error {
            CompileError::ValidationError { src, .. } => {
                let mut named = Vec::new();
                collect(src, &mut named);
                named.truncate(1);
                format!("it is no valid schema: {}", named.concat())
            }
            CompileError::LoadUrlError { url, .. } => format!("it refers to another document: {url}"),
            other => other.to_string(),
        }
    }

    /// The innermost errors.
    fn collect(error: &ValidationError<'_, '_>, into: &mut Vec<String>) {
        if error.causes.is_empty() {
            let place: String = error.instance_location.to_string().chars().take(PLACE_CHARS).collect();
            into.push(format!("{}: {}", if place.is_empty() { "/" } else { &place }, words(&error.kind)));
        }
        for cause in &error.causes {
            collect(cause, into);
        }
    }

    fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
        let names: Vec<String> = names.into_iter().take(NAMED).map(|name| format!("{name:?}")).collect();
        names.join(", ")
    }

    /// What is wrong, without the value.
    fn words(kind: &ErrorKind<'_, '_>) -> String {
        match kind {
            ErrorKind::Type { .. } => kind.to_string(),
            ErrorKind::Required { want } => format!("lacks {}", quoted(want.iter().copied())),
            ErrorKind::AdditionalProperties { got } => {
                format!("must not have {}", quoted(got.iter().map(AsRef::as_ref)))
            }
            ErrorKind::Enum { want } if want.len() <= 20 => {
                let values: Vec<String> = want.iter().map(ToString::to_string).collect();
                format!("must be one of {}", values.join(", "))
            }
            ErrorKind::Const { want } => format!("must be {want}"),
            ErrorKind::Pattern { want, .. } => format!("must match {want:?}"),
            ErrorKind::Format { want, .. } => format!("must be a valid {want}"),
            ErrorKind::MinLength { want, .. } => format!("must have at least {want} characters"),
            ErrorKind::MaxLength { want, .. } => format!("must have at most {want} characters"),
            ErrorKind::Minimum { want, .. } => format!("must be at least {want}"),
            ErrorKind::Maximum { want, .. } => format!("must be at most {want}"),
            ErrorKind::ExclusiveMinimum { want, .. } => format!("must be more than {want}"),
            ErrorKind::ExclusiveMaximum { want, .. } => format!("must be less than {want}"),
            ErrorKind::MultipleOf { want, .. } => format!("must be a multiple of {want}"),
            ErrorKind::MinItems { want, .. } => format!("must have at least {want} items"),
            ErrorKind::MaxItems { want, .. } => format!("must have at most {want} items"),
            ErrorKind::UniqueItems { .. } => "must not have an item twice".to_owned(),
            ErrorKind::MinProperties { want, .. } => format!("must have at least {want} members"),
            ErrorKind::MaxProperties { want, .. } => format!("must have at most {want} members"),
            ErrorKind::OneOf(Some(_)) => "fits more than one of the alternatives".to_owned(),
            ErrorKind::Not => "is what it must not be".to_owned(),
            ErrorKind::FalseSchema => "must not be there".to_owned(),
            ErrorKind::RefCycle { .. } => "its schema refers to itself".to_owned(),
            _ => "does not fit".to_owned(),
        }
    }
}

#[cfg(not(feature = "schemas"))]
mod validator {
    use serde_json::Value;

    /// No schema can be compiled in this Worker, so there is none.
    pub(super) enum Validator {}

    impl Validator {
        pub(super) fn compile(_: &Value) -> Result<Self, String> {
            Err("this Worker is built without schema checks".to_owned())
        }

        pub(super) fn unchecked(&self) -> &[String] {
            match *self {}
        }

        pub(super) fn misfits(&self, _: &Value) -> Option<String> {
            match *self {}
        }
    }
}

use validator::Validator;
