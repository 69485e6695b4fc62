//! The ports of the platform in memory.

use std::rc::Rc;

use super::block_on;
use super::{Asked, Sent, World};
use portcullis::authorization_server::state::{self as authorization_state, Change};
use portcullis::directory::object::handle;
use portcullis::forward::body_filter::{BodyFilter, FilterResult, FilteredPart};
use portcullis::forward::request::OutboundRequest;
use portcullis::forward::response::ResponseHead;
use portcullis::jwks::signing_key::SigningKey;
use portcullis::observe::decision::DecisionLine;
use portcullis::observe::point::Point;
use portcullis::observe::span::Span;
use portcullis::platform_error::PlatformError;
use portcullis::policy::budget::Spent;
use portcullis::portable;
use portcullis::ports::{
    Background, CanonicalJson, Clock, DayBudgets, Directories, EventSink, Fetch, FilterFailure, Limiter, OriginFailure,
    Queues, Random, Records, ReplayGuard, SharedCache, SignatureVerifier, Spawn, Step, Store, StreamCheck, Timer,
    Transport,
};
use portcullis::settings::DecisionLog;
use portcullis::time::UnixMillis;
use portcullis::token::binding::proof::SingleUse;
use portcullis::token::binding::replay::Use;
use portcullis::token::signature::SignatureCheck;
use portcullis::transport::provider::{ProviderDocument, ProviderRequest};

impl Clock for World {
    fn now(&self) -> UnixMillis {
        self.time()
    }
}

impl CanonicalJson for World {
    fn canonical_json(&self, text: &str) -> Option<String> {
        portable::canonical_json(text)
    }
}

impl World {
    /// What the origin server answers to this request.
    pub(super) fn sent_to_origin(&self, sent: Sent) -> Result<(ResponseHead, Vec<u8>), OriginFailure> {
        let by = self.0.borrow().origin_by.clone();
        let mut state = self.0.borrow_mut();
        state.sent.push(sent.clone());
        if let Some(by) = by {
            let fields = [("content-type", "application/json"), ("www-authenticate", "Bearer realm=\"inside\"")];
            return Ok((ResponseHead { status: by(&sent), fields: fields.into_iter().collect() }, b"{}".to_vec()));
        }
        let usual =
            || Ok(ResponseHead { status: 200, fields: [("content-type", "application/json")].into_iter().collect() });
        let body = state.origin_body.clone().unwrap_or_else(|| b"from the origin".to_vec());
        state.origin.clone().unwrap_or_else(usual).map(|head| (head, body))
    }
}

impl Random for World {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.borrow_mut();
        for byte in bytes {
            state.random = state.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.random.to_be_bytes()[0];
        }
    }
}

impl EventSink for World {
    fn line(&self, line: &str) {
        self.0.borrow_mut().lines.push(line.to_owned());
    }

    fn decided(&self, _log: &DecisionLog, decision: &DecisionLine) {
        self.0.borrow_mut().decisions.push(decision.json.clone());
    }

    fn measured(&self, binding: &str, point: &Point) {
        self.0.borrow_mut().points.push((binding.to_owned(), point.clone()));
    }

    fn is_traced(&self) -> bool {
        true
    }

    fn trace(&self, span: &Span) {
        self.0.borrow_mut().spans.push(span.clone());
    }
}

impl Limiter for World {
    async fn within_limit(&self, binding: &str, key: &str) -> Result<bool, PlatformError> {
        let mut state = self.0.borrow_mut();
        let left = state.turns.get_mut(binding).ok_or("no such binding")?;
        let Some(more) = left.checked_sub(1) else { return Ok(false) };
        *left = more;
        state.asked_turns.push(key.to_owned());
        Ok(true)
    }
}

impl Queues for World {
    async fn enqueue(&self, binding: &str, text: &str) -> Result<(), PlatformError> {
        self.0.borrow_mut().queued.push((binding.to_owned(), text.to_owned()));
        Ok(())
    }
}

impl Spawn for World {
    fn spawn(&self, work: Background) {
        self.0.borrow_mut().background.push(work);
    }
}

impl SignatureVerifier for World {
    async fn verify(&self, check: &SignatureCheck) -> Result<bool, PlatformError> {
        let input = check.signing_input.as_bytes();
        let verdict = portable::verify(check.key.jwk(), check.algorithm, input, &check.signature);
        self.0.borrow_mut().checks.push((check.clone(), verdict.clone()));
        verdict
    }

    async fn sign(&self, key: &SigningKey, input: &[u8]) -> Result<Vec<u8>, PlatformError> {
        portable::sign(key.expose(), key.algorithm(), input)
    }
}

impl Fetch for World {
    async fn ask(&self, request: &ProviderRequest) -> Result<ProviderDocument, PlatformError> {
        let mut state = self.0.borrow_mut();
        state.asked.push(Asked {
            url: request.url.clone(),
            service: request.service.clone(),
            fields: request.fields.clone(),
            body: request.body.clone().unwrap_or_default(),
            seconds: request.seconds,
        });
        if let (Some(by), Some(asked)) = (state.answer_by.clone(), state.asked.last().cloned()) {
            let before = state.asked.len() - 1;
            drop(state);
            let (status, body) = by(&asked, before);
            let content_type = Some("application/json".to_owned());
            return Ok(ProviderDocument {
                status,
                content_type,
                body: body.into_bytes(),
                ..ProviderDocument::default()
            });
        }
        let place = request.service.as_ref().unwrap_or(&request.url);
        state.answers.get(place).cloned().unwrap_or_else(|| Err("connection refused".into()))
    }

    async fn get(&self, url: &str) -> Result<ProviderDocument, PlatformError> {
        let mut state = self.0.borrow_mut();
        state.fetched.push(url.to_owned());
        state
            .documents
            .get(url)
            .cloned()
            .unwrap_or_else(|| Ok(ProviderDocument { status: 404, ..ProviderDocument::default() }))
    }
}

impl Directories for World {
    async fn directory(&self, _binding: &str, name: &str, question: &str) -> Result<String, PlatformError> {
        let mut state = self.0.borrow_mut();
        if state.records_down {
            return Err("no such object".into());
        }
        let now = state.now.seconds();
        let tables = state.directories.entry(name.to_owned()).or_default();
        handle(tables, question, now).map_err(|error| PlatformError::from(error.to_string()))
    }
}

impl Records for World {
    async fn record(&self, _binding: &str, name: &str, question: &str) -> Result<String, PlatformError> {
        let mut state = self.0.borrow_mut();
        if state.records_down || state.record_down.as_deref() == Some(name) {
            return Err("no such object".into());
        }
        state.record_questions.push(name.to_owned());
        let now = state.now.seconds();
        let kept = state.records.get(name).cloned();
        let (answer, change) = authorization_state::answer(kept.as_ref(), question, now)
            .map_err(|error| PlatformError::from(error.to_string()))?;
        match change {
            Change::None => {}
            Change::Keep(record, _) => {
                state.records.insert(name.to_owned(), record);
            }
            Change::Forget => {
                state.records.remove(name);
            }
        }
        Ok(answer)
    }
}

impl Store for World {
    async fn read(&self, binding: &str, key: &str, bytes: usize) -> Result<Option<Vec<u8>>, PlatformError> {
        let mut state = self.0.borrow_mut();
        let name = format!("{binding}/{key}");
        state.reads.push(name.clone());
        let value = state.store.get(&name).cloned().transpose()?;
        if value.as_ref().is_some_and(|value| value.len() > bytes) { Err("too large".into()) } else { Ok(value) }
    }
}

impl SharedCache for World {
    async fn recall(&self, name: &str) -> Option<Vec<u8>> {
        self.0.borrow().shared.get(name).cloned()
    }

    async fn keep(&self, name: &str, value: &[u8], _seconds: u64) {
        self.0.borrow_mut().shared.insert(name.to_owned(), value.to_vec());
    }
}

impl ReplayGuard for World {
    async fn use_once(&self, _binding: &str, single: &SingleUse) -> Result<Use, PlatformError> {
        let mut state = self.0.borrow_mut();
        let now = state.now;
        if state.guard_down { Err("no guard".into()) } else { Ok(state.guard.use_once(single, now)) }
    }
}

impl DayBudgets for World {
    async fn spend(&self, binding: &str, counter: &str, day: u64, most: u64) -> Result<Spent, PlatformError> {
        let mut state = self.0.borrow_mut();
        if binding == "DOWN" {
            return Err("the object is gone".into());
        }
        let count = state.budgets.entry((counter.to_owned(), day)).or_default();
        let spent = Spent::of(*count, most);
        if let Spent::Counted(number) = spent {
            *count = number;
            state.counted += 1;
        }
        Ok(spent)
    }

    async fn give_back(&self, _binding: &str, counter: &str, day: u64) -> Result<(), PlatformError> {
        *self.0.borrow_mut().budgets.entry((counter.to_owned(), day)).or_default() -= 1;
        Ok(())
    }
}

impl Timer for World {
    async fn sleep(&self, milliseconds: u32) {
        let mut state = self.0.borrow_mut();
        state.slept += u64::from(milliseconds);
        state.now = UnixMillis(state.now.0 + u64::from(milliseconds));
    }
}

impl Transport for World {
    type RequestBody = Vec<u8>;
    type ResponseBody = Vec<u8>;

    async fn send(&self, request: OutboundRequest, body: &Vec<u8>) -> Result<(ResponseHead, Vec<u8>), OriginFailure> {
        let serve = self.0.borrow().serve_by.clone();
        let Some(serve) = serve else { return self.sent_to_origin(Sent::of(&request, body)) };
        let sent = Sent::of(&request, body);
        self.0.borrow_mut().sent.push(sent.clone());
        let Some((status, fields, body)) = serve(&sent) else { return std::future::pending().await };
        let fields = fields.into_iter().collect();
        Ok((ResponseHead { status, fields }, body.into_bytes()))
    }

    async fn message(&self, body: &Vec<u8>, limit: u64) -> Result<Vec<u8>, OriginFailure> {
        if let Some(failure) = self.0.borrow().message {
            return Err(failure);
        }
        if body.len() as u64 > limit { Err(OriginFailure::BodyTooLarge) } else { Ok(body.clone()) }
    }

    async fn filtered(
        &self,
        body: Vec<u8>,
        mut filter: BodyFilter,
        ended: Box<dyn Fn(FilterResult)>,
    ) -> Result<Vec<u8>, FilterFailure> {
        let chunk = self.0.borrow().chunk.max(1);
        let mut out = Vec::new();
        for part in body.chunks(chunk) {
            match filter.push(part)? {
                FilteredPart::More(bytes) => out.extend(bytes),
                FilteredPart::Last(bytes, why) => {
                    out.extend(bytes);
                    ended(filter.end(Some(why)));
                    return Ok(out);
                }
            }
        }
        out.extend(filter.finish()?);
        ended(filter.end(None));
        Ok(out)
    }

    fn watch(&self, _body: &Vec<u8>, check: StreamCheck) {
        self.0.borrow_mut().watched.push(Rc::from(check));
    }

    fn stepped(&self, body: Vec<u8>, step: Step) -> Vec<u8> {
        let chunk = self.0.borrow().chunk.max(1);
        let mut out = Vec::new();
        for part in body.chunks(chunk) {
            match block_on(step(Some(part.to_vec()))) {
                Some(bytes) => out.extend(bytes),
                None => return out,
            }
        }
        out.extend(block_on(step(None)).unwrap_or_default());
        out
    }

    async fn whole(&self, body: Vec<u8>, limit: u64) -> Result<Vec<u8>, OriginFailure> {
        if body.len() as u64 > limit { Err(OriginFailure::Unreachable { streamed: false }) } else { Ok(body) }
    }

    fn joined(&self, [first, last]: [Vec<u8>; 2], bodies: Vec<Vec<u8>>) -> Vec<u8> {
        std::iter::once(first).chain(bodies).chain([last]).collect::<Vec<_>>().concat()
    }

    fn is_gone(&self, _body: &Vec<u8>) -> bool {
        self.0.borrow().is_gone
    }

    fn discard(&self, _body: Vec<u8>) {}

    async fn peek(&self, body: &Vec<u8>, limit: usize) -> Option<Vec<u8>> {
        (body.len() <= limit).then(|| body.clone())
    }
}
