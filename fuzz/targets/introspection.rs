//! Answers about tokens: only `"active": true` of the right type, with a subject and our audience, makes a token good.
#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use portcullis::gateway::Gateway;
use portcullis::oauth::bearer::{AuthScheme, BearerToken};
use portcullis::token::credential::Credential;
use portcullis::token::introspection::IntrospectionVerifier;
use portcullis::token::verifier::{Evidence, TokenVerifier, Verification, VerifierAnswer};
use portcullis::transport::provider::ProviderDocument;
use portcullis_fuzz::{NOW, gateway};

thread_local! {
    static GATE: OnceCell<Gateway> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    GATE.with(|gate| {
        let settings = gate.get_or_init(gateway).settings();
        let (issuer, interests) = (&settings.verifiers.issuers[0], &settings.interests);
        let introspection = issuer.introspection.as_ref().expect("it is asked");
        let token = BearerToken::parse("op_token").expect("a token");
        let credential = Credential::authorization(AuthScheme::Bearer, token);
        let answer = VerifierAnswer::Provider(ProviderDocument {
            status: 200,
            content_type: Some("application/json".to_owned()),
            body: bytes.to_vec(),
            ..ProviderDocument::default()
        });
        let evidence = Evidence::new(NOW).with_answer(&answer);
        let verification = IntrospectionVerifier { issuer, introspection, interests }.verify(&credential, &evidence);
        if let Verification::Verified(verified) = verification {
            let value: serde_json::Value = serde_json::from_slice(bytes).expect("strict JSON is JSON");
            assert_eq!(value["active"], true);
            assert!(!verified.subject.subject.is_empty());
            assert!(verified.audiences.is_some(), "an answer without aud is for nobody");
        }
    });
});
