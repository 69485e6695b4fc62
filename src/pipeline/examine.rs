//! The second half of the fifth stage: what a permitted call contains.

use serde_json::Value;

use crate::content::Content;
use crate::content::bound::Bounds;
use crate::content::examined::{Examined, HeldBack};
use crate::content::fault::Fault;
use crate::content::guard::{Direction, Looking, known};
use crate::content::hook::asked;
use crate::content::report::{Found, Report};
use crate::content::scanner::{Scanner, noted};
use crate::content::schema::arguments_to_check;
use crate::content::text::masked;
use crate::mcp::agreement::{decode, mirrored};
use crate::mcp::definition::Defined;
use crate::mcp::message::{self, Message};
use crate::mcp::method::CALL_TOOL;
use crate::mcp::operation::Operation;
use crate::pipeline::inspect::Inspected;
use crate::pipeline::limited_call::{LimitedCall, LimitedTool};
use crate::pipeline::rejection::Rejection;
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::strict_json;
use crate::transport::cors::is_parameter;

/// What a call contains that guards have changed.
#[derive(Debug, Default)]
pub struct Changed {
    /// The message with masks; `None` if nothing was masked.
    pub body: Option<Vec<u8>>,
    /// What guards found.
    pub found: Vec<Found>,
    /// What only is to be logged.
    pub observed: Option<Fault>,
}

/// Examines a permitted call:
///
/// 1. its size, depth and number of items are within the bounds for it;
/// 2. no guard that denies finds something in its arguments, and what a guard masks is masked;
/// 3. its arguments fit the tool's input schema, as it is in the lock, if that is asked for.
///
/// # Errors
/// [`Rejection::HeldBack`].
pub(super) fn examine(
    inspected: &Inspected,
    calls: &[LimitedCall],
    settings: &Settings,
) -> Result<(Examined, Changed), Rejection> {
    let resource = inspected.resource();
    let (Some(content), Some(messages)) = (&resource.content, inspected.messages()) else {
        return Ok((Examined::default(), Changed::default()));
    };
    let operations: Vec<Operation> = calls.iter().filter_map(|call| call.seen().cloned()).collect();
    // What a client answers to a question of the server may belong to any call.
    let has_answers = messages.iter().any(|message| matches!(message, Message::Response(_)));
    let known = known(&operations).filter(|_| !has_answers);
    let caller = (&inspected.caller(), &*settings.scopes);
    let looking = content.guards.looking(Direction::Arguments, known, caller);
    let bounds = Bounds::strictest(&content.bounds, Some(&operations));
    let held_back = |fault: Fault, found: Vec<Found>| {
        let only = if let [only] = messages { Some(only) } else { None };
        Rejection::HeldBack(Box::new(HeldBack {
            fault,
            id: only.map(Message::id).unwrap_or_default(),
            is_tool: only.and_then(Message::call).is_some_and(|call| call.method == CALL_TOOL),
            era: inspected.era(),
            found,
        }))
    };
    let body = inspected.body();
    if let Some(most) = bounds.request_bytes.filter(|most| body.len() as u64 > *most) {
        return Err(held_back(Fault::TooLarge(most), Vec::new()));
    }
    let at_once = Bounds::at_once(&content.bounds, &operations);
    let hooks = asked(&content.hooks, Direction::Arguments, known, caller).into_iter().cloned().collect();
    let mut examined = Examined { bounds, at_once, hooks, ..Examined::default() };
    let mut changed = Changed::default();
    if looking.is_some() || bounds.depth.is_some() || bounds.items.is_some() {
        let mut scanner = Scanner::new(Direction::Arguments, looking.clone());
        let mut out = Vec::with_capacity(body.len());
        let read = scanner.push(body, &mut out).and_then(|()| scanner.finish(&mut out));
        read.map_err(|_| held_back(Fault::Unreadable, Vec::new()))?;
        let (mut report, counts) = scanner.take();
        let fields = mirrors(inspected, looking.as_ref(), &mut report);
        changed.found = report.found().to_vec();
        if let Some(fault) = Fault::of_counts(&bounds, counts) {
            return Err(held_back(fault, changed.found));
        }
        if let Some(category) = report.denied() {
            return Err(held_back(Fault::Found(category), changed.found));
        }
        changed.body = Some(out).filter(|out| out != body);
        examined.fields = fields;
    }
    if let Some(fault) = bounds.schema.and_then(|_| misfit(resource, content, calls, body)) {
        if fault.is_enforced(bounds.schema) {
            return Err(held_back(fault, changed.found));
        }
        changed.observed = Some(fault);
    }
    Ok((examined, changed))
}

/// The fields that mirror arguments (T15), with masks, if guards mask something in them.
fn mirrors(inspected: &Inspected, looking: Option<&Looking>, report: &mut Report) -> Vec<(String, String)> {
    let Some(looking) = looking else { return Vec::new() };
    let fields = &inspected.authenticated().request().admitted().head().fields;
    let mut changed = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| is_parameter(name)) {
        let Ok(text) = decode(value) else { continue };
        // What the message has too was counted there.
        let mut of_field = Report::default();
        let with_masks =
            masked(&text, looking.finders(), &mut |found| noted(looking, &mut of_field, (found.category, found.form)));
        report.add(of_field);
        if with_masks != text {
            changed.push((name.to_owned(), mirrored(&with_masks)));
        }
    }
    changed
}

/// What of the arguments of a call does not fit the tool's input schema.
fn misfit(resource: &Resource, content: &Content, calls: &[LimitedCall], body: &[u8]) -> Option<Fault> {
    let whole = if message::is_batch(body) { strict_json::parse(body).ok() } else { None };
    for call in calls.iter().filter(|call| call.tool == LimitedTool::Itself) {
        let Some(operation) = call.operation.as_ref().filter(|operation| operation.method == CALL_TOOL) else {
            continue;
        };
        let Some((lock, index, of @ Defined::Tool, name)) = resource.locked_item(operation) else { continue };
        let Some(definition) = lock.items.get(&(of, name.clone())) else { continue };
        let arguments = match &whole {
            None => arguments_to_check(message::arguments(body).as_deref()),
            Some(whole) => whole.get(call.at).map(|message| {
                let arguments = message.get("params").and_then(|params| params.get("arguments"));
                arguments.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()))
            }),
        };
        let Some(arguments) = arguments else { return Some(Fault::Unreadable) };
        let tool = (index, name.as_str(), definition);
        if let Some(fault) = content.schemas.misfit(tool, Direction::Arguments, &arguments) {
            return Some(fault);
        }
    }
    None
}
