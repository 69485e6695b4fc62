//! What the fuzz targets share: a gateway that takes every kind of credential, and no caller whom it knows.

use portcullis::config::Secrets;
use portcullis::content::finder::Category;
use portcullis::content::guard::{Action, Direction, Guard, Guards, Looking};
use portcullis::gateway::Gateway;
use portcullis::jwks::freshness::KeyState;
use portcullis::jwks::key_set::KeySet;
use portcullis::mcp::envelope::RequestId;
use portcullis::mcp::kind::Kind;
use portcullis::mcp::list_item::{ItemDecision, ItemPolicy};
use portcullis::oauth::scope::ScopeHierarchy;
use portcullis::pipeline::admit::admit;
use portcullis::pipeline::authenticate::{self, Authentication, Beginning};
use portcullis::pipeline::context::RequestContext;
use portcullis::pipeline::rejection::Rejection;
use portcullis::pipeline::respond::refusal;
use portcullis::pipeline::route::{Routed, route};
use portcullis::pipeline::verification::{IsolateMemory, VerificationContext};
use portcullis::policy::caller::Caller;
use portcullis::policy::rule::{Targets, When};
use portcullis::settings::Settings;
use portcullis::time::UnixMillis;
use portcullis::token::compiled::CompiledVerifiers;
use portcullis::token::issuer::IssuerKeys;
use portcullis::token::principal::Subject;
use portcullis::transport::connection::ConnectionFacts;
use portcullis::transport::head::{Fields, Head, Method};
use serde_json::{Value, json};

/// The moment of every run: 2026-11-23T12:00:00Z.
pub const NOW: UnixMillis = UnixMillis(1_795_435_200_000);

struct Fixed;

impl Secrets for Fixed {
    fn secret(&self, _: &str) -> Option<String> {
        Some("0123456789abcdef0123456789abcdef".to_owned())
    }
}

/// RFC 8037, appendix A.2.
pub fn public_key() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

/// A gateway with every kind of credential.
pub fn gateway() -> Gateway {
    let hash = "hmac-sha256$c2l4dGVlbiBieXRlcyBvaw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let document = json!({
        "public_url": "https://gate.example",
        "issuers": [
            {
                "name": "idp", "issuer": "https://login.example", "public_key": public_key().to_string(),
                "introspection": {
                    "endpoint": "https://login.example/introspect", "client_id": "c", "secret": "S",
                    "token_prefix": "op_",
                },
            },
            {
                "name": "many", "issuer": "https://login.example/{tenantid}/v2.0", "profile": "entra_id",
                "tenants": ["one"], "public_key": public_key().to_string(),
            },
            {
                "name": "access", "issuer": "https://acme.cloudflareaccess.com", "profile": "cloudflare_access",
                "public_key": public_key().to_string(),
            },
        ],
        "api_keys": [{ "prefix": "pk", "keys": [{ "id": "robot", "label": "r", "hash": hash }] }],
        "verifiers": [{ "name": "own", "service": "V" }],
        "dpop": { "nonce_secret": "N" },
        "resources": [{
            "path": "/mcp", "origin": "https://tools.example/mcp", "issuers": ["idp", "many", "access"],
            "api_keys": ["pk"], "verifiers": ["own"], "dpop": "optional", "certificate_bound": "optional",
            "audiences": ["https://gate.example/mcp"],
        }],
    });
    Gateway::open(document, &Fixed, [7; 32], CompiledVerifiers::default()).expect("the document is right")
}

/// Takes a request with these fields as far as its credential leads without an answer from the world. It must not get
/// through: no key here is the fuzzer's.
pub fn walk(gateway: &Gateway, fields: Fields) {
    let head = Head {
        method: Method::Post,
        url: "https://gate.example/mcp".to_owned(),
        fields,
        certificate: None,
        country: None,
        asn: None,
    };
    let mut context = RequestContext::new(Method::Post, None, &[0; 40], NOW);
    if let Err(rejection) = authenticated(gateway.settings(), head, &mut context) {
        let answer = refusal(&rejection, &RequestId::unknown(), &context, Some(gateway.settings()));
        assert!(matches!(answer.status, 400 | 401 | 403 | 431 | 503), "{}", answer.status);
    }
}

fn authenticated(settings: &Settings, head: Head, context: &mut RequestContext) -> Result<(), Rejection> {
    let Routed::Resource(request) = route(admit(head, settings)?, settings, context)? else {
        panic!("the request is for a resource")
    };
    let (mut memory, compiled) = (IsolateMemory::default(), CompiledVerifiers::default());
    let pending = match authenticate::begin(request, settings, (&[7; 16], &mut memory.cache), context, NOW)? {
        Beginning::Credential(pending) => pending,
        Beginning::Anonymous(_) => panic!("the resource opens no method"),
    };
    let keys = pending.verifier().issuer().map(|issuer| match &issuer.keys {
        IssuerKeys::Static(key) => KeyState::forever(KeySet::of_one((**key).clone())),
        _ => KeyState::default(),
    });
    let known =
        &mut VerificationContext { settings, keys: keys.as_ref(), compiled: &compiled, memory: &mut memory, now: NOW };
    match authenticate::proceed(pending, known, context)? {
        Authentication::Done(_) => panic!("a caller without a credential got through"),
        Authentication::EvidenceNeeded(..) => Ok(()),
    }
}

/// Drops what begins with `x`.
pub struct DropX;

impl ItemPolicy for DropX {
    fn decide(&mut self, _: Kind, name: &str) -> ItemDecision {
        if name.starts_with('x') { ItemDecision::Drop } else { ItemDecision::Keep }
    }

    fn depends_on_caller(&self, _: Kind, _: bool) -> bool {
        true
    }
}

/// Whether a client that takes the last of repeated members, as most do, would see an item that begins with `x`.
pub fn shows_x(text: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return false };
    let messages = match &value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    let lists = [("tools", "name"), ("prompts", "name"), ("resources", "uri"), ("resourceTemplates", "uriTemplate")];
    messages.into_iter().any(|message| {
        lists.iter().any(|(list, key)| {
            let items = message["result"][list].as_array().into_iter().flatten();
            items.into_iter().any(|item| item[key].as_str().is_some_and(|name| name.starts_with('x')))
        })
    })
}

/// A guard that looks for everything in results.
pub fn looking(action: Action) -> Looking {
    let guard = Guard {
        id: "all".to_owned(),
        finds: Category::ALL.to_vec(),
        action,
        on: vec![Direction::Results],
        targets: Targets::default(),
        when: When::default(),
    };
    let subject = Subject::anonymous();
    let caller = Caller { subject: subject.into(), source: None, facts: ConnectionFacts::default(), now: 0 };
    let guards = Guards::new(vec![guard]);
    guards.looking(Direction::Results, None, (&caller, &ScopeHierarchy::default())).expect("one guard")
}
