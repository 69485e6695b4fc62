//! Reads where a service of the operator is that the gateway sends messages to.

use std::rc::Rc;

use crate::config::mistakes::Mistakes;
use crate::config::values::{Secrets, protected_url, read_binding, read_long_secret};
use crate::policy::approval::Webhook;
use crate::secret::Secret;

/// What a service behind a binding is asked at: a reserved name, because the binding ignores it.
const SERVICE_URL: &str = "https://service.invalid/";

/// The keys that say where a service is.
pub(super) struct ReceiverKeys<'a> {
    pub url: Option<&'a String>,
    pub service: Option<&'a String>,
    pub secret: Option<&'a String>,
}

/// Reads them; `None` if neither `url` nor `service` is given.
pub(super) fn read_receiver(
    keys: &ReceiverKeys<'_>,
    at: &str,
    (secrets, development): (&dyn Secrets, bool),
    mistakes: &mut Mistakes,
) -> Option<Webhook> {
    let ReceiverKeys { url, service, secret } = *keys;
    let secret = secret.and_then(|name| {
        if url.is_none() && service.is_none() {
            mistakes.note(format!("{at}.secret"), "has no effect without url or service");
        }
        let secret = read_long_secret(name, &format!("{at}.secret"), secrets, mistakes);
        secret.map(|secret| Rc::new(Secret::new(secret)))
    });
    let service = read_binding(service, &format!("{at}.service"), mistakes);
    let url = match url {
        Some(url) => protected_url(url, &format!("{at}.url"), development, mistakes)?.to_string(),
        None if service.is_some() => SERVICE_URL.to_owned(),
        None => return None,
    };
    Some(Webhook { url, service, secret })
}
