// Options of the Rust part that the JavaScript part acts on.

/** Removes an option from the arguments and returns its values. One without a value stays: the Rust part refuses it. */
export function takeOption(args, name) {
  const values = [];
  for (let at = 0; at < args.length; ) {
    const [word, inline] = args[at].startsWith(`${name}=`)
      ? [name, args[at].slice(name.length + 1)]
      : [args[at]];
    if (word !== name || (inline === undefined && !/^[^-]/.test(args[at + 1] ?? ""))) {
      at += 1;
      continue;
    }
    const [, next] = args.splice(at, inline === undefined ? 2 : 1);
    values.push(inline ?? next);
  }
  return values;
}
