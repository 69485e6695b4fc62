// The way out of a gateway that workerd runs: only the URLs of the configuration may be in a private network. Documents that strangers
// name, such as client ID metadata documents, must be on the internet.
export default {
  fetch(request, { TRUSTED, everywhere, public: internet }) {
    const { origin, pathname } = new URL(request.url);
    const isTrusted = TRUSTED.origins.includes(origin) || TRUSTED.exact.includes(`${origin}${pathname}`);
    return (isTrusted ? everywhere : internet).fetch(request);
  },
};
