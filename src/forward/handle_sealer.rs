//! Seals the state handles in the answer of an origin server for the caller who gets it.

use std::cell::RefCell;
use std::rc::Rc;

use crate::mcp::handle::{APP_SCHEME, OriginalRequest};
use crate::mcp::item_meta::with_app_uri;
use crate::mcp::kind::Kind;
use crate::mcp::known_tasks::KnownTasks;
use crate::mcp::message::{Call, Message};
use crate::mcp::message_position::{Handle, HandleRewriter};
use crate::mcp::method::{CALL_TOOL, Target};
use crate::mcp::rewrite::Member;
use crate::mcp::session::Sessions;
use crate::pipeline::authorize::Permit;
use crate::pipeline::handles::{Handles, original_request};
use crate::time::UnixMillis;
use crate::token::principal::{Principal, Subject};

/// Seals the handles of one answer.
#[derive(Debug, Clone)]
pub(super) struct HandleSealer {
    sessions: Sessions,
    subject: Rc<Subject>,
    /// The identifier of the resource.
    identifier: String,
    /// The handles that the request brought: the answer has the same ones.
    handles: Handles,
    /// The tool that begins the tasks of the answer.
    tool: Option<String>,
    /// The request that a `requestState` in the answer belongs to.
    request: OriginalRequest,
    /// Whether rules decide about resources, so that the URIs of Apps are marked.
    marks_apps: bool,
    /// Whether the answer may hold task ids or a `requestState`.
    pub(super) may_hold_handles: bool,
    /// The ids that this isolate sealed last.
    known: Rc<RefCell<KnownTasks>>,
    now: UnixMillis,
}

impl HandleSealer {
    /// The sealer for the answer to a permitted request; `None` if the resource does not bind handles.
    pub(super) fn of(permit: &Permit, known: &Rc<RefCell<KnownTasks>>) -> Option<Self> {
        let inspected = permit.inspected()?;
        let resource = inspected.resource();
        let sessions = resource.handles.as_ref()?;
        let subject = match permit.principal() {
            Principal::Subject(subject) => Rc::clone(subject),
            Principal::Anonymous => Rc::new(Subject::anonymous()),
        };
        let messages = inspected.messages().unwrap_or_default();
        let calls = || messages.iter().filter_map(Message::call);
        let handles = permit.handles().clone();
        // A batch belongs to a revision without tasks and `requestState`, and its answers have any order.
        let only = if let [message] = messages { message.call() } else { None };
        let called = only.filter(|call| call.method == CALL_TOOL).and_then(|call| call.params.name.clone());
        Some(Self {
            sessions: sessions.clone(),
            subject,
            identifier: resource.identifier.clone(),
            tool: called.or_else(|| handles.tool_of_task().map(str::to_owned)),
            request: only.map(|call| original_request(call, inspected.body())).unwrap_or_default(),
            handles,
            marks_apps: resource.policy.as_ref().is_some_and(|policy| !policy.observe),
            may_hold_handles: calls().any(may_hold_handles),
            known: Rc::clone(known),
            now: UnixMillis::default(),
        })
    }

    /// The id of a task for the caller: the one that the request brought, or a new one for the tool of the request, or the one that
    /// the caller got last. `None` if none is known.
    fn task(&self, id: &str) -> Option<String> {
        let holder = self.subject.holder(&self.identifier);
        let mut known = self.known.borrow_mut();
        let sealed = match (self.handles.given(Member::Task, id), &self.tool) {
            (Some(given), _) => given.to_owned(),
            (None, Some(tool)) => self.sessions.seal_task(id, tool, holder, self.now)?,
            (None, None) => return known.get(id, holder).map(str::to_owned),
        };
        known.keep(id, &sealed, holder);
        Some(sealed)
    }

    /// The sealer at the time of the answer.
    pub(super) fn at(self, now: UnixMillis) -> Box<dyn HandleRewriter> {
        Box::new(Self { now, ..self })
    }
}

/// Whether the answer to a request may hold task ids or a `requestState`.
fn may_hold_handles(call: &Call) -> bool {
    call.known().is_none_or(|known| match known.target {
        Target::Name(_) | Target::Uri | Target::Task | Target::Subscriptions => true,
        Target::None | Target::OptionalUri | Target::Reference => false,
    })
}

impl HandleRewriter for HandleSealer {
    fn rewrite(&mut self, handle: Handle, text: &str) -> Option<String> {
        let holder = self.subject.holder(&self.identifier);
        match handle {
            Handle::Task => self.task(text),
            Handle::State => self.sessions.seal_state(text, &self.request, holder, self.now),
            Handle::Uri => self.handles.given(Member::Uri, text).map(str::to_owned),
        }
    }

    fn item(&mut self, kind: Kind, name: &str, item: &[u8]) -> Option<Vec<u8>> {
        let begins = |part: &[u8]| part == APP_SCHEME.as_bytes();
        if kind != Kind::Tool || !self.marks_apps || !item.windows(APP_SCHEME.len()).any(begins) {
            return None;
        }
        with_app_uri(item, |uri| self.sessions.mark_app(uri, name, &self.identifier))
    }
}
