//! Reads the guards and bounds of a resource.

use std::collections::BTreeSet;

use crate::config::content_document::{
    BoundDocument, CategoryName, DirectionName, FailureName, GuardActionName, GuardDocument, HookDocument,
};
use crate::config::document::ResourceDocument;
use crate::config::mistakes::Mistakes;
use crate::config::policy::{Known, Labels, TargetLists, read_targets, read_when};
use crate::config::ranges::{self, Range};
use crate::config::receiver::{ReceiverKeys, read_receiver};
use crate::config::rules_document::ModeName;
use crate::config::values::{Secrets, bounded, is_name};
use crate::content::Content;
use crate::content::bound::{Bound, Bounds, SchemaMode};
use crate::content::finder::Category;
use crate::content::guard::{Action, Direction, Guard};
use crate::content::hook::Hook;
use crate::limits::{BOUNDS, GUARDS, HOOKS};
use crate::policy::approval::Webhook;

/// Reads the guards and bounds of a resource; `None` if it has none.
pub(super) fn read(
    document: &ResourceDocument,
    at: &str,
    (labels, known): (&Labels, &Known<'_>),
    (secrets, development): (&dyn Secrets, bool),
    mistakes: &mut Mistakes,
) -> Option<Content> {
    let (guards, bounds, hooks) = (document.guards.as_deref(), document.bounds.as_deref(), document.hooks.as_deref());
    let lists = [
        ("guards", guards.map(<[_]>::len), GUARDS),
        ("bounds", bounds.map(<[_]>::len), BOUNDS),
        ("hooks", hooks.map(<[_]>::len), HOOKS),
    ];
    for (key, length, most) in lists {
        if length.is_some_and(|length| length == 0 || length > most) {
            mistakes.note(
                format!("{at}.{key}"),
                format_args!("must have 1 to {most} entries; remove the key to have none"),
            );
        }
    }
    let mut ids = BTreeSet::new();
    let mut read_guards = Vec::new();
    for (index, entry) in guards.into_iter().flatten().enumerate() {
        let at = format!("{at}.guards[{index}]");
        let guard = read_guard(entry, index, &at, (labels, known), mistakes);
        if !ids.insert(guard.id.clone()) {
            mistakes.note(format!("{at}.id"), format_args!("{:?} is the id of another guard too", guard.id));
        }
        read_guards.push(guard);
    }
    let mut read_bounds = Vec::new();
    for (index, entry) in bounds.into_iter().flatten().enumerate() {
        let at = format!("{at}.bounds[{index}]");
        read_bounds.push(read_bound(entry, document.lock.is_some(), &at, labels, mistakes));
    }
    let mut read_hooks: Vec<Hook> = Vec::new();
    for (index, entry) in hooks.into_iter().flatten().enumerate() {
        let at = format!("{at}.hooks[{index}]");
        let hook = read_hook(entry, index, &at, (labels, known), (secrets, development), mistakes);
        if read_hooks.iter().any(|other| other.id == hook.id) {
            mistakes.note(format!("{at}.id"), format_args!("{:?} is the id of another hook too", hook.id));
        }
        read_hooks.push(hook);
    }
    let is_any = guards.is_some() || bounds.is_some() || hooks.is_some();
    is_any.then(|| Content::new(read_guards, read_bounds, read_hooks))
}

fn read_guard(
    document: &GuardDocument,
    index: usize,
    at: &str,
    (labels, known): (&Labels, &Known<'_>),
    mistakes: &mut Mistakes,
) -> Guard {
    let GuardDocument { id, find, action, on, methods, tools, labels: named, prompts, resources, when } = document;
    let id = id.clone().unwrap_or_else(|| format!("guard-{}", index + 1));
    if !is_name(&id) {
        mistakes.note(format!("{at}.id"), format_args!("must be 1 to 64 letters, digits, -, _ or ., got {id:?}"));
    }
    if find.is_empty() {
        mistakes.note(format!("{at}.find"), "must name at least one of credentials, cards, iban, email");
    }
    if on.as_ref().is_some_and(Vec::is_empty) {
        mistakes.note(format!("{at}.on"), "must not be empty: remove the key to look at arguments and results");
    }
    let lists = TargetLists { methods, tools, labels: named, prompts, resources };
    let targets = read_targets(&lists, at, labels, mistakes);
    let when = read_when(when.as_ref(), &format!("{at}.when"), known, mistakes);
    if !when.arguments.is_empty() {
        mistakes.note(format!("{at}.when.arguments"), "is not possible: a guard looks at the whole call");
    }
    let both = [DirectionName::Arguments, DirectionName::Results];
    Guard {
        id,
        finds: find.iter().map(|category| Category::from(*category)).collect(),
        action: Action::from(*action),
        on: on.as_deref().unwrap_or(&both).iter().map(|direction| Direction::from(*direction)).collect(),
        targets,
        when,
    }
}

fn read_hook(
    document: &HookDocument,
    index: usize,
    at: &str,
    (labels, known): (&Labels, &Known<'_>),
    (secrets, development): (&dyn Secrets, bool),
    mistakes: &mut Mistakes,
) -> Hook {
    let HookDocument {
        id,
        url,
        service,
        secret,
        on,
        methods,
        tools,
        labels: named,
        prompts,
        resources,
        when,
        timeout_seconds,
        on_failure,
        bytes,
    } = document;
    let id = id.clone().unwrap_or_else(|| format!("hook-{}", index + 1));
    if !is_name(&id) {
        mistakes.note(format!("{at}.id"), format_args!("must be 1 to 64 letters, digits, -, _ or ., got {id:?}"));
    }
    if url.is_none() && service.is_none() {
        mistakes.note(at, "needs url or service: where the hook is");
    }
    let keys = ReceiverKeys { url: url.as_ref(), service: service.as_ref(), secret: secret.as_ref() };
    let receiver = read_receiver(&keys, at, (secrets, development), mistakes);
    let Webhook { url, service, secret } = receiver.unwrap_or_default();
    if on.as_ref().is_some_and(Vec::is_empty) {
        mistakes.note(format!("{at}.on"), "must not be empty: remove the key for arguments and results");
    }
    let lists = TargetLists { methods, tools, labels: named, prompts, resources };
    let targets = read_targets(&lists, at, labels, mistakes);
    let when = read_when(when.as_ref(), &format!("{at}.when"), known, mistakes);
    if !when.arguments.is_empty() {
        mistakes.note(format!("{at}.when.arguments"), "is not possible: the hook reads the arguments itself");
    }
    let both = [DirectionName::Arguments, DirectionName::Results];
    Hook {
        id,
        url,
        service,
        secret,
        on: on.as_deref().unwrap_or(&both).iter().map(|direction| Direction::from(*direction)).collect(),
        targets,
        when,
        seconds: bounded(*timeout_seconds, ranges::HOOK_TIMEOUT, &format!("{at}.timeout_seconds"), mistakes),
        opens: *on_failure == Some(FailureName::Pass),
        bytes: bounded(*bytes, ranges::HOOK_BYTES, &format!("{at}.bytes"), mistakes),
    }
}

fn read_bound(document: &BoundDocument, has_lock: bool, at: &str, labels: &Labels, mistakes: &mut Mistakes) -> Bound {
    let BoundDocument {
        methods,
        tools,
        labels: named,
        prompts,
        resources,
        request_bytes,
        response_bytes,
        depth,
        items,
        answer_seconds,
        in_flight,
        schema,
    } = document;
    let lists = TargetLists { methods, tools, labels: named, prompts, resources };
    let targets = read_targets(&lists, at, labels, mistakes);
    let mut number = |key: &str, value: &Option<u64>, range: Range| {
        value.map(|_| bounded(*value, range, &format!("{at}.{key}"), mistakes))
    };
    let bounds = Bounds {
        request_bytes: number("request_bytes", request_bytes, ranges::BOUND_REQUEST_BYTES),
        response_bytes: number("response_bytes", response_bytes, ranges::BOUND_RESPONSE_BYTES),
        depth: number("depth", depth, ranges::BOUND_DEPTH),
        items: number("items", items, ranges::BOUND_ITEMS),
        seconds: number("answer_seconds", answer_seconds, ranges::BOUND_SECONDS),
        in_flight: number("in_flight", in_flight, ranges::BOUND_IN_FLIGHT),
        schema: schema.map(SchemaMode::from),
    };
    if bounds == Bounds::default() {
        mistakes.note(
            at,
            "bounds nothing: set request_bytes, response_bytes, depth, items, answer_seconds, in_flight or schema",
        );
    }
    if bounds.in_flight.is_some() && bounds.seconds.is_none() {
        mistakes.note(
            format!("{at}.in_flight"),
            "needs answer_seconds: a call whose end the platform does not report counts until then",
        );
    }
    if bounds.schema.is_some() && !has_lock {
        mistakes
            .note(format!("{at}.schema"), "needs lock: the schemas are those of the definitions that were reviewed");
    }
    if bounds.schema.is_some() && !cfg!(feature = "schemas") {
        mistakes.note(
            format!("{at}.schema"),
            "this Worker was built without schema checks: docs/trust.md says how to include them",
        );
    }
    Bound { targets, bounds }
}

impl From<CategoryName> for Category {
    fn from(name: CategoryName) -> Self {
        match name {
            CategoryName::Credentials => Self::Credentials,
            CategoryName::Cards => Self::Cards,
            CategoryName::Iban => Self::Iban,
            CategoryName::Email => Self::Email,
        }
    }
}

impl From<GuardActionName> for Action {
    fn from(name: GuardActionName) -> Self {
        match name {
            GuardActionName::Mask => Self::Mask,
            GuardActionName::Deny => Self::Deny,
            GuardActionName::Observe => Self::Observe,
        }
    }
}

impl From<DirectionName> for Direction {
    fn from(name: DirectionName) -> Self {
        match name {
            DirectionName::Arguments => Self::Arguments,
            DirectionName::Results => Self::Results,
        }
    }
}

impl From<ModeName> for SchemaMode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Enforce => Self::Enforce,
            ModeName::Observe => Self::Observe,
        }
    }
}
