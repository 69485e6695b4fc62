//! Seals the state handles in the answer of an origin server for the caller who gets it.

use std::cell::RefCell;
use std::rc::Rc;

use crate::mcp::combined_session::{AtServer, ClientName};
use crate::mcp::era::Era;
use crate::mcp::item_meta::{may_have_app, with_app_uri};
use crate::mcp::kind::Kind;
use crate::mcp::known_tasks::KnownTasks;
use crate::mcp::members::text_member;
use crate::mcp::message::{Call, Message};
use crate::mcp::message_position::{Handle, HandleRewriter};
use crate::mcp::method::{CALL_TOOL, Target};
use crate::mcp::rewrite::Member;
use crate::mcp::session::Sessions;
use crate::mcp::tool_view::{View, without_schemas};
use crate::pipeline::handles::{Handles, original_request, tool_at};
use crate::pipeline::inspect::Inspected;
use crate::pipeline::permit::Permit;
use crate::settings::federation::Server;
use crate::strict_json;
use crate::time::UnixMillis;

/// The URI of a resource that clients do not see.
const UNAVAILABLE: &str = "unavailable:";

/// Seals the handles of one answer.
#[derive(Debug, Clone)]
pub(super) struct HandleSealer {
    /// The request.
    inspected: Rc<Inspected>,
    /// The server that answers, if the resource has several.
    server: Option<Rc<Server>>,
    /// The id of the request that this server got, if it is not sealed.
    own_id: String,
    /// Ids that are sealed in the message that is being read.
    issued: Vec<(String, String)>,
    /// The handles that the request brought: the answer has the same ones.
    handles: Handles,
    /// Whether rules decide about resources, so that the URIs of Apps are marked.
    pub(super) marks_apps: bool,
    /// Whether the answer may hold task ids or a `requestState`.
    pub(super) may_hold_handles: bool,
    /// The ids that this isolate sealed last.
    known: Rc<RefCell<KnownTasks>>,
    now: UnixMillis,
}

impl HandleSealer {
    /// The sealer for the answer to a permitted request; `None` if the resource does not bind handles and has one server.
    pub(super) fn of(permit: &Permit, known: &Rc<RefCell<KnownTasks>>) -> Option<Self> {
        let inspected = permit.shared_inspected()?;
        let resource = inspected.resource();
        let server = permit.server().cloned();
        if resource.handles.is_none() && server.is_none() {
            return None;
        }
        let messages = inspected.messages().unwrap_or_default();
        let handles = permit.handles().clone();
        let era = permit.admitted().era();
        let may_hold = |call| may_hold_handles(call, era);
        let may_hold_handles =
            !handles.is_empty() || server.is_some() || messages.iter().filter_map(Message::call).any(may_hold);
        Some(Self {
            inspected: Rc::clone(inspected),
            server,
            own_id: permit.salt().to_owned(),
            issued: Vec::new(),
            handles,
            marks_apps: resource.policy.is_some(),
            may_hold_handles,
            known: Rc::clone(known),
            now: UnixMillis::default(),
        })
    }

    fn sessions(&self) -> Option<&Sessions> {
        self.inspected.resource().handles.as_ref()
    }

    /// The identifier of the resource.
    fn identifier(&self) -> &str {
        &self.inspected.resource().identifier
    }

    /// The only call of the request. A batch belongs to a revision without tasks and `requestState`, and its answers have any order.
    fn only(&self) -> Option<&Call> {
        if let [message] = self.inspected.messages()? { message.call() } else { None }
    }

    /// The resource and the server: the ids of one server are not those of another.
    fn place(&self) -> String {
        let server = self.server.as_ref().map(|server| format!(" {}", server.fingerprint));
        format!("{}{}", self.identifier(), server.unwrap_or_default())
    }

    /// The id of a task for the caller: the one that the request brought, or a new one if the answer may begin a task, or the one
    /// that the caller got last. `None` if none is known. Only the result of a call begins a task: whatever else names one, the
    /// caller may not be the one who began it.
    fn task(&mut self, id: &str, may_begin: bool) -> Option<String> {
        let sealed = self.sealed_task(id, may_begin)?;
        self.issued.push((id.to_owned(), sealed.clone()));
        Some(sealed)
    }

    fn sealed_task(&self, id: &str, may_begin: bool) -> Option<String> {
        let subject = self.inspected.subject();
        let called = self.only().filter(|call| call.method == CALL_TOOL).and_then(|call| call.params.name.as_deref());
        match (self.handles.given(Member::Task, id), called.filter(|_| may_begin)) {
            (Some(given), _) => Some(given.to_owned()),
            (None, Some(tool)) => {
                let tool = tool_at(tool, self.server.as_deref());
                self.sessions()?.seal_task(id, &tool, subject.holder(self.identifier()), self.now)
            }
            (None, None) => {
                let place = self.place();
                self.known.borrow().get(id, subject.holder(&place)).map(str::to_owned)
            }
        }
    }

    /// The sealer at the time of the answer.
    pub(super) fn at(self, now: UnixMillis) -> Box<dyn HandleRewriter> {
        Box::new(Self { now, ..self })
    }
}

/// Whether the answer to a request may hold task ids or a `requestState`. In the legacy era there is no `requestState`, and only what a
/// client asks for as a task becomes one: most answers need not be read.
fn may_hold_handles(call: &Call, era: Era) -> bool {
    let target = call.known().map(|known| known.target);
    match (target, era) {
        (Some(Target::Task), _) | (None | Some(Target::Name(_) | Target::Uri | Target::Subscriptions), Era::Modern) => {
            true
        }
        (Some(Target::None | Target::OptionalUri | Target::Reference), Era::Modern) => false,
        (_, Era::Legacy) => call.params.may_be_task,
    }
}

impl HandleRewriter for HandleSealer {
    fn rewrite(&mut self, handle: Handle, text: &str) -> Option<String> {
        match handle {
            Handle::Task => self.task(text, true),
            Handle::KnownTask => {
                // What the caller knows already is not issued anew.
                let sealed = self.sealed_task(text, false)?;
                if self.handles.given(Member::Task, text).is_some() {
                    self.issued.push((text.to_owned(), sealed.clone()));
                }
                Some(sealed)
            }
            Handle::State => {
                // On a stream that answers no request, it is not known which request a state belongs to.
                let request = original_request(self.only()?, &self.inspected);
                let subject = self.inspected.subject();
                self.sessions()?.seal_state(text, &request, subject.holder(self.identifier()), self.now)
            }
            Handle::Uri => {
                let advertised = self.server.as_ref().map(|server| {
                    // What clients do not see of this server must not be taken for what another one has.
                    let hidden = || format!("{}+{UNAVAILABLE}", server.names.server);
                    server.names.advertised(Kind::Resource, text).unwrap_or_else(hidden)
                });
                let given = self.handles.given(Member::Uri, advertised.as_deref().unwrap_or(text));
                given.map(str::to_owned).or(advertised)
            }
        }
    }

    fn ended(&mut self, is_own: bool) {
        let issued = std::mem::take(&mut self.issued);
        if issued.is_empty() || !is_own {
            return;
        }
        let (subject, place) = (self.inspected.subject(), self.place());
        let mut known = self.known.borrow_mut();
        for (id, sealed) in issued {
            known.keep(&id, &sealed, subject.holder(&place));
        }
    }

    fn id(&self, json: &str) -> Option<String> {
        let server = self.server.as_ref()?;
        let text: String = strict_json::part(json)?;
        if !self.own_id.is_empty() {
            let id = self.inspected.messages()?.first()?.id();
            return (text == self.own_id).then(|| id.to_json());
        }
        let subject = self.inspected.subject();
        let at = AtServer { holder: subject.holder(self.identifier()), server: &server.fingerprint };
        self.sessions()?.open_name(ClientName::Id, &text, at)
    }

    fn item(&mut self, kind: Kind, name: &str, item: &[u8]) -> Option<Vec<u8>> {
        let changed = self.changed(kind, name, item);
        let view = self.inspected.resource().federation.as_ref().map(|federation| federation.view);
        if kind != Kind::Tool || view != Some(View::Names) {
            return changed;
        }
        without_schemas(changed.as_deref().unwrap_or(item)).or(changed)
    }
}

impl HandleSealer {
    /// An item with the names and URIs that clients see; `None` if it stays as it is.
    fn changed(&self, kind: Kind, name: &str, item: &[u8]) -> Option<Vec<u8>> {
        let advertised = self.server.as_ref().and_then(|server| server.names.advertised(kind, name));
        let described = self.server.as_ref().and_then(|server| server.names.description(kind, name));
        let described = described.and_then(|text| described_as(item, text));
        let named = described.as_deref().unwrap_or(item);
        let renamed = advertised.as_deref().and_then(|advertised| renamed(named, kind, advertised)).or(described);
        let has_interface = kind == Kind::Tool && may_have_app(item);
        if !has_interface || !self.marks_apps && self.server.is_none() {
            return renamed;
        }
        let tool = advertised.as_deref().unwrap_or(name);
        let marked = with_app_uri(renamed.as_deref().unwrap_or(item), |uri| {
            let uri = self
                .server
                .as_ref()
                .map_or_else(|| Some(uri.to_owned()), |server| server.names.advertised(Kind::Resource, uri))?;
            let sessions = self.sessions().filter(|_| self.marks_apps);
            sessions.map_or(Some(uri.clone()), |sessions| sessions.mark_app(&uri, tool, self.identifier()))
        });
        marked.or(renamed)
    }
}

/// An item with another description.
fn described_as(item: &[u8], text: &str) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(text).ok()?;
    let mut described = item.to_vec();
    if let Some((range, _)) = text_member(item, "description") {
        described.splice(range, text);
    } else {
        let begin = item.iter().position(|byte| *byte == b'{')? + 1;
        described.splice(begin..begin, [b"\"description\":", text.as_slice(), b","].concat());
    }
    Some(described)
}

/// An item with another name or URI.
fn renamed(item: &[u8], kind: Kind, name: &str) -> Option<Vec<u8>> {
    let keys: &[&str] = if kind == Kind::Resource { &["uri", "uriTemplate"] } else { &["name"] };
    let (range, _) = keys.iter().find_map(|key| text_member(item, key))?;
    let mut renamed = item.to_vec();
    renamed.splice(range, serde_json::to_vec(name).ok()?);
    Some(renamed)
}
