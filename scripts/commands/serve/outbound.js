// The way out of a gateway that workerd runs: only the URLs of the configuration may be in a private network. Documents that strangers
// name, such as client ID metadata documents, must be on the internet.
export default {
  async fetch(request, { TRUSTED, everywhere, public: internet }) {
    const { origin, pathname } = new URL(request.url);
    const isTrusted = TRUSTED.origins.includes(origin) || TRUSTED.exact.includes(`${origin}${pathname}`);
    if (isTrusted) return everywhere.fetch(request);
    // workerd would write the whole error to its log, for every URL that a stranger makes up.
    return internet.fetch(request).catch(() => new Response(null, { status: 502 }));
  },
};
