//! Other URIs that a server may read a URI as.

/// How often the gateway decodes a URI before it gives up: servers decode once, and some twice.
const ROUNDS: usize = 4;

/// Other readings of a URI, as a server might normalize it: percent-decoded, and without dot segments, repeated
/// slashes, query and fragment. `None` if decoding does not come to an end or does not result in UTF-8.
#[must_use]
pub(super) fn readings(uri: &str) -> Option<Vec<String>> {
    let mut decoded = uri.to_owned();
    let mut stable = false;
    for _ in 0..ROUNDS {
        let next = decode(&decoded)?;
        stable = next == decoded;
        decoded = next;
        if stable {
            break;
        }
    }
    if !stable {
        return None;
    }
    let whole = tidy(&decoded);
    let bare = tidy(decoded.split(['?', '#']).next().unwrap_or_default());
    let mut readings: Vec<String> = [whole, bare].into_iter().filter(|reading| reading != uri).collect();
    readings.dedup();
    Some(readings)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, digit(0), digit(1)) {
            bytes.push(u8::try_from(high * 16 + low).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn tidy(uri: &str) -> String {
    let uri = uri.replace('\\', "/");
    let Some((scheme, rest)) = uri.split_once(':') else { return uri };
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
        None if scheme == "file" => ("", rest),
        None if rest.contains('/') => return format!("{scheme}:{}", segments(rest)),
        None => return format!("{scheme}:{rest}"),
    };
    let authority = authority.to_ascii_lowercase();
    let authority = if scheme == "file" && authority == "localhost" { "" } else { &authority };
    format!("{scheme}://{authority}/{}", segments(path))
}

fn segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    // A path that ends in a slash names the contents of a directory, so the slash stays.
    let last = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("{}{last}", kept.join("/"))
}
