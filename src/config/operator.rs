//! Reads the table `operator`: how pages show who operates the gateway.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::document::OperatorDocument;
use crate::config::mistakes::Mistakes;
use crate::limits::{LOGO_CHARS, OPERATOR_NAME_CHARS};
use crate::page::{Color, Operator, is_invisible};
use crate::transport::url::HttpUrl;

const PNG: &str = "data:image/png;base64,";
const SVG: &str = "data:image/svg+xml;base64,";

pub(super) fn read(
    table: Option<&OperatorDocument>,
    public_url: Option<&HttpUrl>,
    mistakes: &mut Mistakes,
) -> Operator {
    let host = public_url.map(|url| url.authority().to_string()).unwrap_or_default();
    let Some(OperatorDocument { name, color, logo }) = table else { return Operator::new(host, None, None, None) };
    if let Some(name) = name.as_ref().filter(|name| !is_name(name)) {
        let shown: String = name.chars().take(2 * OPERATOR_NAME_CHARS).collect();
        mistakes.note(
            "operator.name",
            format_args!(
                "must be 1 to {OPERATOR_NAME_CHARS} characters with a letter or digit, without control or invisible \
                 characters, and without spaces at its ends, got {shown:?}"
            ),
        );
    }
    let color = color.as_ref().and_then(|text| {
        let read = Color::parse(text)
            .ok_or_else(|| format!("must be # and six hexadecimal digits, as \"#0b57d0\", got {text:?}"));
        mistakes.keep("operator.color", read)
    });
    if let Some(what) = logo.as_ref().and_then(|logo| mistake_of_logo(logo)) {
        mistakes.note("operator.logo", what);
    }
    Operator::new(host, name.clone(), color, logo.clone())
}

fn is_name(name: &str) -> bool {
    name.chars().count() <= OPERATOR_NAME_CHARS
        && name.trim() == name
        && name.chars().any(char::is_alphanumeric)
        && !name.chars().any(|character| character.is_control() || is_invisible(character))
}

/// What is wrong with a logo.
fn mistake_of_logo(logo: &str) -> Option<String> {
    let length = logo.len();
    if length > LOGO_CHARS {
        return Some(format!("must have at most {LOGO_CHARS} characters, got {length}: use a smaller image"));
    }
    let (png, svg) = (logo.strip_prefix(PNG), logo.strip_prefix(SVG));
    let Some(data) = png.or(svg) else {
        let begins: String = logo.chars().take(40).collect();
        return Some(format!("must begin with {PNG:?} or {SVG:?}, got {begins:?}"));
    };
    let Ok(image) = STANDARD.decode(data) else {
        return Some("must be base64 (RFC 4648 §4, with padding) after the comma".to_owned());
    };
    let is_image = match png {
        Some(_) => image.starts_with(b"\x89PNG\r\n\x1a\n"),
        None => std::str::from_utf8(&image).is_ok_and(|text| text.contains("<svg")),
    };
    let kind = if png.is_some() { "a PNG" } else { "an SVG" };
    (!is_image).then(|| format!("must be {kind} image, as its media type says"))
}
