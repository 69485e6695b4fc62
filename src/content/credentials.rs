//! Credentials of known forms: a prefix that nothing else has, and what follows it.
//!
//! Prefixes and lengths are facts from the default rules of gitleaks 8 (`config/gitleaks.toml`), from the detectors of
//! `TruffleHog` 3, and from the documentation of the services. Forms without a prefix of their own, as passwords have none,
//! cannot be found without false alarms and are not here.

use crate::content::alphabet::Alphabet::{
    self, Alphanumeric, Base32, Base64Url, Bech32, Capitals, Hex, Letters, Token,
};

/// A form of credentials.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// What it is called in the log and in masks.
    pub name: &'static str,
    /// What it begins with.
    pub prefix: &'static str,
    /// The characters that follow.
    pub alphabet: Alphabet,
    /// How many of them there are at least.
    pub least: usize,
    /// How many of them there are at most; `0` if there is no limit.
    pub most: usize,
    /// What one of these credentials has in its middle, if there is something that no other text has.
    pub within: &'static str,
}

const fn form(name: &'static str, prefix: &'static str, alphabet: Alphabet, least: usize, most: usize) -> Form {
    Form { name, prefix, alphabet, least, most, within: "" }
}

/// The forms, in any order.
pub const FORMS: &[Form] = &[
    form("age_key", "AGE-SECRET-KEY-1", Bech32, 58, 58),
    form("anthropic_key", "sk-ant-", Base64Url, 80, 120),
    form("artifactory_token", "AKCp", Alphanumeric, 69, 69),
    form("aws_access_key", "ABIA", Base32, 16, 16),
    form("aws_access_key", "ACCA", Base32, 16, 16),
    form("aws_access_key", "AKIA", Base32, 16, 16),
    form("aws_access_key", "ASIA", Base32, 16, 16),
    form("clojars_token", "CLOJARS_", Alphanumeric, 60, 60),
    form("cloudflare_origin_ca_key", "v1.0-", Base64Url, 171, 171),
    form("databricks_token", "dapi", Hex, 32, 32),
    form("digitalocean_token", "doo_v1_", Hex, 64, 64),
    form("digitalocean_token", "dop_v1_", Hex, 64, 64),
    form("digitalocean_token", "dor_v1_", Hex, 64, 64),
    form("docker_token", "dckr_oat_", Base64Url, 27, 64),
    form("docker_token", "dckr_pat_", Base64Url, 27, 64),
    form("doppler_token", "dp.pt.", Alphanumeric, 43, 43),
    form("dynatrace_token", "dt0c01.", Token, 80, 96),
    form("easypost_token", "EZAK", Alphanumeric, 54, 54),
    form("fly_token", "fo1_", Base64Url, 43, 43),
    form("frame_io_token", "fio-u-", Base64Url, 64, 64),
    form("github_token", "ghp_", Alphanumeric, 36, 255),
    form("github_token", "gho_", Alphanumeric, 36, 255),
    form("github_token", "ghr_", Alphanumeric, 36, 255),
    form("github_token", "ghs_", Alphanumeric, 36, 255),
    form("github_token", "ghu_", Alphanumeric, 36, 255),
    form("github_token", "github_pat_", Base64Url, 82, 255),
    form("gitlab_token", "glagent-", Base64Url, 50, 64),
    form("gitlab_token", "glcbt-", Base64Url, 20, 64),
    form("gitlab_token", "gldt-", Base64Url, 20, 64),
    form("gitlab_token", "glft-", Base64Url, 20, 64),
    form("gitlab_token", "glimt-", Base64Url, 25, 64),
    form("gitlab_token", "gloas-", Base64Url, 64, 64),
    form("gitlab_token", "glpat-", Token, 20, 300),
    form("gitlab_token", "glptt-", Base64Url, 40, 64),
    form("gitlab_token", "glrt-", Token, 20, 300),
    form("gitlab_token", "glsoat-", Base64Url, 20, 64),
    form("google_api_key", "AIza", Base64Url, 35, 35),
    form("google_client_secret", "GOCSPX-", Base64Url, 28, 28),
    form("google_token", "ya29.", Base64Url, 20, 0),
    form("grafana_token", "glc_", Alphabet::AnyBase64, 32, 400),
    form("grafana_token", "glsa_", Base64Url, 41, 41),
    form("harness_token", "pat.", Token, 67, 80),
    form("heroku_key", "HRKU-AA", Base64Url, 58, 58),
    form("hugging_face_token", "api_org_", Letters, 34, 34),
    form("hugging_face_token", "hf_", Letters, 34, 34),
    form("intra42_secret", "s-s4t2ud-", Hex, 64, 64),
    form("linear_key", "lin_api_", Alphanumeric, 40, 40),
    form("mailgun_key", "key-", Hex, 32, 32),
    form("new_relic_key", "NRAK-", Capitals, 27, 27),
    form("new_relic_key", "NRII-", Base64Url, 32, 32),
    form("notion_token", "ntn_", Alphanumeric, 46, 46),
    form("npm_token", "npm_", Alphanumeric, 36, 36),
    form("openai_key", "sk-admin-", Base64Url, 58, 200),
    form("openai_key", "sk-proj-", Base64Url, 58, 200),
    form("openai_key", "sk-svcacct-", Base64Url, 58, 200),
    Form { within: "T3BlbkFJ", ..form("openai_key", "sk-", Base64Url, 48, 200) },
    form("openshift_token", "sha256~", Base64Url, 43, 43),
    form("perplexity_key", "pplx-", Alphanumeric, 48, 48),
    form("planetscale_token", "pscale_oauth_", Token, 32, 64),
    form("planetscale_token", "pscale_pw_", Token, 32, 64),
    form("planetscale_token", "pscale_tkn_", Token, 32, 64),
    form("postman_key", "PMAK-", Base64Url, 59, 59),
    form("prefect_key", "pnu_", Alphanumeric, 36, 36),
    form("pulumi_token", "pul-", Hex, 40, 40),
    form("pypi_token", "pypi-AgEIcHlwaS5vcmc", Base64Url, 50, 1000),
    form("readme_key", "rdme_", Alphanumeric, 70, 70),
    form("rubygems_key", "rubygems_", Hex, 48, 48),
    form("scalingo_token", "tk-us-", Base64Url, 48, 48),
    form("sendgrid_key", "SG.", Token, 66, 66),
    form("sendinblue_key", "xkeysib-", Base64Url, 81, 81),
    form("sentry_token", "sntrys_eyJ", Alphabet::AnyBase64, 80, 1000),
    form("sentry_token", "sntryu_", Hex, 64, 64),
    form("shippo_token", "shippo_live_", Hex, 40, 40),
    form("shippo_token", "shippo_test_", Hex, 40, 40),
    form("shopify_token", "shpat_", Hex, 32, 32),
    form("shopify_token", "shpca_", Hex, 32, 32),
    form("shopify_token", "shppa_", Hex, 32, 32),
    form("shopify_token", "shpss_", Hex, 32, 32),
    form("slack_token", "xapp-", Base64Url, 20, 400),
    form("slack_token", "xoxa-", Base64Url, 10, 400),
    form("slack_token", "xoxb-", Base64Url, 10, 400),
    form("slack_token", "xoxe-", Base64Url, 10, 400),
    form("slack_token", "xoxe.xox", Token, 40, 400),
    form("slack_token", "xoxo-", Base64Url, 10, 400),
    form("slack_token", "xoxp-", Base64Url, 10, 400),
    form("slack_token", "xoxr-", Base64Url, 10, 400),
    form("slack_token", "xoxs-", Base64Url, 10, 400),
    form("square_token", "sq0atp-", Base64Url, 22, 60),
    form("square_token", "sq0csp-", Base64Url, 43, 43),
    form("stripe_key", "rk_live_", Alphanumeric, 10, 250),
    form("stripe_key", "rk_test_", Alphanumeric, 10, 250),
    form("stripe_key", "sk_live_", Alphanumeric, 10, 250),
    form("stripe_key", "sk_test_", Alphanumeric, 10, 250),
    form("stripe_webhook_secret", "whsec_", Alphabet::AnyBase64, 32, 80),
    form("supabase_token", "sbp_", Hex, 40, 40),
    form("twilio_key", "SK", Hex, 32, 32),
    form("vault_token", "hvb.", Base64Url, 90, 400),
    form("vault_token", "hvs.", Base64Url, 90, 400),
];

/// Where a credential ends that begins at the beginning of a text; `None` if none does.
#[must_use]
pub fn ends_at(form: &Form, text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(form.prefix.as_bytes())?;
    let most = if form.most == 0 { rest.len() } else { form.most };
    let mut run = form.alphabet.run(rest, most.saturating_add(1));
    if run > most {
        // A mark at the end of a sentence does not belong to it.
        let ends_sentence = matches!(rest.get(most), Some(b'.' | b'-' | b'_'))
            && !rest.get(most + 1).is_some_and(u8::is_ascii_alphanumeric);
        if !ends_sentence {
            return None;
        }
        run = most;
    }
    if run < form.least {
        return None;
    }
    let found = rest.get(..run)?;
    let has_mark =
        form.within.is_empty() || found.windows(form.within.len()).any(|part| part == form.within.as_bytes());
    has_mark.then_some(form.prefix.len() + run)
}

/// What a private key in PEM begins with (RFC 7468 §3), and with what its first line ends.
const PEM: &[u8] = b"-----BEGIN ";
const PEM_LABEL: &[u8] = b"PRIVATE KEY";
/// With what the last line begins.
pub const PEM_END: &[u8] = b"-----END ";
/// The longest label.
const LABEL_CHARS: usize = 40;

/// Where the first line of a private key in PEM ends that begins at the beginning of a text; `None` if none does.
#[must_use]
pub fn pem_begins(text: &[u8]) -> Option<usize> {
    let label = text.strip_prefix(PEM)?;
    let is_label = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'0'..=b'9');
    let length = label.iter().take(LABEL_CHARS).take_while(|byte| is_label(byte)).count();
    let name = label.get(..length)?;
    let is_private = name.windows(PEM_LABEL.len()).any(|part| part == PEM_LABEL);
    is_private.then_some(PEM.len() + length)
}

/// Where a private key ends, in a text within it: after the line that ends it.
#[must_use]
pub fn pem_ends(text: &[u8]) -> Option<usize> {
    let at = text.windows(PEM_END.len()).position(|part| part == PEM_END)?;
    let rest = text.get(at + PEM_END.len()..)?;
    let label = rest.iter().take(LABEL_CHARS).take_while(|byte| **byte != b'-').count();
    let dashes = rest.get(label..)?.iter().take(5).take_while(|byte| **byte == b'-').count();
    Some(at + PEM_END.len() + label + dashes)
}

/// Least characters of each part of a JSON Web Token, so that no other text with two dots is taken for one.
const JWT_LEAST: [usize; 3] = [17, 17, 10];

/// Runs of the alphabet of tokens in a text, each looked at once: a token begins at every place of a run only at the cost of one.
#[derive(Debug, Default)]
pub struct Runs {
    known: [(usize, usize); 3],
}

impl Runs {
    /// Where a run ends that goes on at `at`; `which` of the three parts of a token it is.
    fn end(&mut self, text: &[u8], at: usize, which: usize) -> Option<usize> {
        let known = self.known.get_mut(which)?;
        if !(known.0..known.1).contains(&at) {
            *known = (at, at + Base64Url.run(text.get(at..)?, usize::MAX));
        }
        Some(known.1)
    }
}

/// Where a JSON Web Token (RFC 7519) ends that begins at `from`; `None` if none does. Its header and claims are JSON objects, so both begin
/// with `eyJ`.
#[must_use]
pub fn jwt_ends_at(text: &[u8], from: usize, runs: &mut Runs) -> Option<usize> {
    let mut at = from;
    for (index, least) in JWT_LEAST.into_iter().enumerate() {
        let part = text.get(at..)?;
        if index < 2 && !part.starts_with(b"eyJ") {
            return None;
        }
        let run = runs.end(text, at, index)? - at;
        if run < least {
            return None;
        }
        at += run;
        if index < 2 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
    }
    Some(at)
}
