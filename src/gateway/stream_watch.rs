//! Event streams that stay open: each asks from time to time whether the credential of its caller is still accepted, and ends if not.
//! A request that is over in a moment is not asked about again.

use std::rc::Rc;

use crate::gateway::active_request::StreamWatch;
use crate::gateway::lookups::read_revocations;
use crate::gateway::open::Gateway;
use crate::gateway::revocation_index;
use crate::limits::{STREAM_WATCH_LEAST, STREAM_WATCH_MOST, STREAM_WATCH_OUTAGE};
use crate::pipeline::permit::Permit;
use crate::pipeline::recognized::Recognized;
use crate::ports::{Ports, StreamCheck};
use crate::token::revocation::copy_age::Due;

impl StreamWatch {
    /// Whether the stream may go on. While that cannot be known, it may for a time: an outage of a record does not end all streams.
    async fn may_go_on<P: Ports>(&self, gateway: &Gateway, ports: &P) -> bool {
        let stands = self.stands(gateway, ports).await;
        let now = ports.now();
        let since = self.unknown_since.get().unwrap_or(now);
        self.unknown_since.set(if stands.is_some() { None } else { Some(since) });
        stands.unwrap_or(now < since.plus_seconds(STREAM_WATCH_OUTAGE))
    }

    /// Whether the credential is not revoked; `None` if that cannot be known now.
    async fn stands<P: Ports>(&self, gateway: &Gateway, ports: &P) -> Option<bool> {
        if let Some(list) = &gateway.settings.revocation {
            let due = gateway.memory.borrow().revocations.age.due(list.seconds, ports.now());
            if due != Due::No && !read_revocations(gateway, ports).await {
                return None;
            }
            if self.recognized.is_listed(&gateway.memory.borrow().revocations) {
                return Some(false);
            }
        }
        let Some(index) = gateway.settings.revocation_index.as_ref().filter(|_| self.recognized.is_in_index()) else {
            return Some(true);
        };
        // One read serves all streams, also where each request asks for itself.
        let most = index.seconds.max(STREAM_WATCH_LEAST);
        let due = gateway.memory.borrow().revocation_index.age.due(most, ports.now());
        match due {
            Due::No => {}
            Due::Soon | Due::Now if revocation_index::read_within(gateway, ports, most).await => {}
            Due::Soon | Due::Now | Due::Unavailable => return None,
        }
        let asked = ports.now();
        let suspected = self.recognized.suspected(&mut gateway.memory.borrow_mut().revocation_index);
        let Some((of, issued)) = suspected else { return Some(true) };
        let is_revoked = revocation_index::is_revoked(gateway, ports, &of, issued).await.ok()?;
        if !is_revoked {
            self.recognized.clear(&mut gateway.memory.borrow_mut().revocation_index, asked);
        }
        Some(!is_revoked)
    }
}

impl Gateway {
    /// How an event stream that answers a permitted request is watched: its credential, and after how many seconds it is asked about
    /// again; `None` if nothing here revokes it.
    pub(super) fn watch(&self, permit: &Permit) -> Option<(Recognized, u64)> {
        let recognized = permit.inspected()?.authenticated().recognized()?;
        let index = self.settings.revocation_index.as_ref().filter(|_| recognized.is_in_index());
        let seconds = [index.map(|index| index.seconds), self.settings.revocation.as_ref().map(|list| list.seconds)];
        let least = seconds.into_iter().flatten().min()?;
        Some((recognized.clone(), least.clamp(STREAM_WATCH_LEAST, STREAM_WATCH_MOST)))
    }
}

/// What an event stream asks from time to time: whether it may go on.
#[must_use]
pub fn stream_check<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    watch: &Rc<StreamWatch>,
) -> StreamCheck {
    let (gateway, ports, watch) = (Rc::clone(gateway), ports.clone(), Rc::clone(watch));
    Box::new(move || {
        let (gateway, ports, watch) = (Rc::clone(&gateway), ports.clone(), Rc::clone(&watch));
        Box::pin(async move { watch.may_go_on(&gateway, &ports).await })
    })
}
