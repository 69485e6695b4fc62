// Writes entries into wrangler's configuration. Everything else in the file stays byte for byte.
import { accessSync, constants } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { applyEdits, findNodeAtLocation, modify, parseTree } from "jsonc-parser";
import { isJson, parseSettings } from "../../lib/settings.mjs";

const at = (settings, path) => path.reduce((value, key) => value?.[key], settings);

const key = (name) => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name));

const lineBreak = (text) => (/\r\n/.test(text) ? "\r\n" : "\n");

/** A value in the syntax of TOML. */
const toml = (value) => (Array.isArray(value) ? `[${value.map(toml).join(", ")}]` : JSON.stringify(value));

const block = (path, entry, end) =>
  `[[${path.map(key).join(".")}]]${end}${Object.entries(entry)
    .map(([name, value]) => `${key(name)} = ${toml(value)}${end}`)
    .join("")}`;

const splice = (text, offset, more, length = 0) =>
  `${text.slice(0, offset)}${more}${text.slice(offset + length)}`;

/** JSON with another element at the end of a list that has some. Comments stay beside the elements that they are about. */
function withElement(text, list, entry) {
  const last = list.children.at(-1);
  const end = last.offset + last.length;
  const written = JSON.stringify(entry).replaceAll('":', '": ').replaceAll(',"', ', "').slice(1, -1);
  const element = `{ ${written} }`;
  const between = text.slice(end, list.offset + list.length - 1);
  // What follows the last element: spaces, comments, and a comma if there is one.
  const [, before, comma] = between.match(/^((?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*)(,?)/);
  if (!between.includes("\n") && !text.slice(list.offset, last.offset).includes("\n"))
    return splice(text, end, `, ${element}`);
  const indent = text.slice(0, last.offset).match(/[ \t]*$/)[0];
  // After the line of the last element, with its comma and its comment.
  const from = comma ? end + before.length + 1 : end;
  const offset = from + text.slice(from).match(/^[^\n\r]*/)[0].length;
  const open = text.slice(from, offset);
  // A comment over several lines, or the end of the list: no place of its own.
  const place = /\/\*(?![\s\S]*\*\/)/.test(open) || offset > list.offset + list.length ? end : offset;
  const after = splice(text, place, `${lineBreak(text)}${indent}${element}${comma}`);
  return comma ? after : splice(after, end, ",");
}

/** The text with this entry at the end of a list; undefined where the form of the file does not allow it. */
export function withEntry(text, path, entry) {
  const before = at(parseSettings(text), path) ?? [];
  let after;
  if (!isJson(text)) {
    const end = lineBreak(text);
    after = `${text}${text.endsWith("\n") ? "" : end}${end}${block(path, entry, end)}`;
  } else {
    const list = findNodeAtLocation(parseTree(text, [], { allowTrailingComma: true }), path);
    after = list?.children?.length > 0 ? withElement(text, list, entry) : inserted(text, path, [entry]);
  }
  return checked(text, after, path, [...before, entry]);
}

function inserted(text, path, value) {
  const formattingOptions = {
    insertSpaces: !/^\t/m.test(text),
    tabSize: /^ {4}\S/m.test(text) ? 4 : 2,
    eol: lineBreak(text),
  };
  return applyEdits(text, modify(text, path, value, { formattingOptions }));
}

/** The text with this `id` in the entry of a list that has this `binding`. */
export function withId(text, path, binding, id) {
  const before = at(parseSettings(text), path) ?? [];
  const index = before.findIndex((one) => one.binding === binding);
  if (index < 0) return undefined;
  let after;
  if (isJson(text)) {
    const tree = parseTree(text, [], { allowTrailingComma: true });
    const known = findNodeAtLocation(tree, [...path, index, "id"]);
    const name = findNodeAtLocation(tree, [...path, index, "binding"]);
    after = known
      ? splice(text, known.offset, JSON.stringify(id), known.length)
      : splice(text, name.offset + name.length, `, "id": ${JSON.stringify(id)}`);
  } else {
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
          /^([ \t]*)binding[ \t]*=[^\r\n]*/m,
          (line, indent) => `${line}${lineBreak(text)}${indent}id = "${id}"`,
        );
      })
      .join("");
  }
  return checked(
    text,
    after,
    path,
    before.map((one, place) => (place === index ? { ...one, id } : one)),
  );
}

/** The text with another value, which is a text, at a path. */
export function withText(text, path, from, to) {
  for (const quoted of [JSON.stringify(from), `'${from}'`])
    for (let offset = text.indexOf(quoted); offset >= 0; offset = text.indexOf(quoted, offset + 1)) {
      const after = checked(text, splice(text, offset, JSON.stringify(to), quoted.length), path, to);
      if (after !== undefined) return after;
    }
  return undefined;
}

const plain = (value) => JSON.parse(JSON.stringify(value));

/** The text after a change, if it has what it should have at the path, and everything else as before. */
function checked(before, after, path, value) {
  try {
    const wanted = plain(parseSettings(before));
    let holder = wanted;
    for (const name of path.slice(0, -1)) {
      holder[name] ??= {};
      holder = holder[name];
    }
    holder[path.at(-1)] = plain(value);
    return isDeepStrictEqual(plain(parseSettings(after)), wanted) ? after : undefined;
  } catch {
    return undefined;
  }
}

/** Throws where the file cannot be written. */
export const checkWritable = (file) => accessSync(file, constants.W_OK);

/** How a user would write an entry, or a value. */
export function shown(text, path, entry) {
  const value = typeof entry === "string";
  if (isJson(text)) return `${path.join(".")}: ${JSON.stringify(entry)}`;
  if (value) return `${path.map(key).join(".")} = ${toml(entry)}`;
  return block(path, entry, "\n").trimEnd();
}
