//! Properties of guards: whatever the JSON and wherever it is cut, masks are where an oracle has them that reads it whole.

use portcullis::content::bound::Bounds;
use portcullis::content::filter::{Answers, ContentFilter, ResultCheck, Shape};
use portcullis::content::finder::{Category, Finder};
use portcullis::content::guard::{Action, Direction, Guard, Guards, Looking};
use portcullis::content::text::masked;
use portcullis::mcp::era::Era;
use portcullis::oauth::scope::ScopeHierarchy;
use portcullis::policy::caller::Caller;
use portcullis::policy::rule::{Targets, When};
use portcullis::token::principal::Subject;
use portcullis::transport::connection::ConnectionFacts;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::rc::Rc;

fn looking(action: Action) -> Looking {
    let guard = Guard {
        id: "all".to_owned(),
        finds: Category::ALL.to_vec(),
        action,
        on: vec![Direction::Results],
        targets: Targets::default(),
        when: When::default(),
    };
    let subject = Rc::new(Subject::anonymous());
    let caller = Caller { subject, source: None, facts: ConnectionFacts::default(), now: 0 };
    let guards = Guards::new(vec![guard]);
    guards.looking(Direction::Results, None, (&caller, &ScopeHierarchy::default())).expect("one guard")
}

fn filtered(body: &[u8], action: Action, shape: Shape, chunk: usize) -> Result<String, String> {
    let check = ResultCheck {
        looking: Some(looking(action)),
        bounds: Bounds::default(),
        schema: None,
        answers: Answers { ids: Vec::new(), is_tool: false, era: Era::Legacy, request: String::new() },
    };
    let (mut filter, mut out) = (ContentFilter::new(check, shape), Vec::new());
    for part in body.chunks(chunk.max(1)) {
        filter.push(part, &mut out).map_err(|error| error.to_string())?;
    }
    filter.finish(&mut out).map_err(|error| error.to_string())?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// What guards make of a value, read whole.
fn by_the_book(value: &Value, finder: &[Rc<Finder>]) -> Value {
    let text = |text: &str| masked(text, finder, &mut |found| Some(format!("[masked {}]", found.form)));
    match value {
        Value::String(said) => json!(text(said)),
        Value::Array(items) => items.iter().map(|item| by_the_book(item, finder)).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, item)| (text(name), by_the_book(item, finder))).collect::<Map<_, _>>(),
        ),
        Value::Number(number) if text(&number.to_string()).starts_with("[masked card_number]") => {
            json!("[masked card_number]")
        }
        other => other.clone(),
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{0,8}",
        Just("ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8".to_owned()),
        Just("ghp_a1B2c3D4e5".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("4111111111111111".to_owned()),
        Just("DE89 3704 0044 0532 0130 00".to_owned()),
        Just("a@b.example".to_owned()),
        Just("@".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----\nMII\n".to_owned()),
        Just("-----END PRIVATE KEY-----".to_owned()),
        Just("\u{1f600}\"\\é\n".to_owned()),
        Just(", ".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::collection::vec(word(), 0..4).prop_map(|words| json!(words.concat())),
        any::<i64>().prop_map(|number| json!(number)),
        Just(json!(4_111_111_111_111_111_u64)),
        Just(json!(-4_111_111_111_111_111_i64)),
        Just(json!(0.5)),
        Just(json!(1e300)),
        Just(json!(null)),
        Just(json!(true)),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON with every character that may be escaped written so, if `all`.
fn written(value: &Value, all: bool) -> String {
    let text = value.to_string();
    if !all {
        return text;
    }
    let mut out = String::new();
    let (mut within, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            '"' if !escaped => {
                within = !within;
                out.push(c);
            }
            _ if within && !escaped && c != '\\' => {
                out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
            }
            _ => out.push(c),
        }
        escaped = within && c == '\\' && !escaped;
    }
    out
}

/// Bytes made of what streams of events are made of, and of any others.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "data:",
        "data: ",
        "id: 4",
        "event",
        ":",
        " ",
        "\t",
        "\r",
        "\n",
        "\n\n",
        "{",
        "}",
        "[",
        "]",
        "\"a\":",
        "\"b\"",
        "1",
        ",",
        "\\u00",
        "\\\"",
        "alice@example.com",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
        "\u{feff}",
    ];
    let piece = prop_oneof![
        6 => prop::sample::select(parts.to_vec()).prop_map(|part| part.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    // PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(256), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn masks_are_where_the_book_has_them(
        inner in value(), chunk in prop_oneof![1_usize..9, Just(10_000)], escapes in any::<bool>(), events in any::<bool>(),
    ) {
        let finder = [Rc::new(Finder::new(&Category::ALL))];
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"structuredContent\":{}}}}}", written(&inner, escapes));
        let (shape, whole) = if events { (Shape::Events, format!("data: {body}\r\n\r\n")) } else { (Shape::Json, body.clone()) };
        let out = filtered(whole.as_bytes(), Action::Mask, shape, chunk).map_err(TestCaseError::fail)?;
        let json = if events {
            let data = out.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\r\n\r\n"));
            data.ok_or_else(|| TestCaseError::fail(out.clone()))?.to_owned()
        } else {
            out
        };
        let read: Value = serde_json::from_str(&json).map_err(|error| TestCaseError::fail(format!("{error}: {json}")))?;
        prop_assert_eq!(&read["result"]["structuredContent"], &by_the_book(&inner, &finder), "{}", body);
        let seen = filtered(whole.as_bytes(), Action::Observe, shape, chunk).map_err(TestCaseError::fail)?;
        prop_assert_eq!(seen, whole, "what is only observed passes byte for byte");
    }

    #[test]
    fn no_bytes_make_it_panic_and_cuts_change_nothing(bytes in pieces(), chunk in 1_usize..20) {
        for shape in [Shape::Json, Shape::Events, Shape::Text] {
            let whole = filtered(&bytes, Action::Mask, shape, usize::MAX);
            let parts = filtered(&bytes, Action::Mask, shape, chunk);
            if let (Ok(whole), Ok(parts)) = (&whole, &parts) {
                prop_assert_eq!(whole, parts);
            }
            prop_assert_eq!(whole.is_ok(), parts.is_ok());
        }
    }
}
