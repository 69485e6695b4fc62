//! Stage 5, after the hooks: whether a person has approved the call, if one has to.

use std::rc::Rc;

use crate::content::fault::{Fault, NotApprovable};
use crate::gateway::active_request::{Action, ActiveRequest, Suspended};
use crate::gateway::open::Gateway;
use crate::mcp::input_needed::Asked;
use crate::pipeline::audit::ApprovalState;
use crate::pipeline::authorize::Authorized;
use crate::pipeline::rejection::{ApprovalNeeded, Rejection};
use crate::policy::approval::{ApprovalNeed, PersonDecision};
use crate::ports::Ports;
use crate::time::UnixMillis;

/// What comes of a call that needs an approval.
#[derive(Debug)]
#[cfg_attr(not(feature = "authorization-server"), expect(dead_code, reason = "nothing is asked"))]
pub(super) enum Heard {
    /// A person approved it.
    Approved(PersonDecision),
    /// A person denied it; the reason.
    Denied(PersonDecision, String),
    /// It waits, under this id, and the page of this URL is for the person.
    Waits {
        /// The id.
        id: String,
        /// The URL.
        url: String,
    },
    /// Its user did not want to open the page of the approval with this id.
    Withdrawn(String),
    /// The client has left; the call with this id waits nevertheless.
    Gone(String),
    /// It does not pass.
    Refused(Fault),
}

impl<P: Ports + Clone + 'static> ActiveRequest<'_, P> {
    /// After the hooks: has the call wait for the approval of a person, if it needs one.
    pub(super) fn heard(self, authorized: Authorized) -> Action {
        if authorized.approval().is_none() {
            return self.approved(authorized);
        }
        self.wait(Box::new(authorized), Action::AskForApproval)
    }
}

impl Suspended<Box<Authorized>> {
    /// Continues with what a person decided.
    #[must_use]
    pub(super) fn approval_heard<P: Ports + Clone + 'static>(
        self,
        gateway: &Rc<Gateway>,
        ports: &P,
        heard: Heard,
    ) -> Action {
        let (mut active, authorized) = self.resume(gateway, ports);
        match heard {
            Heard::Approved(approved) => {
                let state = ApprovalState::decided(&approved, true, &gateway.settings.pseudonym_key);
                active.context.audit.note_approval(state);
                active.approved(authorized.approved(approved))
            }
            Heard::Denied(denied, reason) => {
                let state = ApprovalState::decided(&denied, false, &gateway.settings.pseudonym_key);
                active.context.audit.note_approval(state);
                active.hold_back(*authorized, Fault::NotApproved(reason))
            }
            Heard::Waits { id, url } => {
                active.context.audit.note_approval(ApprovalState::waits(&id));
                match approval_needed(&authorized, (id, url), ports.now()) {
                    Some(needed) => active.refuse(Rejection::ApprovalNeeded(Box::new(needed))),
                    None => active.hold_back(*authorized, Fault::NotApprovable(NotApprovable::Unavailable)),
                }
            }
            Heard::Withdrawn(id) => {
                active.context.audit.note_approval(ApprovalState::withdrawn(&id));
                active.hold_back(*authorized, Fault::NotApproved("the user declined".to_owned()))
            }
            Heard::Gone(id) => {
                active.context.audit.note_approval(ApprovalState::waits(&id));
                active.refuse(Rejection::ClientDisconnected)
            }
            Heard::Refused(fault) => active.hold_back(*authorized, fault),
        }
    }
}

/// What the client learns of a call that waits.
fn approval_needed(authorized: &Authorized, (id, url): (String, String), now: UnixMillis) -> Option<ApprovalNeeded> {
    let (need, permit) = (authorized.approval()?, authorized.permit());
    let inspected = permit.inspected()?;
    let resource = inspected.resource();
    let caller = inspected.caller();
    let holder = caller.subject.holder(&resource.identifier);
    let state = resource.handles.as_ref()?.seal_approval(&need.policy, &need.request, holder, now)?;
    let asked = Asked::read(inspected.body())?.of_session(permit.session().opens_urls());
    Some(ApprovalNeeded { id, url, state, asked, message: words(need), era: permit.admitted().era() })
}

/// The words for the user and the model.
fn words(need: &ApprovalNeed) -> String {
    let who = match (need.approvers.caller, need.approvers.groups.is_empty()) {
        (true, true) => "You have to approve",
        (true, false) => "You or another person has to approve",
        (false, _) => "Another person has to approve",
    };
    format!("{who} this call of {:?} in a browser:", need.tool)
}
