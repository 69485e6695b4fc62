//! Every refusal as a caller sees it, byte for byte: nothing more may be learned from one without somebody reading
//! the change to `vectors/disclosure.txt`. `UPDATE=1 cargo test` writes it.

use portcullis::content::examined::HeldBack;
use portcullis::content::fault::Fault;
use portcullis::content::finder::Category;
use portcullis::jwks::key_set::NoKey;
use portcullis::mcp::envelope::RequestId;
use portcullis::mcp::era::Era;
use portcullis::mcp::kind::Kind;
use portcullis::mcp::list_item::ListError;
use portcullis::mcp::message::Malformed;
use portcullis::oauth::bearer::MissingCredentials;
use portcullis::oauth::scope::ScopeSet;
use portcullis::origin_credential::failure::Meaning;
use portcullis::pipeline::context::RequestContext;
use portcullis::pipeline::rejection::{ConnectionNeeded, Dependency, Rejection};
use portcullis::pipeline::respond::refusal;
use portcullis::policy::lock::Unlocked;
use portcullis::policy::sign_in::SignIn;
use portcullis::time::UnixMillis;
use portcullis::token::binding::proof::ProofError;
use portcullis::token::error::TokenError;
use portcullis::transport::head::Method;
use portcullis::transport::path::CanonicalPath;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::gateway;

fn tokens() -> Vec<TokenError> {
    let not_json = portcullis::strict_json::parse(b"{").expect_err("that is no JSON");
    vec![
        TokenError::AlgorithmNotAllowed,
        TokenError::Audience,
        TokenError::ClaimMalformed("exp"),
        TokenError::ClaimMissing("exp"),
        TokenError::ClaimsTooMany,
        TokenError::ClaimsNotJson(not_json),
        TokenError::Expired,
        TokenError::ForbiddenHeader("crit"),
        TokenError::HeaderMalformed,
        TokenError::IdToken,
        TokenError::ApiKeyUnknown,
        TokenError::BoundUnderBearer,
        TokenError::Certificate,
        TokenError::ClaimNotAccepted("hd".to_owned()),
        TokenError::Inactive,
        TokenError::NotBound,
        TokenError::NotForThisResource,
        TokenError::Revoked,
        TokenError::Tenant,
        TokenError::IssuedInFuture,
        TokenError::Key(NoKey::DoesNotFit),
        TokenError::Key(NoKey::Several),
        TokenError::Key(NoKey::UnknownKid),
        TokenError::Key(NoKey::Unusable),
        TokenError::Malformed,
        TokenError::NotYetValid,
        TokenError::SenderConstrained,
        TokenError::Signature,
        TokenError::TooLong,
        TokenError::TypeNotAllowed,
        TokenError::UnknownIssuer,
    ]
}

fn held_back(fault: Fault) -> Rejection {
    let (id, found) = (RequestId::unknown(), Vec::new());
    Rejection::HeldBack(Box::new(HeldBack { fault, id, is_tool: true, era: Era::Modern, found }))
}

/// Of items that do not exist for a caller, or are not as they were reviewed.
fn items() -> Vec<Rejection> {
    let changed =
        |why| Rejection::NotAsLocked { kind: Kind::Tool, why, says_why: true, era: Era::Modern, apart: false };
    vec![
        Rejection::NotPermitted { target: Some(Kind::Tool), era: Era::Legacy, apart: false },
        Rejection::NotPermitted { target: Some(Kind::Prompt), era: Era::Modern, apart: false },
        Rejection::NotPermitted { target: Some(Kind::Resource), era: Era::Legacy, apart: false },
        Rejection::NotPermitted { target: Some(Kind::Resource), era: Era::Modern, apart: false },
        Rejection::NotPermitted { target: None, era: Era::Legacy, apart: false },
        Rejection::NotPermitted { target: None, era: Era::Modern, apart: false },
        Rejection::NotPermitted { target: Some(Kind::Tool), era: Era::Legacy, apart: true },
        changed(Unlocked::Changed),
        changed(Unlocked::Unknown),
        held_back(Fault::Found(Category::Cards)),
        held_back(Fault::TooLarge(1)),
        held_back(Fault::NoSchema),
        held_back(Fault::Denied("words".to_owned())),
        held_back(Fault::NoAnswer),
        held_back(Fault::BudgetSpent(5)),
        held_back(Fault::BudgetUnknown("why".to_owned())),
    ]
}

fn all() -> Vec<Rejection> {
    let mut all = vec![
        Rejection::AmbiguousPath(CanonicalPath::parse("//").expect_err("ambiguous")),
        Rejection::BodyCutShort,
        Rejection::BodyTooLarge { limit: Some(1) },
        Rejection::ClientDisconnected,
        Rejection::FieldsDisagree { field: "mcp-name".to_owned(), id: Box::default() },
        Rejection::FieldsTooLarge,
        Rejection::Forbidden,
        Rejection::ForeignHost,
        Rejection::ForeignOrigin,
        Rejection::HttpsRequired,
        Rejection::InsufficientScope {
            missing: ScopeSet::of_text("files:write"),
            needed: ScopeSet::of_text("mcp:tools files:write"),
        },
        Rejection::SignInNotEnough {
            sign_in: SignIn { max_age: Some(300), acr: vec!["gold".to_owned()], amr: vec!["mfa".to_owned()] },
            lacks: vec!["max_age", "acr"],
            needed: ScopeSet::of_text("mcp:tools files:write"),
        },
        Rejection::Internal("what"),
        Rejection::MalformedContentLength,
        Rejection::MalformedCredentials,
        Rejection::MalformedField,
        Rejection::MalformedMessage { error: Malformed::Json("x".to_owned()), id: Box::default() },
        Rejection::MalformedMessage { error: Malformed::Message("x"), id: Box::default() },
        Rejection::MalformedMessage { error: Malformed::Params("x"), id: Box::default() },
        Rejection::MethodNotAllowed { allow: "GET" },
        Rejection::Misconfigured,
        Rejection::NoCredentials(MissingCredentials::Field),
        Rejection::NotFound,
        Rejection::OriginFailed { status: 500 },
        Rejection::OriginRedirected { status: 302, to: Some("/secret".to_owned()) },
        Rejection::OriginMalformed(ListError::NotJson),
        Rejection::OriginTimeout { streamed: true },
        Rejection::OriginUnauthorized(None),
        Rejection::NotConnected(Box::new(ConnectionNeeded {
            url: "https://gate.example/connect?link=secret".to_owned(),
            server_name: "tools".to_owned(),
            era: Era::Modern,
        })),
        Rejection::OriginCredential { meaning: Meaning::Temporary, why: "why".to_owned() },
        Rejection::OriginCredential { meaning: Meaning::CallerRefused, why: "why".to_owned() },
        Rejection::OriginCredential { meaning: Meaning::Permanent, why: "why".to_owned() },
        Rejection::OriginUnreachable { streamed: true },
        Rejection::IdentityTooLarge { bytes: 9000 },
        Rejection::RateLimited { retry_after: 7, probe: false },
        Rejection::RateLimited { retry_after: 7, probe: true },
        Rejection::SessionUnknown,
        Rejection::CursorUnknown,
        Rejection::VersionUnsupported("2027-01-01".to_owned()),
        Rejection::ServersLeftOut(vec!["files".to_owned()]),
        Rejection::StateUnknown,
        Rejection::TaskUnknown { declared: true },
        Rejection::TaskUnknown { declared: false },
        Rejection::TokenInQuery,
        Rejection::UnsupportedMediaType,
        Rejection::UrlTooLong,
    ];
    all.extend(items());
    all.extend(tokens().into_iter().map(Rejection::Token));
    all.extend(
        [
            ProofError::Algorithm,
            ProofError::AccessTokenHash,
            ProofError::Claims,
            ProofError::Expired,
            ProofError::Key,
            ProofError::Malformed,
            ProofError::Method,
            ProofError::Missing,
            ProofError::Nonce,
            ProofError::OtherKey,
            ProofError::Replayed,
            ProofError::Signature,
            ProofError::Url,
        ]
        .map(Rejection::Proof),
    );
    all.extend(
        [
            Dependency::ApiKeys,
            Dependency::Introspection,
            Dependency::IssuerKeys,
            Dependency::Replay,
            Dependency::Revocations,
            Dependency::Verifier,
        ]
        .map(|dependency| Rejection::unavailable(dependency, 7, "why".to_owned())),
    );
    all
}

#[wasm_bindgen_test(unsupported = test)]
fn every_refusal_says_what_it_said() {
    let gateway = gateway();
    let mut text = String::new();
    for rejection in all() {
        let mut context = RequestContext::new(Method::Post, None, &[0; 40], UnixMillis(0));
        context.resource = gateway.settings().resources.first().cloned();
        let id = RequestId::read(&json!(7)).expect("that is an id");
        let answer = refusal(&rejection, &id, &context, Some(gateway.settings()));
        text += &format!("{}\n  {}\n", rejection.reason(), answer.status);
        for name in ["www-authenticate", "retry-after", "allow"] {
            if let Some(value) = answer.fields.get(name) {
                text += &format!("  {name}: {value}\n");
            }
        }
        text += &format!("  {}\n", answer.body);
    }
    #[cfg(not(target_family = "wasm"))]
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write("tests/vectors/disclosure.txt", &text).expect("the file can be written");
        return;
    }
    assert_eq!(text, include_str!("../vectors/disclosure.txt"));
}

#[wasm_bindgen_test(unsupported = test)]
fn reason_codes_are_distinct() {
    // The same reason may be said in different words, by what was asked for, or when.
    let several =
        |reason: &&str| matches!(*reason, "malformed_message" | "not_permitted" | "rate_limited" | "task_unknown");
    let mut reasons: Vec<&str> = all().iter().map(Rejection::reason).filter(|reason| !several(reason)).collect();
    reasons.sort_unstable();
    let count = reasons.len();
    reasons.dedup();
    assert_eq!(reasons.len(), count);
}
