// Forwards everything and checks nothing: what a Worker costs that is no gate.
export default {
  fetch: (request, env) => fetch(env.ORIGIN, request),
};
