// Writes entries into wrangler's configuration. Everything else in the file stays byte for byte.
import { renameSync, statSync, writeFileSync } from "node:fs";
import { applyEdits, modify } from "jsonc-parser";
import { isJson, parseSettings } from "../../lib/settings.mjs";

const at = (settings, path) => path.reduce((value, key) => value?.[key], settings);

const key = (name) => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name));

/** A value in the syntax of TOML. */
const toml = (value) => (Array.isArray(value) ? `[${value.map(toml).join(", ")}]` : JSON.stringify(value));

const block = (path, entry) =>
  `[[${path.map(key).join(".")}]]\n${Object.entries(entry)
    .map(([name, value]) => `${key(name)} = ${toml(value)}\n`)
    .join("")}`;

function inJson(text, path, value, isInsertion) {
  const formattingOptions = {
    insertSpaces: !/^\t/m.test(text),
    tabSize: /^ {4}\S/m.test(text) ? 4 : 2,
  };
  return applyEdits(text, modify(text, path, value, { formattingOptions, isArrayInsertion: isInsertion }));
}

/** The text with this entry at the end of a list; undefined where the form of the file does not allow it. */
export function withEntry(text, path, entry) {
  const before = at(parseSettings(text), path) ?? [];
  const after = isJson(text)
    ? inJson(
        text,
        before.length > 0 ? [...path, before.length] : path,
        before.length > 0 ? entry : [entry],
        before.length > 0,
      )
    : `${text.trimEnd()}\n\n${block(path, entry)}`;
  return checked(after, path, (list) => list.length === before.length + 1 && isSame(list.at(-1), entry));
}

/** The text with this `id` in the entry of a list that has this `binding`. */
export function withId(text, path, binding, id) {
  const index = (at(parseSettings(text), path) ?? []).findIndex((one) => one.binding === binding);
  if (index < 0) return undefined;
  let after;
  if (isJson(text)) after = inJson(text, [...path, index, "id"], id, false);
  else {
    // The block of the entry: from its header to the next one.
    const header = `[[${path.map(key).join(".")}]]`;
    const parts = text.split(/^(?=[ \t]*\[)/m);
    let seen = -1;
    after = parts
      .map((part) => {
        if (!part.trimStart().startsWith(header)) return part;
        seen += 1;
        if (seen !== index) return part;
        if (/^[ \t]*id[ \t]*=/m.test(part))
          return part.replace(/^([ \t]*id[ \t]*=[ \t]*)("[^"\n]*"|'[^'\n]*')/m, `$1"${id}"`);
        return part.replace(
          /^([ \t]*)binding[ \t]*=.*$/m,
          (line, indent) => `${line}\n${indent}id = "${id}"`,
        );
      })
      .join("");
  }
  return checked(after, path, (list) => list[index]?.binding === binding && list[index].id === id);
}

/** The text with another `main`. */
export function withMain(text, from, to) {
  const quoted = [JSON.stringify(from), `'${from}'`].find((one) => text.includes(one));
  if (quoted === undefined) return undefined;
  const after = text.replace(quoted, JSON.stringify(to));
  try {
    return parseSettings(after).main === to ? after : undefined;
  } catch {
    return undefined;
  }
}

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The text, if it has what it should have. */
function checked(text, path, holds) {
  try {
    const list = at(parseSettings(text), path);
    return Array.isArray(list) && holds(list) ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Puts the text in the place of the file at once: an interrupted command leaves the old file or the new one. */
export function put(file, text) {
  const next = `${file}.${process.pid}.new`;
  writeFileSync(next, text, { mode: statSync(file).mode });
  renameSync(next, file);
}

/** How a user would write an entry. */
export const shown = (text, path, entry) =>
  isJson(text) ? `${path.join(".")}: ${JSON.stringify(entry)}` : block(path, entry).trimEnd();
