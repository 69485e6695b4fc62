const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (value) => String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]);

const STYLE = `
  :root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
  body { box-sizing: border-box; margin: 0; padding: 1rem; min-height: 100vh; display: grid; place-items: center;
    background: light-dark(#f4f2ec, #17181c); color: light-dark(#22242a, #e8e6df); }
  main { box-sizing: border-box; width: min(26rem, 100%); padding: clamp(1.25rem, 6vw, 2rem);
    background: light-dark(#fff, #212329); border-radius: 1rem; box-shadow: 0 1rem 3rem rgb(0 0 0 / .12); }
  header { margin: 0 0 1rem; font-size: .88rem; opacity: .8; }
  h1 { margin: 0 0 1rem; font-size: 1.35rem; line-height: 1.3; overflow-wrap: anywhere; }
  dl { margin: 0 0 1.5rem; display: grid; grid-template-columns: auto 1fr; gap: .4rem 1rem; font-size: .92rem; }
  dt { opacity: .8; } dd { margin: 0; overflow-wrap: anywhere; }
  code { padding: .1rem .4rem; border-radius: .35rem; background: light-dark(#efece3, #2e3139); }
  .warning { margin: 0 0 1.5rem; font-size: .88rem; opacity: .8; }
  button { width: 100%; padding: .8rem; border: 0; border-radius: .6rem; font: inherit; font-weight: 600;
    cursor: pointer; background: #2b5d4b; color: #fff; }
  button:hover, button:focus-visible { background: #357660; }
  form + form button { margin-top: .5rem; background: none; color: inherit; font-weight: 400; }`;

/** The pages need no scripts, so none are allowed; no other page may show them in a frame (clickjacking). */
export const PAGE_HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  "X-Frame-Options": "DENY",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

function page(title, body) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
<main>
<header>Demo identity provider</header>
${body}
</main>
</html>
`;
}

/** The consent page. It names the client, what the client asks for, and where the browser goes next, as users need to decide. */
export function signInPage({ action, account, signedIn, client, redirectUri, scopes, resources }) {
  const { hostname, host } = new URL(redirectUri);
  const loopback = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  const codes = (values) => values.map((value) => `<code>${escapeHtml(value)}</code>`).join(" ");
  const verb = signedIn ? "Continue" : "Sign in";
  return page(
    `${verb} as ${account.name}`,
    `<h1>${escapeHtml(client)} asks for access on your behalf</h1>
<dl>
  <dt>Scopes</dt><dd>${scopes.length ? codes(scopes) : "none"}</dd>
  ${resources.length ? `<dt>Resource</dt><dd>${codes(resources)}</dd>` : ""}
  <dt>Next page</dt><dd><code>${escapeHtml(host || redirectUri)}</code></dd>
</dl>
${loopback ? '<p class="warning">That is a program on this computer. Continue only if you have just started it yourself.</p>' : ""}
<form method="post" action="${escapeHtml(action)}"><button autofocus>${verb} as ${escapeHtml(account.name)}</button></form>
<form method="post" action="${escapeHtml(action)}/abort"><button>No, cancel</button></form>`,
  );
}

export function errorPage({ error, error_description: description }) {
  return page(
    "The request failed",
    `<h1>The request failed</h1>
<p>${escapeHtml(description ?? "The request is not valid.")}</p>
<p><code>${escapeHtml(error)}</code></p>`,
  );
}
