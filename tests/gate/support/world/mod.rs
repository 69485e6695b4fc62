//! A platform in memory: a clock that the test turns, an identity provider and an origin server that it scripts.

mod ports;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use portcullis::authorization_server::state::StoredRecord;
use portcullis::directory::memory::MemoryTables;
use portcullis::forward::request::OutboundRequest;
use portcullis::forward::response::ResponseHead;
use portcullis::gateway::{
    Action, ActiveRequest, Gateway, LookUp, Recalled, Received, Remembered, RememberedDecision, Served, drive,
    filter_body, serve,
};
use portcullis::observe::point::Point;
use portcullis::observe::span::Span;
use portcullis::platform_error::PlatformError;
use portcullis::ports::{Background, OriginFailure, SignatureVerifier, Transport};
use portcullis::time::UnixMillis;
use portcullis::token::binding::replay::ReplayMemory;
use portcullis::token::signature::SignatureCheck;
use portcullis::transport::head::{Fields, Head};
use portcullis::transport::head_text::write_fields;
use portcullis::transport::provider::ProviderDocument;
use portcullis::transport::trace::Trace;
use serde_json::{Value, json};

use super::{ISSUER, Key, Request};

/// The moment at which tests begin: 2026-11-23T12:00:00Z.
pub const NOON: u64 = 1_795_435_200;

#[derive(Default)]
struct State {
    now: UnixMillis,
    random: u64,
    documents: HashMap<String, Result<ProviderDocument, PlatformError>>,
    fetched: Vec<String>,
    answers: HashMap<String, Result<ProviderDocument, PlatformError>>,
    asked: Vec<Asked>,
    store: HashMap<String, Result<Vec<u8>, PlatformError>>,
    reads: Vec<String>,
    shared: HashMap<String, Vec<u8>>,
    records: HashMap<String, StoredRecord>,
    records_down: bool,
    /// What the event streams that are open ask.
    watched: Vec<Rc<dyn Fn() -> Pin<Box<dyn Future<Output = bool>>>>>,
    directories: HashMap<String, MemoryTables>,
    record_down: Option<String>,
    record_questions: Vec<String>,
    guard: ReplayMemory,
    guard_down: bool,
    budgets: HashMap<(String, u64), u64>,
    counted: u64,
    is_gone: bool,
    slept: u64,
    checks: Vec<(SignatureCheck, Result<bool, PlatformError>)>,
    /// What the origin server answers to a request, if that depends on the request.
    serve_by: Option<Rc<dyn Fn(&Sent) -> Option<ServerAnswer>>>,
    origin_by: Option<Rc<dyn Fn(&Sent) -> u16>>,
    /// What is answered to questions, if that depends on the question.
    answer_by: Option<Rc<dyn Fn(&Asked, usize) -> (u16, String)>>,
    origin: Option<Result<ResponseHead, OriginFailure>>,
    sent: Vec<Sent>,
    lines: Vec<String>,
    decisions: Vec<String>,
    queued: Vec<(String, String)>,
    points: Vec<(String, Point)>,
    spans: Vec<Span>,
    turns: HashMap<String, u64>,
    asked_turns: Vec<String>,
    origin_body: Option<Vec<u8>>,
    message: Option<OriginFailure>,
    chunk: usize,
    background: Vec<Background>,
    plans: HashMap<usize, (Rc<RememberedDecision>, Sent)>,
    recalled: usize,
}

/// A question that somebody was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub url: String,
    pub service: Option<String>,
    pub fields: Vec<(&'static str, String)>,
    pub body: String,
    pub seconds: u64,
}

impl Asked {
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

/// What a server answers: status, fields and body.
pub type ServerAnswer = (u16, Vec<(&'static str, String)>, String);

/// What reached the origin server.
#[derive(Debug, Clone)]
pub struct Sent {
    pub method: &'static str,
    pub url: String,
    pub fields: Fields,
    pub service: Option<String>,
    pub cancel_on_disconnect: bool,
    pub body: Vec<u8>,
    pub response_timeout: u64,
    pub total_timeout: Option<u64>,
}

/// What the caller got.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub fields: Fields,
    pub body: String,
}

impl Sent {
    pub fn of(request: &OutboundRequest, body: &[u8]) -> Self {
        Self {
            method: request.method().as_str(),
            url: request.url().to_owned(),
            fields: request.fields().clone(),
            service: request.service().map(str::to_owned),
            cancel_on_disconnect: request.cancel_on_disconnect(),
            response_timeout: request.response_timeout(),
            total_timeout: request.total_timeout(),
            body: match request.body() {
                Some(instead) => instead.to_vec(),
                None if request.body_bytes() == 0 => Vec::new(),
                None => body.to_vec(),
            },
        }
    }
}

impl Reply {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// The world as one gateway sees it.
#[derive(Clone, Default)]
pub struct World(Rc<RefCell<State>>);

impl World {
    /// A world with an identity provider that publishes the test keys, and an origin server that answers 200.
    pub fn new() -> Self {
        let world = Self::default();
        world.0.borrow_mut().now = UnixMillis(NOON * 1000);
        world.publish(&json!({ "keys": Key::ALL.map(Key::public_jwk) }).to_string(), None);
        world
    }

    /// Publishes metadata and a JWK set.
    pub fn publish(&self, jwks: &str, cache_control: Option<&str>) {
        let uri = format!("{ISSUER}/jwks");
        self.document(
            &format!("{ISSUER}/.well-known/oauth-authorization-server"),
            Ok(&json!({ "issuer": ISSUER, "jwks_uri": uri }).to_string()),
        );
        self.document(&uri, Ok(jwks));
        if let Some(Ok(document)) = self.0.borrow_mut().documents.get_mut(&uri) {
            document.cache_control = cache_control.map(str::to_owned);
        }
    }

    /// What the provider answers for a URL.
    pub fn document(&self, url: &str, body: Result<&str, &str>) {
        let answer = body
            .map(|body| ProviderDocument {
                status: 200,
                content_type: Some("application/json; charset=utf-8".to_owned()),
                body: body.as_bytes().to_vec(),
                ..ProviderDocument::default()
            })
            .map_err(PlatformError::from);
        self.0.borrow_mut().documents.insert(url.to_owned(), answer);
    }

    /// The media type of a document.
    pub fn content_type(&self, url: &str, content_type: Option<&str>) {
        if let Some(Ok(document)) = self.0.borrow_mut().documents.get_mut(url) {
            document.content_type = content_type.map(str::to_owned);
        }
    }

    /// What is answered to questions at a URL, or through a service binding.
    pub fn answer(&self, place: &str, answer: Result<(u16, &str, &str), &str>) {
        let answer = answer
            .map(|(status, content_type, body)| ProviderDocument {
                status,
                content_type: Some(content_type.to_owned()),
                body: body.as_bytes().to_vec(),
                ..ProviderDocument::default()
            })
            .map_err(PlatformError::from);
        self.0.borrow_mut().answers.insert(place.to_owned(), answer);
    }

    /// A server answers questions with 401 and this challenge.
    pub fn challenge(&self, place: &str, challenge: &str) {
        let challenge = Some(challenge.to_owned());
        let answer = ProviderDocument { status: 401, challenge, ..ProviderDocument::default() };
        self.0.borrow_mut().answers.insert(place.to_owned(), Ok(answer));
    }

    /// What is answered to questions from now on: the function gets the question and the number of questions before it, and
    /// returns the status and a JSON text.
    pub fn answer_by(&self, answer: impl Fn(&Asked, usize) -> (u16, String) + 'static) {
        self.0.borrow_mut().answer_by = Some(Rc::new(answer));
    }

    /// The status of what the origin server answers from now on.
    pub fn origin_by(&self, answer: impl Fn(&Sent) -> u16 + 'static) {
        self.0.borrow_mut().origin_by = Some(Rc::new(answer));
    }

    /// What origin servers answer from now on: status, media type and body; `None` if a server never answers.
    pub fn serve_by(&self, serve: impl Fn(&Sent) -> Option<(u16, &'static str, String)> + 'static) {
        self.serve_with(move |sent| {
            let (status, media_type, body) = serve(sent)?;
            Some((status, vec![("content-type", media_type.to_owned())], body))
        });
    }

    /// The same, with all fields.
    pub fn serve_with(&self, serve: impl Fn(&Sent) -> Option<ServerAnswer> + 'static) {
        self.0.borrow_mut().serve_by = Some(Rc::new(serve));
    }

    /// Questions so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.borrow().asked.clone()
    }

    /// Whether each of the event streams that were opened may go on.
    pub fn streams_may_go_on(&self) -> Vec<bool> {
        let watched = self.0.borrow().watched.clone();
        watched.iter().map(|check| block_on(check())).collect()
    }

    /// Forgets the requests to providers so far.
    pub fn forget_asked(&self) {
        self.0.borrow_mut().asked.clear();
    }

    /// Puts a value into a store, by binding and key.
    pub fn put(&self, binding: &str, key: &str, value: Result<&str, &str>) {
        let value = value.map(|value| value.as_bytes().to_vec()).map_err(PlatformError::from);
        self.0.borrow_mut().store.insert(format!("{binding}/{key}"), value);
    }

    /// Keys that were read so far, with their bindings.
    pub fn reads(&self) -> Vec<String> {
        self.0.borrow().reads.clone()
    }

    /// Whether the records of the authorization server cannot be reached.
    pub fn records_down(&self, down: bool) {
        self.0.borrow_mut().records_down = down;
    }

    /// Whether one of them cannot be.
    pub fn record_down(&self, name: &str, down: bool) {
        self.0.borrow_mut().record_down = down.then(|| name.to_owned());
    }

    /// The names of the records that were asked since the last time.
    pub fn record_questions(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().record_questions)
    }

    /// What all records hold, as they are kept.
    pub fn all_records(&self) -> Vec<String> {
        self.0.borrow().records.values().map(|record| record.text.clone()).collect()
    }

    /// What a record holds, as it is kept.
    pub fn record(&self, name: &str) -> String {
        self.0.borrow().records.get(name).map(|record| record.text.clone()).unwrap_or_default()
    }

    /// The names of the records of a kind, and what each holds.
    pub fn records_of(&self, kind: &str) -> Vec<(String, StoredRecord)> {
        let state = self.0.borrow();
        let own = state.records.iter().filter(|(name, _)| name.split('/').next() == Some(kind));
        own.map(|(name, record)| (name.clone(), record.clone())).collect()
    }

    /// Another Worker stored this record.
    pub fn store_record(&self, name: &str, version: usize, text: &str) {
        self.0.borrow_mut().records.insert(name.to_owned(), StoredRecord { version, text: text.to_owned() });
    }

    /// The guard of used proofs cannot be reached.
    pub fn guard_down(&self) {
        self.0.borrow_mut().guard_down = true;
    }

    /// Signatures that were checked so far, and the verdicts.
    pub fn checks(&self) -> Vec<(SignatureCheck, Result<bool, PlatformError>)> {
        self.0.borrow().checks.clone()
    }

    /// What the cache of the place has.
    pub fn shared(&self) -> HashMap<String, Vec<u8>> {
        self.0.borrow().shared.clone()
    }

    /// Puts something into the cache of the place.
    pub fn share(&self, shared: HashMap<String, Vec<u8>>) {
        self.0.borrow_mut().shared = shared;
    }

    /// The provider cannot be reached.
    pub fn provider_down(&self) {
        for answer in self.0.borrow_mut().documents.values_mut() {
            *answer = Err("connection refused".into());
        }
    }

    /// What the origin server answers from now on.
    pub fn origin(&self, answer: Result<(u16, &[(&'static str, &str)]), OriginFailure>) {
        let answer = answer.map(|(status, fields)| ResponseHead {
            status,
            fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        });
        self.0.borrow_mut().origin = Some(answer);
    }

    /// The body of requests does not arrive.
    pub fn body_fails(&self, failure: OriginFailure) {
        self.0.borrow_mut().message = Some(failure);
    }

    /// Lets seconds pass.
    pub fn pass(&self, seconds: u64) {
        let mut state = self.0.borrow_mut();
        state.now = state.now.plus_seconds(seconds);
    }

    /// Turns the clock back.
    pub fn back(&self, seconds: u64) {
        let mut state = self.0.borrow_mut();
        state.now = UnixMillis(state.now.0 - seconds * 1000);
    }

    pub fn time(&self) -> UnixMillis {
        self.0.borrow().now
    }

    /// URLs that the provider was asked for so far.
    pub fn fetched(&self) -> Vec<String> {
        self.0.borrow().fetched.clone()
    }

    /// What reached the origin server so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.0.borrow().sent.clone()
    }

    /// Log lines so far.
    pub fn lines(&self) -> Vec<Value> {
        self.0.borrow().lines.iter().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// The origin server's body from now on, and in pieces of how many bytes it comes.
    pub fn origin_body(&self, body: &[u8], chunk: usize) {
        let mut state = self.0.borrow_mut();
        (state.origin_body, state.chunk) = (Some(body.to_vec()), chunk);
    }

    /// A rate-limiting binding that lets so many requests through.
    pub fn limiter(&self, binding: &str, turns: u64) {
        self.0.borrow_mut().turns.insert(binding.to_owned(), turns);
    }

    /// Counters that bindings were asked for so far.
    pub fn asked_turns(&self) -> Vec<String> {
        self.0.borrow().asked_turns.clone()
    }

    /// Decisions that were recorded so far, as they were written.
    pub fn decisions(&self) -> Vec<String> {
        self.0.borrow().decisions.clone()
    }

    /// The client disconnects.
    pub fn leave(&self) {
        self.0.borrow_mut().is_gone = true;
    }

    /// How often a budget has counted a call, whether or not it was given back.
    pub fn budget_calls(&self) -> u64 {
        self.0.borrow().counted
    }

    /// What was sent to queues, each with its binding.
    pub fn queued(&self) -> Vec<(String, String)> {
        self.0.borrow().queued.clone()
    }

    /// Data points of requests, each with its binding.
    pub fn points(&self) -> Vec<(String, Point)> {
        self.0.borrow().points.clone()
    }

    /// What the platform's trace was told.
    pub fn spans(&self) -> Vec<Span> {
        self.0.borrow().spans.clone()
    }

    /// The line of the last request.
    pub fn last_request(&self) -> Value {
        self.lines().into_iter().rfind(|line| line["event"] == "request").unwrap_or(Value::Null)
    }

    /// Runs what goes on after the answers.
    pub fn run_background(&self) {
        let work: Vec<Background> = self.0.borrow_mut().background.drain(..).collect();
        for work in work {
            block_on(work);
        }
    }

    /// Sends a request through the gateway, whose driver meets its needs.
    pub fn call(&self, gateway: &Rc<Gateway>, request: Request) -> Reply {
        self.reply(request, |head, body| block_on(serve(gateway, self, head, body)))
    }

    /// The same, as a shell does it that remembers what the core remembers: see [`Gateway::look_up`].
    pub fn call_remembering(&self, gateway: &Rc<Gateway>, request: Request) -> Reply {
        let text = text_of(&request.head);
        self.reply(request, |head, body| match gateway.look_up(self, &text) {
            LookUp::Recalled(recalled) => self.repeat(gateway, recalled, &body),
            LookUp::Unknown(fingerprint) => {
                let mut action = ActiveRequest::new(gateway, self, &head).remembered_as(fingerprint).begin(head);
                if let Action::Send(outbound, request) = action {
                    if let Some(Remembered { slot, decision, freed }) = request.stage().remembered() {
                        self.0.borrow_mut().plans.retain(|slot, _| !freed.contains(slot));
                        let mut sent = Sent::of(&outbound, &body);
                        sent.fields.remove("tracestate");
                        self.0.borrow_mut().plans.insert(*slot, (Rc::clone(decision), sent));
                    }
                    action = Action::Send(outbound, request);
                }
                block_on(drive(gateway, self, action, &body))
            }
        })
    }

    fn repeat(&self, gateway: &Rc<Gateway>, recalled: Recalled, body: &Vec<u8>) -> Served<Vec<u8>> {
        let (decision, mut sent) = self.0.borrow().plans[&recalled.slot].clone();
        assert_eq!(decision.id(), recalled.decision, "the plan is that of the decision");
        sent.body.clone_from(body);
        sent.fields.set("traceparent", recalled.trace.outbound());
        if let Some(state) = recalled.tracestate {
            sent.fields.set("tracestate", state);
        }
        self.0.borrow_mut().recalled += 1;
        let answer = self.sent_to_origin(sent);
        let trace = Trace::of_sent(&recalled.trace.outbound()).expect("the core wrote it");
        let request = decision.awaiting_answer(recalled.request_id, trace, self.time());
        match request.answered(gateway, self, answer) {
            Received::Passed(head, answer) => Served::Origin(head, answer),
            Received::Filter(..) => panic!("nothing of a repeated request is filtered"),
            Received::Refused(action) | Received::Again(action, _) => block_on(drive(gateway, self, action, body)),
            Received::Doubtful(request, answer) => {
                block_on(drive(gateway, self, request.read(gateway, self, Ok(answer)), body))
            }
        }
    }

    /// The places of what is kept for remembered decisions.
    pub fn planned(&self) -> Vec<usize> {
        self.0.borrow().plans.keys().copied().collect()
    }

    /// How many requests were recalled so far.
    pub fn recalled(&self) -> usize {
        self.0.borrow().recalled
    }

    /// The same, as a shell does it that meets the needs which nearly every request has, and leaves the rest to the driver.
    pub fn call_in_steps(&self, gateway: &Rc<Gateway>, request: Request) -> Reply {
        self.reply(request, |head, body| {
            let mut action = ActiveRequest::new(gateway, self, &head).begin(head);
            loop {
                action = match action {
                    Action::Answer(answer) => return Served::Own(answer),
                    Action::ReadMessage(limit, request) => {
                        let message = block_on(self.message(&body, limit));
                        request.message_read(gateway, self, message)
                    }
                    Action::CheckSignature(request) => {
                        let verdict = block_on(self.verify(request.check()));
                        request.signature_checked(gateway, self, verdict)
                    }
                    Action::SignAssertion(request) => {
                        let key = gateway.settings().assertion_keys.first().expect("it is asked for");
                        let signature = block_on(self.sign(key, request.input().as_bytes()));
                        request.assertion_signed(gateway, self, signature)
                    }
                    Action::Send(outbound, request) => {
                        let answer = block_on(self.send(outbound, &body));
                        match request.answered(gateway, self, answer) {
                            Received::Passed(head, answer) => return Served::Origin(head, answer),
                            Received::Filter(filter, request, answer) => {
                                match block_on(filter_body(gateway, self, filter, request, answer)) {
                                    Ok((head, answer)) => return Served::Origin(head, answer),
                                    Err(action) => *action,
                                }
                            }
                            Received::Refused(action) | Received::Again(action, _) => action,
                            Received::Doubtful(request, answer) => request.read(gateway, self, Ok(answer)),
                        }
                    }
                    other => return block_on(drive(gateway, self, other, &body)),
                };
            }
        })
    }

    fn reply(&self, request: Request, ask: impl FnOnce(Head, Vec<u8>) -> Served<Vec<u8>>) -> Reply {
        let brought = credentials(&request.head.fields);
        let before = self.0.borrow().lines.len();
        let reply = match ask(request.head, request.body) {
            Served::Own(answer) => Reply { status: answer.status, fields: answer.fields, body: answer.body },
            Served::Origin(head, body) => {
                Reply { status: head.status, fields: head.fields, body: String::from_utf8(body).expect("it is text") }
            }
        };
        for secret in &brought {
            assert!(
                !self.0.borrow().lines[before..].iter().any(|line| line.contains(secret)),
                "the log holds a credential"
            );
            let told = format!("{:?} {:?}", self.0.borrow().points.last(), self.0.borrow().spans.last());
            assert!(!told.contains(secret), "a data point or a span holds a credential");
            assert!(!reply.body.contains(secret), "the answer holds a credential");
            assert!(!reply.fields.iter().any(|(_, value)| value.contains(secret)), "the answer holds a credential");
        }
        reply
    }
}

/// A head as the shell's JavaScript writes it.
pub fn text_of(head: &Head) -> String {
    let asn = head.asn.map(|asn| asn.to_string()).unwrap_or_default();
    let place = format!("{};{asn}", head.country.clone().unwrap_or_default());
    format!("{}\n{}\n\n{place}\n{}", head.method.as_str(), head.url, write_fields(&head.fields))
}

/// Credentials that a request brings, and the parts of them that could be used.
fn credentials(fields: &Fields) -> Vec<String> {
    let values = ["authorization", "x-api-key", "cf-access-jwt-assertion", "dpop"].into_iter();
    let words = values.filter_map(|name| fields.get(name)).flat_map(|value| value.split([' ', ',']));
    // A token's header is no secret.
    let parts = words.flat_map(|word| [word].into_iter().chain(word.split('.').skip(1)));
    parts.filter(|part| part.len() >= 16).map(str::to_owned).collect()
}

/// Nothing in memory ever waits: a future that does is a bug.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a future waits in a world where nothing does"),
    }
}
