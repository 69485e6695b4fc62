//! Lists: what comes out never shows an item that was dropped, and is the same in whatever pieces it came, and whatever came
//! before it.
#![no_main]

use std::cell::RefCell;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use portcullis::mcp::known_items::KnownItems;
use portcullis::mcp::list_filter::ListFilter;
use portcullis::mcp::list_item::FilterOptions;
use portcullis_fuzz::{DropX, shows_x};

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, body)) = bytes.split_first() else { return };
    let memory = Rc::new(RefCell::new(KnownItems::default()));
    let run = |pieces: &[&[u8]]| {
        let mut out = Vec::new();
        let mut filter = ListFilter::new(DropX, FilterOptions::default()).with_memory(0, Rc::clone(&memory));
        for piece in pieces {
            filter.push(piece, &mut out)?;
        }
        filter.finish(&mut out).map(|()| (out, filter.unreadable()))
    };
    let whole = run(&[body]);
    let at = usize::from(*cut).min(body.len());
    let (first, second) = body.split_at(at);
    assert_eq!(whole, run(&[first, second]));
    assert_eq!(whole, run(&[body]), "as it is remembered");
    // Another list, which is known in part.
    let _ = run(&[second]);
    assert_eq!(whole, run(&[body]), "as another is remembered");
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(whole, run(&single));
    let Ok((out, unreadable)) = whole else { return };
    assert!(!shows_x(&out), "{}", String::from_utf8_lossy(&out));
    // What was no JSON stays none, unless the item that was none is left out: nothing is mended on the way.
    if unreadable == 0 && serde_json::from_slice::<serde_json::Value>(body).is_err() {
        assert!(serde_json::from_slice::<serde_json::Value>(&out).is_err(), "{}", String::from_utf8_lossy(&out));
    }
});
