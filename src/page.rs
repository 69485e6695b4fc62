//! HTML pages for people. A page is complete in itself: it loads no other resource, and works without its script, if it has
//! one. Each page shows who operates the gateway.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::transport::head::Fields;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#17202a;--soft:#51606f;--line:#d5dbe1;--paper:#fff;--wash:#f3f5f7;--act:#0b57d0;--act-ink:#fff;--warn:#8a4b00;--warn-wash:#fff4e0;--bad:#b3261e;--bad-ink:#fff;--done:#e4f3e7}\
@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--soft:#a9b5c1;--line:#3a4653;--paper:#161c22;--wash:#0e1318;--act:#8ab4f8;--act-ink:#0b1a33;--warn:#ffcf8b;--warn-wash:#3a2a10;--bad:#f2b8b5;--bad-ink:#4a0f0b;--done:#17341f}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--wash);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:34rem;margin:6vh auto;padding:2rem;background:var(--paper);border:1px solid var(--line);border-top:4px solid var(--own,var(--act));border-radius:.75rem}\
header{display:flex;gap:.75rem;align-items:center;margin:0 0 1.25rem;padding-bottom:1rem;border-bottom:1px solid var(--line);line-height:1.3;overflow-wrap:anywhere}\
header img{height:2.25rem;max-width:7rem;border-radius:.4rem;background:#fff;flex:none}header small{color:var(--soft);display:block}\
h1{font-size:1.35rem;line-height:1.3;margin:0 0 1rem;overflow-wrap:anywhere}h2{font-size:1rem;margin:1.5rem 0 .25rem;overflow-wrap:anywhere}\
p{margin:.5rem 0}ul{margin:.5rem 0;padding-left:1.25rem}li{margin:.25rem 0}\
.choices{list-style:none;padding:0}.choices .button{display:block;width:100%;margin:.75rem 0}.scopes{list-style:none;padding:0}.scopes li{border-left:3px solid var(--line);padding-left:.75rem;margin:.5rem 0}.scopes code{color:var(--soft)}\
dl{display:grid;grid-template-columns:fit-content(40%) 1fr;gap:.25rem 1rem;margin:1rem 0}dt{color:var(--soft);overflow-wrap:anywhere}.arguments{display:block}.arguments dd{margin:.15rem 0 .75rem}mark{border-radius:.2rem;padding:0 .2rem}dd{margin:0;overflow-wrap:anywhere}dd .scopes,dd li:first-child{margin-top:0}\
.note{color:var(--soft);font-size:.9rem}.warn,.done{background:var(--warn-wash);color:var(--warn);padding:.75rem 1rem;border-radius:.5rem}.done{background:var(--done);color:var(--ink);margin:0 0 1rem}time{white-space:nowrap}\
.row{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1.5rem}h3+.row{margin-top:.5rem}\
button,.button{font:inherit;font-weight:600;padding:.6rem 1.4rem;border-radius:.5rem;border:1px solid var(--line);background:var(--paper);color:var(--ink);cursor:pointer;text-decoration:none;text-align:center}\
.main{background:var(--own,var(--act));border-color:color-mix(in srgb,var(--own,var(--act)),currentColor 40%);color:var(--own-ink,var(--act-ink))}\
.bad{border-color:var(--bad);color:var(--bad)}.main.bad{background:var(--bad);color:var(--bad-ink)}\
.small{font-size:.85rem;padding:.3rem .9rem;margin:.4rem 0}\
button:focus-visible,a:focus-visible,input:focus-visible,summary:focus-visible{outline:3px solid var(--act);outline-offset:2px}\
textarea,input[type=email],input[type=text]{font:inherit;width:100%;padding:.5rem;border:1px solid var(--soft);border-radius:.5rem;background:var(--paper);color:var(--ink)}textarea{min-height:3.5rem}\
@keyframes arm{from{visibility:hidden}}.arm button{animation:arm 1s step-end}\
a{color:var(--act)}h3{font-size:.9rem;margin:1rem 0 .25rem;color:var(--soft)}pre{background:var(--wash);padding:.75rem;border-radius:.5rem;white-space:pre-wrap;overflow-wrap:anywhere;margin:0}code{font-size:.9em;overflow-wrap:anywhere}\
article{border-top:1px solid var(--line);padding:1rem 0;margin-top:1rem}article h2{margin-top:0}summary{cursor:pointer}\
@media(max-width:36rem){main{margin:0;border-width:4px 0 0;border-radius:0;min-height:100vh;padding:1.25rem}.row{flex-direction:column}.row form,.row button{width:100%}}";

/// Adds a copy button after each `<pre>`, where the browser has a clipboard. Without this script the text is there to select.
const COPY: &str = "\
navigator.clipboard&&document.querySelectorAll('pre').forEach(p=>{\
let b=document.createElement('button'),n='Copy '+p.dataset.copy,s=(t,l)=>{b.textContent=t;b.ariaLabel=l};\
s('Copy',n);b.className='small';b.ariaLive='polite';\
b.onclick=()=>navigator.clipboard.writeText(p.textContent).then(()=>{s('Copied','Copied');setTimeout(s,2e3,'Copy',n)},\
()=>getSelection().selectAllChildren(p));p.after(b)})";

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

/// A color, in which the operator is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color([u8; 3]);

impl Color {
    /// Reads `#rrggbb`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let mut bytes = [0; 3];
        base16ct::mixed::decode(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Black or white: the color of text on this color. Its contrast is 4.5:1 or more on every color (WCAG 2.2, 1.4.3).
    #[must_use]
    pub fn ink(self) -> &'static str {
        // The curve of sRGB as a polynomial: `powf` would cost the Worker 2 KB.
        let linear = |byte: u8| {
            let part = f64::from(byte) / 255.0;
            part * (part * (part * 0.305_306_011 + 0.682_171_111) + 0.012_522_878)
        };
        let [red, green, blue] = self.0.map(linear);
        if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179 { "#fff" } else { "#000" }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// How every page shows who operates the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    name: Option<String>,
    host: String,
    color: Option<Color>,
    /// A data URL.
    logo: String,
}

impl Operator {
    /// The operator of a gateway on this host. Without a logo, the mark is the first letter or digit of the name, on the
    /// color.
    #[must_use]
    pub fn new(host: String, name: Option<String>, color: Option<Color>, logo: Option<String>) -> Self {
        let logo = logo.unwrap_or_else(|| {
            let shown = name.as_ref().unwrap_or(&host);
            let letter = shown.chars().find(|c| c.is_alphanumeric()).unwrap_or('P');
            let color = color.unwrap_or(Color([0x0b, 0x57, 0xd0]));
            let mark = format!(
                "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' fill='{color}'/>\
                 <text x='16' y='23' font-family='sans-serif' font-size='20' text-anchor='middle' fill='{}'>{}</text></svg>",
                color.ink(),
                letter.to_uppercase(),
            );
            format!("data:image/svg+xml;base64,{}", STANDARD.encode(mark))
        });
        Self { name, host, color, logo }
    }

    fn shown(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.host)
    }
}

/// A list of scopes, each with its description, if it has one.
pub fn scope_list<'a>(scopes: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let items: String = scopes
        .map(|(name, description)| {
            let description = description.map_or_else(String::new, |words| format!("{}<br>", escaped(words)));
            format!("<li>{description}<code>{}</code></li>", escaped(name))
        })
        .collect();
    if items.is_empty() { items } else { format!("<ul class=\"scopes\">{items}</ul>") }
}

/// A page, without its frame.
#[derive(Debug)]
pub struct Page {
    title: String,
    head: String,
    content: String,
    copies: bool,
}

impl Page {
    /// A page.
    #[must_use]
    pub fn new(title: impl Into<String>, content: String) -> Self {
        Self { title: title.into(), head: String::new(), content, copies: false }
    }

    /// The page with additional elements in its `<head>`.
    #[must_use]
    pub fn with_head(self, head: String) -> Self {
        Self { head, ..self }
    }

    /// The page with a copy button after each `<pre>`, whose attribute `data-copy` names what it copies.
    #[must_use]
    pub fn with_copy_buttons(self) -> Self {
        Self { copies: true, ..self }
    }

    /// The text of the page, and its response fields in `fields`.
    #[must_use]
    pub fn complete(&self, operator: &Operator, fields: &mut Fields) -> String {
        let own = operator.color.map_or_else(String::new, |it| format!(":root{{--own:{it};--own-ink:{}}}", it.ink()));
        let style = format!("{STYLE}{own}");
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        let (script_source, script) = if self.copies {
            (format!("script-src 'sha256-{}'; ", hash(COPY)), format!("<script>{COPY}</script>\n"))
        } else {
            (String::new(), String::new())
        };
        fields.set("content-type", "text/html; charset=utf-8");
        fields.set("cache-control", "no-store");
        fields.set(
            "content-security-policy",
            format!(
                "default-src 'none'; style-src 'sha256-{}'; img-src data:; {script_source}form-action 'self'; \
                 base-uri 'none'; frame-ancestors 'none'",
                hash(&style)
            ),
        );
        fields.set("x-frame-options", "DENY");
        fields.set("cross-origin-opener-policy", "same-origin");
        // Not `no-referrer`: browsers would send `Origin: null` with the forms.
        fields.set("referrer-policy", "same-origin");
        let (title, logo, name) = (escaped(&self.title), escaped(&operator.logo), escaped(operator.shown()));
        let host = match &operator.name {
            Some(_) => format!("<small>{}</small>", escaped(&operator.host)),
            None => String::new(),
        };
        let (head, content) = (&self.head, &self.content);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{head}<title>{title} - {name}</title>\n\
             <link rel=\"icon\" href=\"{logo}\">\n<style>{style}</style>\n</head>\n<body>\n<main>\n\
             <header><img src=\"{logo}\" alt=\"\"><div><strong>{name}</strong>{host}</div></header>\n{content}\n</main>\n\
             {script}</body>\n</html>\n"
        )
    }
}
