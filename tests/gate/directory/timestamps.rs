//! RFC 3339.

use portcullis::directory::timestamp::{parse_rfc3339, to_rfc3339};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn seconds_are_written() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_164_799, "2024-02-28T23:59:59Z"),
        (1_767_225_600, "2026-01-01T00:00:00Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (u64::MAX, "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(to_rfc3339(seconds), text);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_written_is_read() {
    for day in 0..60_000 {
        let seconds = day * 86_400 + day % 86_400;
        assert_eq!(parse_rfc3339(&to_rfc3339(seconds)), i64::try_from(seconds * 1000).ok());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn forms_of_a_time() {
    assert_eq!(parse_rfc3339("1970-01-01T00:00:01.25Z"), Some(1250));
    assert_eq!(parse_rfc3339("1970-01-01t00:00:01.123456789z"), Some(1123));
    assert_eq!(parse_rfc3339("1970-01-01T01:00:00+01:00"), Some(0));
    assert_eq!(parse_rfc3339("1970-01-01T00:00:00-00:30"), Some(1_800_000));
    for malformed in [
        "",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-13-01T00:00:00Z",
        "1970-02-29T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00Z",
        "1969-12-31T00:00:00Z",
        "70-01-01T00:00:00Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00+1:00",
        "1970-01-01T00:00:00+25:00",
        "1970-01-01T00:00:00Zx",
        "1970-1-1T0:0:0Z",
        "١٩٧٠-01-01T00:00:00Z",
        "1970-01-01-01T00:00:00Z",
        "1970-01-01T00:00:00+",
    ] {
        assert_eq!(parse_rfc3339(malformed), None, "{malformed}");
    }
}
