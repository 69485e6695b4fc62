//! The shell: the only module that knows Cloudflare Workers. It carries values between the platform and the core, and
//! decides nothing.

#[cfg(feature = "authorization-server")]
mod authorization_records;
mod platform;
mod replay_guard;
mod road;
mod settings;

use std::cell::OnceCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::worker_sys::web_sys::Request;

use crate::config::{Config, Mistakes};
use crate::gateway::{Gateway, Next, Underway, serve_closed};
use crate::observe::event::gateway_line;
use crate::ports::{Clock as _, EventSink as _, Random as _};
use crate::token::authenticate::Compiled;
use crate::transport::certificate;
use crate::transport::head::{Fields, Head, Method};
use platform::{Inbound, Workers};
use road::Road;

/// The gateway of this isolate: opened by its first request, since there is no environment before one.
enum Gate {
    Open(Rc<Gateway>),
    Closed,
}

thread_local! {
    static GATE: OnceCell<Gate> = const { OnceCell::new() };
}

/// Runs once when the isolate starts.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// The Worker's `fetch` handler: the gateway's own answers at once, where they need nothing from the world.
///
/// # Errors
/// What the platform throws where it makes no response of an answer.
#[wasm_bindgen]
pub fn fetch(request: &Request, env: worker::Env, context: worker::worker_sys::Context) -> Result<JsValue, JsValue> {
    let ports = Workers::new(context, env);
    let gateway = gate(&ports);
    let asks = |ask: fn(&Config) -> bool| gateway.as_ref().is_some_and(|gateway| ask(gateway.config()));
    let (certificate, place) = (asks(Config::asks_for_certificates), asks(Config::asks_for_places));
    let head = read_head(&platform::head(request, certificate, place));
    let Some(gateway) = gateway else { return road::own(&serve_closed(&ports, &head)) };
    match Underway::begin(&gateway, &ports, head).next(&gateway, &ports) {
        Next::Answer(answer) => road::own(&answer),
        next => {
            let inbound = Rc::new(Inbound::new(request, &ports));
            let response = Road { gateway, ports, inbound: Rc::clone(&inbound) }.meet(next)?;
            inbound.hold(&response);
            Ok(response)
        }
    }
}

/// The gateway of this isolate; nothing where its configuration is not valid.
fn gate(ports: &Workers) -> Option<Rc<Gateway>> {
    GATE.with(|gate| match gate.get_or_init(|| open(ports)) {
        Gate::Open(gateway) => Some(Rc::clone(gateway)),
        Gate::Closed => None,
    })
}

/// Verifiers of your own, for those who build this Worker themselves: `.with("name", YourVerifier)` for each, and
/// `compiled = true` in the entry of that name in configuration.
fn compiled() -> Compiled {
    Compiled::default()
}

fn open(ports: &Workers) -> Gate {
    let env = ports.env();
    let say = |level, reason, detail: &str| ports.line(&gateway_line(level, reason, detail, ports.now()));
    let mut salt = [0; 32];
    ports.fill(&mut salt);
    let opened = settings::document(env)
        .and_then(|document| Gateway::open(document, &settings::EnvSecrets(env), salt, compiled()));
    match opened {
        Ok(gateway) => {
            for warning in gateway.config().warnings() {
                say("warn", "configuration_warning", &warning);
            }
            for (name, method, at) in gateway.config().bindings() {
                if ports.binding(name, method).is_err() {
                    let detail = format!("{at}: the Worker has no such binding {name:?}; what needs it is refused");
                    say("error", "binding_missing", &detail);
                }
            }
            Gate::Open(Rc::new(gateway))
        }
        Err(mistakes) => {
            say_mistakes(&mistakes, say);
            Gate::Closed
        }
    }
}

fn say_mistakes(mistakes: &Mistakes, say: impl Fn(&'static str, &'static str, &str)) {
    for mistake in mistakes.lines() {
        say("error", "configuration_invalid", mistake);
    }
}

/// The head as the shell's JavaScript writes it: method, URL, certificate, place and fields, a line each.
fn read_head(text: &str) -> Head {
    let mut lines = text.split('\n');
    let method = Method::parse(lines.next().unwrap_or_default());
    let url = lines.next().unwrap_or_default().to_owned();
    let certificate = certificate::verified(lines.next().unwrap_or_default());
    let (country, asn) = lines.next().unwrap_or_default().split_once(';').unwrap_or_default();
    let (country, asn) = (Some(country.to_owned()).filter(|country| !country.is_empty()), asn.parse().ok());
    let fields = read_fields(lines);
    Head { method, url, fields, certificate, country, asn }
}

fn write_fields(fields: &Fields) -> String {
    fields.iter().map(|(name, value)| format!("{name},{value}")).collect::<Vec<_>>().join("\n")
}

fn read_fields<'a>(lines: impl Iterator<Item = &'a str>) -> Fields {
    let entries = lines.filter_map(|line| line.split_once(','));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
