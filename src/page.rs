//! HTML pages for people. A page is complete in itself: it has no script and loads no other resource.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::transport::head::Fields;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#17202a;--soft:#51606f;--line:#d5dbe1;--paper:#fff;--wash:#f3f5f7;--act:#0b57d0;--act-ink:#fff;--warn:#8a4b00;--warn-wash:#fff4e0}\
@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--soft:#a9b5c1;--line:#3a4653;--paper:#161c22;--wash:#0e1318;--act:#8ab4f8;--act-ink:#0b1a33;--warn:#ffcf8b;--warn-wash:#3a2a10}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--wash);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:34rem;margin:6vh auto;padding:2rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem}\
@media(max-width:36rem){main{margin:0;border:0;border-radius:0;min-height:100vh;padding:1.25rem}}\
h1{font-size:1.35rem;line-height:1.3;margin:0 0 1rem}h2{font-size:1rem;margin:1.5rem 0 .25rem}\
p{margin:.5rem 0}ul{margin:.5rem 0;padding-left:1.25rem}li{margin:.25rem 0}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:1rem 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
.note{color:var(--soft);font-size:.9rem}.warn{background:var(--warn-wash);color:var(--warn);padding:.75rem 1rem;border-radius:.5rem}\
.row{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1.5rem}\
button,.button{font:inherit;font-weight:600;padding:.6rem 1.4rem;border-radius:.5rem;border:1px solid var(--line);background:var(--paper);color:var(--ink);cursor:pointer;text-decoration:none}\
.main{background:var(--act);border-color:var(--act);color:var(--act-ink)}\
button:focus-visible,a:focus-visible{outline:3px solid var(--act);outline-offset:2px}\
a{color:var(--act)}h3{font-size:.9rem;margin:1rem 0 .25rem;color:var(--soft)}pre{background:var(--wash);padding:.75rem;border-radius:.5rem;overflow-x:auto;margin:0}pre code{overflow-wrap:normal}code{font-size:.9em;overflow-wrap:anywhere}\
article{border-top:1px solid var(--line);padding:1rem 0}article h2{margin-top:0}";

/// Escapes a text for HTML, in content and in quoted attributes, and drops invisible characters.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other if is_invisible(other) => {}
            other => out.push(other),
        }
    }
    out
}

/// Whether a character is invisible or changes the direction of text: with such characters, one name can look like
/// another.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A page: its response fields and its text.
#[must_use]
pub fn page(title: &str, content: &str) -> (Fields, String) {
    with_head(title, "", content)
}

/// A page with additional elements in its `<head>`.
#[must_use]
pub fn with_head(title: &str, head: &str, content: &str) -> (Fields, String) {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let mut fields = Fields::new();
    fields.set("content-type", "text/html; charset=utf-8");
    fields.set("cache-control", "no-store");
    fields.set(
        "content-security-policy",
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    );
    fields.set("x-frame-options", "DENY");
    fields.set("cross-origin-opener-policy", "same-origin");
    // Not `no-referrer`: browsers would send `Origin: null` with the forms.
    fields.set("referrer-policy", "same-origin");
    let title = escaped(title);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{head}<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n{content}\n</main>\n</body>\n</html>\n"
    );
    (fields, text)
}
