//! At which of several identity providers a user signs in.

use std::borrow::Cow;

use super::{Context, Failure, Reply};
use crate::authorization_server::authorize::is_hint;
use crate::authorization_server::login::Login;
use crate::authorization_server::page::{self, Choice, FormOf, Way};
use crate::authorization_server::state::login::Purpose;
use crate::oauth::form::{Form, Parameters};
use crate::ports::Ports;
use crate::transport::head::Method;

/// The parameters with which a client or the page says at which provider the user signs in.
const HINTS: [&str; 2] = ["domain_hint", "login_hint"];

/// Those of a request.
pub(super) fn hints(parameters: &Parameters) -> Vec<(&'static str, &str)> {
    let given = HINTS.into_iter().filter_map(|name| Some((name, parameters.get(name)?)));
    given.filter(|(_, hint)| is_hint(hint)).collect()
}

/// Whether a text can be an e-mail address. The page shows it, and anyone can send a user to the page: sentences are none.
fn is_address(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let Some((user, domain)) = text.split_once('@') else { return false };
    let is_user =
        !user.is_empty() && user.len() <= 64 && user.chars().all(|c| fits(c) || matches!(c, '_' | '+' | '\''));
    is_user && domain.len() <= 190 && domain.contains('.') && domain.chars().all(fits)
}

impl<P: Ports> Context<'_, P> {
    /// Signs a user in for a page of this server. `known`: the subject of the user, if it is known.
    pub(super) async fn sign_in(&self, purpose: Purpose, known: Option<&str>) -> Result<Reply, Failure> {
        let query = self.query().unwrap_or_default();
        match self.chosen(self.server.logins().collect(), known, &query) {
            Ok(login) => self.sent_to_provider(purpose, login, query.get("login_hint"), false).await,
            Err(page) => Ok(*page),
        }
    }

    /// The login of a request, or the page on which the user chooses one: the only one; the one that a hint names; the one at which the
    /// user has signed in before.
    ///
    /// # Errors
    /// The page.
    pub(super) fn chosen<'l>(
        &self,
        logins: Vec<&'l Login>,
        known: Option<&str>,
        query: &Parameters,
    ) -> Result<&'l Login, Box<Reply>> {
        if let [only] = logins.as_slice() {
            return Ok(only);
        }
        let mut hints = HINTS.into_iter().filter_map(|name| query.get(name));
        let hinted = hints.find_map(|hint| logins.iter().find(|login| login.is_hinted(hint)));
        let of = known.map(|subject| self.server.login_of(subject));
        let before = of.and_then(|of| logins.iter().find(|login| login.name == of.name));
        match hinted.or(before) {
            Some(login) => Ok(login),
            None => Err(Box::new(self.choice_page(&logins, query))),
        }
    }

    fn choice_page<'l>(&self, logins: &[&'l Login], query: &Parameters) -> Reply {
        let path = self.request.admitted().path().as_str();
        let target = format!("{}{path}", self.settings.public_url.web_origin());
        let posts = self.request.admitted().head().method == Method::Post;
        let parameters: Vec<(&str, &str)> = query.pairs().filter(|(name, _)| !HINTS.contains(name)).collect();
        let url = |login: &Login| {
            let mut form = Form::default();
            for (name, value) in &parameters {
                form.add(name, value);
            }
            form.add("domain_hint", login.hint());
            format!("{target}?{}", form.into_text())
        };
        let choice = |login: &'l Login| {
            let host = login.host();
            let title = login.title.clone().map_or(Cow::Owned(host.clone()), Cow::Owned);
            let way = if posts { Way::Form(login.hint()) } else { Way::Link(url(login)) };
            Choice { title, host, way }
        };
        let choices: Vec<Choice<'_>> = logins.iter().copied().map(choice).collect();
        let by_address = logins.iter().any(|login| !login.serves.email_domains.is_empty());
        let unknown = query.get("login_hint").filter(|hint| is_address(hint));
        let form = FormOf { target: &target, posts, parameters: &parameters };
        let page = page::choose(&form, &choices, by_address, unknown);
        Reply::page(200, page, "login_choice")
    }
}
