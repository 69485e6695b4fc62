//! The shell: the only room that uses Cloudflare Workers. It passes values between the platform and the core, and
//! decides nothing but one thing: `ordinary` in `exchange.js` recognizes answers about which the core has nothing to decide.

#[cfg(feature = "authorization-server")]
mod authorization_records;
mod day_budget;
#[cfg(feature = "authorization-server")]
mod directory;
mod platform;
mod query;
mod replay_guard;
mod settings;
mod shell_request;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;
use worker::worker_sys::web_sys::Request;

use crate::config::{DocumentLocation, Mistakes};
#[cfg(feature = "authorization-server")]
use crate::gateway::run_schedule;
use crate::gateway::{Action, ActiveRequest, ConfigState, Gateway, LookUp, ReloadOutcome, StoredGateway, serve_closed};
use crate::limits::STORED_BYTES;
use crate::observe::event::gateway_line;
use crate::ports::{Clock as _, EventSink as _, Random as _, Spawn as _, Store as _};
use crate::settings::Settings;
use crate::token::compiled::CompiledVerifiers;
use crate::transport::head_text::read_head;
use platform::{Inbound, Workers};
use shell_request::ShellRequest;

/// The gateway of this isolate. The first request opens it, because there is no environment before that.
enum IsolateGateway {
    Open(Rc<Gateway>),
    Closed,
    /// The configuration is in KV, and may change.
    Stored(RefCell<StoredGateway>),
}

/// Makes the verifiers that are compiled in.
type MakeVerifiers = fn() -> CompiledVerifiers;

thread_local! {
    static COMPILED: OnceCell<MakeVerifiers> = const { OnceCell::new() };
    static GATE: OnceCell<IsolateGateway> = const { OnceCell::new() };
    static DRIVEN_BY_CORE: OnceCell<bool> = const { OnceCell::new() };
}

/// Runs once when the isolate starts.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    // After a reset, JavaScript has what it kept for the module before it.
    platform::forget_all();
}

/// Handles a request for `entry.js`, which has the Worker's `fetch` handler. It returns the gateway's own answers without a promise if they need no I/O.
///
/// # Errors
/// The exception of the platform if it cannot make a response of an answer.
#[wasm_bindgen]
pub fn fetch(
    request: &Request,
    env: worker::Env,
    context: worker::worker_sys::Context,
    span: JsValue,
) -> Result<JsValue, JsValue> {
    fetch_with(request, env, context, span, CompiledVerifiers::default)
}

/// The same for a Worker with custom verifiers of its own, which are in a crate of its own: `examples/compiled-verifier` is one. An
/// entry of the configuration names each with `compiled = true`.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_with(
    request: &Request,
    env: worker::Env,
    context: worker::worker_sys::Context,
    span: JsValue,
    verifiers: MakeVerifiers,
) -> Result<JsValue, JsValue> {
    let ports = Workers::new(context, env, span);
    match state_of_gateway(&ports, verifiers) {
        ConfigState::Current(gateway) => handle(request, ports, Some(gateway)),
        ConfigState::ReloadDue(gateway) => {
            let again = ports.clone();
            ports.spawn(Box::pin(async move {
                reload_configuration(&again).await;
            }));
            handle(request, ports, Some(gateway))
        }
        ConfigState::Unavailable => handle(request, ports, None),
        ConfigState::Missing => {
            let request = Clone::clone(request);
            Ok(future_to_promise(async move {
                let gateway = reload_configuration(&ports).await;
                // The result is a response or a promise of one: JavaScript awaits both.
                handle(&request, ports, gateway)
            })
            .into())
        }
    }
}

/// Runs what is due each minute, for the Worker's `scheduled` handler in `entry.js`. It returns a promise of its end.
#[cfg(feature = "authorization-server")]
#[wasm_bindgen]
pub fn scheduled(env: worker::Env, context: worker::worker_sys::Context) -> js_sys::Promise {
    scheduled_with(env, context, CompiledVerifiers::default)
}

/// The same for a Worker with custom verifiers of its own.
#[cfg(feature = "authorization-server")]
pub fn scheduled_with(
    env: worker::Env,
    context: worker::worker_sys::Context,
    verifiers: MakeVerifiers,
) -> js_sys::Promise {
    let ports = Workers::new(context, env, JsValue::UNDEFINED);
    let state = state_of_gateway(&ports, verifiers);
    future_to_promise(async move {
        let gateway = match state {
            ConfigState::Current(gateway) => Some(gateway),
            ConfigState::ReloadDue(_) | ConfigState::Missing => reload_configuration(&ports).await,
            ConfigState::Unavailable => None,
        };
        if let Some(gateway) = gateway {
            run_schedule(&gateway, &ports).await;
        }
        Ok(JsValue::UNDEFINED)
    })
}

/// The gateway of this isolate. The first event opens it.
fn state_of_gateway(ports: &Workers, verifiers: MakeVerifiers) -> ConfigState {
    let first = || {
        COMPILED.with(|known| {
            known.get_or_init(|| verifiers);
        });
        open(ports)
    };
    GATE.with(|gate| gate.get_or_init(first).at(ports))
}

fn handle(request: &Request, ports: Workers, gateway: Option<Rc<Gateway>>) -> Result<JsValue, JsValue> {
    let asks = |ask: fn(&Settings) -> bool| gateway.as_ref().is_some_and(|gateway| ask(gateway.settings()));
    let (certificate, place) = (asks(Settings::asks_for_certificates), asks(Settings::asks_for_places));
    let text = platform::head(request, certificate, place);
    let Some(gateway) = gateway else { return shell_request::own(&serve_closed(&ports, &read_head(&text))) };
    let is_driven_by_core = is_driven_by_core(&ports);
    let looked_up = if is_driven_by_core { LookUp::Unknown(None) } else { gateway.look_up(&ports, &text) };
    let fingerprint = match looked_up {
        LookUp::Recalled(recalled) => match platform::repeat(request, &ports, &recalled) {
            Some(response) => return Ok(response),
            None => Some(recalled.fingerprint),
        },
        LookUp::Unknown(fingerprint) => fingerprint,
    };
    let head = read_head(&text);
    let action = ActiveRequest::new(&gateway, &ports, &head).remembered_as(fingerprint).begin(head);
    if is_driven_by_core {
        let inbound = Rc::new(Inbound::new(request, &ports));
        let response = ShellRequest { gateway, ports, inbound: Rc::clone(&inbound) }.drive(action);
        inbound.hold(&response);
        return Ok(response);
    }
    match action {
        Action::Answer(answer) => shell_request::own(&answer),
        action => {
            let inbound = Rc::new(Inbound::new(request, &ports));
            let response = ShellRequest { gateway, ports, inbound: Rc::clone(&inbound) }.perform(action)?;
            inbound.hold(&response);
            Ok(response)
        }
    }
}

/// Whether the driver of the core performs every action. Set this variable only in tests, which check that both drivers
/// give the same answers (`tests/e2e/drivers.test.mjs`).
fn is_driven_by_core(ports: &Workers) -> bool {
    DRIVEN_BY_CORE.with(|driven| *driven.get_or_init(|| settings::is_set(ports.env(), "PORTCULLIS_DRIVER", "core")))
}

impl IsolateGateway {
    fn at(&self, ports: &Workers) -> ConfigState {
        match self {
            Self::Open(gateway) => ConfigState::Current(Rc::clone(gateway)),
            Self::Closed => ConfigState::Unavailable,
            Self::Stored(stored) => stored.borrow_mut().due(ports.now()),
        }
    }
}

/// Reads the configuration from KV; returns the gateway that is in effect after that.
async fn reload_configuration(ports: &Workers) -> Option<Rc<Gateway>> {
    let stored = with_stored(|gateway| gateway.stored().clone())?;
    let found = ports.read(&stored.kv, &stored.key, STORED_BYTES).await;
    let secrets = settings::EnvSecrets(ports.env());
    let fits = |gateway: &Gateway| {
        let mut mistakes = Mistakes::new();
        for (name, at) in missing_bindings(gateway, ports) {
            mistakes.note(at, format_args!("the Worker has no such binding {name:?}"));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    };
    let taken = with_stored(|gateway| gateway.apply_document(found, (&secrets, compiled()), &fits, ports.now()))?;
    match taken {
        ReloadOutcome::Same => {}
        ReloadOutcome::Activated(gateway, version) => {
            // What JavaScript keeps would keep the gateway of the old configuration.
            platform::forget_all();
            log_warnings(&gateway, ports);
            log_event(ports, "info", "configuration_activated", &format!("version {version}"));
        }
        ReloadOutcome::Refused(mistakes, version) => {
            log_mistakes(&mistakes, ports);
            log_event(ports, "error", "configuration_refused", &format!("version {version} changes nothing"));
        }
        ReloadOutcome::Unavailable(why) => log_event(ports, "error", "configuration_unavailable", &why),
    }
    with_stored(|gateway| gateway.current())?
}

fn with_stored<T>(work: impl FnOnce(&mut StoredGateway) -> T) -> Option<T> {
    GATE.with(|gate| match gate.get() {
        Some(IsolateGateway::Stored(stored)) => Some(work(&mut stored.borrow_mut())),
        _ => None,
    })
}

/// The verifiers that are compiled in.
fn compiled() -> CompiledVerifiers {
    COMPILED.with(|known| known.get().map(|make| make()).unwrap_or_default())
}

fn open(ports: &Workers) -> IsolateGateway {
    let mut salt = [0; 32];
    ports.fill(&mut salt);
    let opened = settings::variable(ports.env()).and_then(DocumentLocation::of).and_then(|place| match place {
        DocumentLocation::Here(document) => {
            let gateway = Gateway::open(document, &settings::EnvSecrets(ports.env()), salt, compiled())?;
            log_warnings(&gateway, ports);
            Ok(IsolateGateway::Open(Rc::new(gateway)))
        }
        DocumentLocation::Stored(stored) => Ok(IsolateGateway::Stored(RefCell::new(StoredGateway::new(stored, salt)))),
    });
    opened.unwrap_or_else(|mistakes| {
        log_mistakes(&mistakes, ports);
        IsolateGateway::Closed
    })
}

/// Logs warnings about a configuration that takes effect, and missing bindings.
fn log_warnings(gateway: &Gateway, ports: &Workers) {
    for warning in gateway.warnings() {
        log_event(ports, "warn", "configuration_warning", &warning);
    }
    for (name, at) in missing_bindings(gateway, ports) {
        let detail = format!("{at}: the Worker has no such binding {name:?}; requests that need it are rejected");
        log_event(ports, "error", "binding_missing", &detail);
    }
}

/// Bindings that a configuration names and the Worker does not have, each with the key that names it.
fn missing_bindings<'a>(gateway: &'a Gateway, ports: &Workers) -> Vec<(&'a str, String)> {
    let named = gateway.bindings().into_iter();
    named.filter(|(name, method, _)| ports.binding(name, method).is_err()).map(|(name, _, at)| (name, at)).collect()
}

fn log_mistakes(mistakes: &Mistakes, ports: &Workers) {
    for mistake in mistakes.lines() {
        log_event(ports, "error", "configuration_invalid", mistake);
    }
}

fn log_event(ports: &Workers, level: &'static str, reason: &'static str, detail: &str) {
    ports.line(&gateway_line(level, reason, detail, ports.now()));
}
