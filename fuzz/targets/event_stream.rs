//! Event streams: what comes out never shows an item that was dropped, and is the same in whatever pieces it came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::mcp::list_filter::ListFilter;
use portcullis::mcp::list_item::FilterOptions;
use portcullis::mcp::sse::SseFilter;
use portcullis_fuzz::{DropX, shows_x};

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, body)) = bytes.split_first() else { return };
    let run = |pieces: &[&[u8]]| {
        let mut out = Vec::new();
        let mut filter = SseFilter::new(Some(ListFilter::new(DropX, FilterOptions::default())), None, None);
        for piece in pieces {
            filter.push(piece, &mut out)?;
        }
        Ok::<_, portcullis::mcp::list_item::ListError>(out)
    };
    let whole = run(&[body]);
    let (first, second) = body.split_at(usize::from(*cut).min(body.len()));
    assert_eq!(whole, run(&[first, second]));
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(whole, run(&single));
    let Ok(out) = whole else { return };
    // As a reader of events takes it apart: lines end in LF here, and an event that is not ended is none.
    let text = String::from_utf8_lossy(&out);
    assert!(!text.contains('\r'));
    let mut data: Vec<&str> = Vec::new();
    for line in text.split('\n') {
        match line.split_once(':') {
            _ if line.is_empty() => {
                assert!(!shows_x(data.join("\n").as_bytes()), "{text}");
                data.clear();
            }
            Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value)),
            _ => {}
        }
    }
});
