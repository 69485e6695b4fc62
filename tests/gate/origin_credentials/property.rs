//! Tokens for callers, with requests of many callers in any order.

use proptest::prelude::*;

use super::*;

/// One step of a sequence.
#[derive(Debug, Clone)]
enum Step {
    Request {
        caller: usize,
        get: bool,
    },
    Pass(u64),
    Background,
    /// The origin server refuses tokens whose number is not the remainder.
    Refuse(usize),
    Endpoint(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..5_usize, any::<bool>()).prop_map(|(caller, get)| Step::Request { caller, get }),
        3 => prop::sample::select(vec![1, 11, 61, 200, 290]).prop_map(Step::Pass),
        2 => Just(Step::Background),
        1 => (0..4_usize).prop_map(Step::Refuse),
        1 => (0..4_usize).prop_map(Step::Endpoint),
    ]
}

fn answer(subject: &str, before: usize, mode: usize) -> (u16, String) {
    match mode {
        2 => (500, String::new()),
        3 => (400, json!({ "error": "invalid_grant" }).to_string()),
        _ => {
            let token = format!("for-{subject}-{before}");
            (200, json!({ "access_token": token, "token_type": "Bearer", "expires_in": 300 }).to_string())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(64), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_for_one_caller_never_reaches_a_request_of_another(steps in prop::collection::vec(step(), 1..60)) {
        let (world, gateway) = opened(exchange(json!({})));
        let issue = |mode: usize| {
            world.answer_by(move |asked, before| {
                let subject = parameter(&asked.body, "subject_token").map(|token| claims_of(&token)["sub"].clone());
                answer(subject.as_ref().and_then(Value::as_str).unwrap_or_default(), before, mode)
            });
        };
        issue(0);
        for step in steps {
            let asked = world.asked().len();
            match step {
                Step::Request { caller, get } => {
                    let presented = token(&lasting().with("sub", json!(format!("caller{caller}"))));
                    let request = if get { Request::get("/mcp") } else { Request::post("/mcp") }.bearer(&presented);
                    let reply = world.call_remembering(&gateway, request);
                    prop_assert!([200, 403, 502, 503].contains(&reply.status), "{}", reply.status);
                    let asked = world.asked().len() - asked;
                    prop_assert!(asked <= 2, "a request asks once, and once more if it is repeated");
                }
                Step::Pass(seconds) => world.pass(seconds),
                Step::Background => world.run_background(),
                Step::Refuse(rest) => world.origin_by(move |sent| {
                    let token = sent.fields.get("authorization").unwrap_or_default();
                    let number: usize = token.rsplit('-').next().and_then(|end| end.parse().ok()).unwrap_or(0);
                    if rest > 0 && number % 4 == rest { 401 } else { 200 }
                }),
                Step::Endpoint(mode) => issue(mode),
            }
        }
        for sent in world.sent() {
            let subject = sent.fields.get("x-portcullis-subject").unwrap_or_default();
            let token = sent.fields.get("authorization").unwrap_or_default();
            prop_assert!(token.starts_with(&format!("Bearer for-{subject}-")), "{subject} with {token}");
        }
    }
}
