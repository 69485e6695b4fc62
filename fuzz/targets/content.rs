//! Guards: what comes out is the same in whatever pieces it came, and what is only observed passes as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::content::bound::Bounds;
use portcullis::content::filter::{Answers, ContentFilter, ResultCheck, Shape};
use portcullis::content::guard::Action;
use portcullis::mcp::era::Era;
use portcullis_fuzz::looking;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, body)) = bytes.split_first() else { return };
    let shape = match how % 3 {
        0 => Shape::Json,
        1 => Shape::Events,
        _ => Shape::Text,
    };
    let run = |action: Action, chunk: usize| {
        let (looking, ids) = (Some(looking(action)), Vec::new());
        let (bounds, request) = (Bounds::default(), String::new());
        let check = ResultCheck {
            looking,
            bounds,
            schema: None,
            answers: Answers { ids, is_tool: false, era: Era::Modern, request },
        };
        let (mut filter, mut out) = (ContentFilter::new(check, shape), Vec::new());
        for part in body.chunks(chunk) {
            filter.push(part, &mut out).ok()?;
        }
        filter.finish(&mut out).ok()?;
        Some(out)
    };
    let whole = run(Action::Mask, usize::MAX);
    assert_eq!(whole, run(Action::Mask, 1));
    assert_eq!(whole, run(Action::Mask, usize::from(*how) + 1));
    if let (Some(seen), Shape::Json | Shape::Text) = (run(Action::Observe, 7), shape) {
        assert_eq!(seen, body);
    }
});
