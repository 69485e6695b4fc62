//! Who operates the gateway, as its pages show it: the table `operator`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::config::Configuration;
use portcullis::page::Color;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Reply, Request, TestSecrets, World, document_with, open};

fn mistakes(operator: Value) -> Vec<String> {
    let read = Configuration::load(document_with(json!({ "operator": operator })), &TestSecrets::default());
    read.err().map_or_else(Vec::new, |mistakes| mistakes.lines().to_vec())
}

fn png(bytes: usize) -> String {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    image.resize(bytes, 0);
    format!("data:image/png;base64,{}", STANDARD.encode(image))
}

fn svg(text: &str) -> String {
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(text))
}

const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";

fn face(document: Value) -> Reply {
    World::new().call(&open(document).expect("right"), Request::get("/").field("accept", "text/html"))
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_name_the_key_the_value_and_what_would_be_right() {
    for operator in [
        json!({}),
        json!({ "name": "Acme \"Tools\" <b>", "color": "#0B57d0", "logo": png(64) }),
        json!({ "name": "Инструменты", "logo": svg(SVG) }),
        json!({ "name": "x".repeat(60), "logo": png(12_000) }),
    ] {
        assert_eq!(mistakes(operator.clone()), Vec::<String>::new(), "{operator}");
    }
    for name in ["", " ", " a", "a\n", "a\u{202e}b", "a\u{200b}b", "a\u{7}b", "-", &"x".repeat(61)] {
        let found = mistakes(json!({ "name": name }));
        let right = "operator.name: must be 1 to 60 characters with a letter or digit, without control or invisible";
        assert!(found.len() == 1 && found[0].starts_with(right), "{name:?}: {found:?}");
    }
    for color in ["", "red", "0b57d0", "#0b57d", "#0b57d00", "#0b57dg", "#+b57d0", "#fff", "#0b57d0;}", "rgb(0,0,0)"] {
        let found = mistakes(json!({ "color": color }));
        let right = format!("operator.color: must be # and six hexadecimal digits, as \"#0b57d0\", got {color:?}");
        assert_eq!(found, [right]);
    }
    let begin = "must begin with \"data:image/png;base64,\" or \"data:image/svg+xml;base64,\", got";
    for (logo, what) in [
        ("https://acme.example/logo.png".to_owned(), begin),
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw=".to_owned(), begin),
        ("data:image/svg+xml,<svg/>".to_owned(), begin),
        ("data:text/html;base64,PHN2Zz4=".to_owned(), begin),
        ("data:image/png;base64,!".to_owned(), "must be base64"),
        (format!("{}\"onerror=\"x", png(64)), "must be base64"),
        (svg(SVG).replacen("svg+xml", "png", 1), "must be a PNG image, as its media type says"),
        (png(64).replacen("png", "svg+xml", 1), "must be an SVG image, as its media type says"),
        (svg("<html></html>"), "must be an SVG image"),
        (png(12_300), "must have at most 16384 characters, got 16422"),
    ] {
        let found = mistakes(json!({ "logo": logo }));
        assert!(found.len() == 1 && found[0].starts_with(&format!("operator.logo: {what}")), "{logo:.60}: {found:?}");
    }
    let unknown = mistakes(json!({ "colour": "#000000" }));
    assert_eq!(unknown, ["operator.colour: unknown key; did you mean `color`? known here: name, color, logo"]);
    assert_eq!(mistakes(json!({ "name": 7 })), ["operator.name: must be a string, got 7"]);
}

/// The contrast of WCAG 2.2, with its exact curve.
fn contrast(color: [u8; 3], ink: &str) -> f64 {
    let linear = |byte: u8| {
        let part = f64::from(byte) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = color.map(linear);
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    if ink == "#fff" { 1.05 / (luminance + 0.05) } else { (luminance + 0.05) / 0.05 }
}

#[wasm_bindgen_test(unsupported = test)]
fn text_on_every_color_can_be_read() {
    let steps = || (0..=255_u8).step_by(5);
    for (red, green, blue) in steps().flat_map(|r| steps().flat_map(move |g| steps().map(move |b| (r, g, b)))) {
        let color = Color::parse(&format!("#{red:02x}{green:02x}{blue:02X}")).expect("a color");
        let contrast = contrast([red, green, blue], color.ink());
        assert!(contrast >= 4.5, "{color}: {} has {contrast}", color.ink());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_page_shows_the_operator() {
    let operator = json!({ "name": "Acme <Tools>", "color": "#FFD000", "logo": svg(SVG) });
    let page = face(document_with(json!({ "operator": operator })));
    let logo = svg(SVG);
    for shown in [
        format!(
            "<header><img src=\"{logo}\" alt=\"\"><div><strong>Acme &lt;Tools&gt;</strong><small>gate.example</small>"
        ),
        format!("<link rel=\"icon\" href=\"{logo}\">"),
        " - Acme &lt;Tools&gt;</title>".to_owned(),
        ":root{--own:#ffd000;--own-ink:#000}</style>".to_owned(),
    ] {
        assert!(page.body.contains(&shown), "{shown} is not in {}", page.body);
    }
    // Only data URLs are images, and the style with the color is the one that the policy allows.
    let style = page.body.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style");
    let policy = page.field("content-security-policy");
    let hash = STANDARD.encode(Sha256::digest(style));
    assert!(policy.starts_with(&format!("default-src 'none'; style-src 'sha256-{hash}'; img-src data:; ")), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");

    let unnamed = face(document_with(json!({})));
    assert!(unnamed.body.contains("<div><strong>gate.example</strong></div></header>"));
    let mark = unnamed.body.split("<img src=\"data:image/svg+xml;base64,").nth(1).and_then(|it| it.split('"').next());
    let mark = String::from_utf8(STANDARD.decode(mark.expect("a mark")).expect("base64")).expect("text");
    assert!(mark.contains("fill='#0b57d0'") && mark.contains("fill='#fff'>G</text>"), "{mark}");
}
