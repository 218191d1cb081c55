// What all parts share: refusals, JSON of unknown form, and the identity of bytes.

import { blake3 } from "./blake3.ts";

export type Json = any;

export const MOST = 16 * 2 ** 20; // bytes that a pointer or an object may have

/** What goes wrong on purpose; `code` is usage, not-found, format, integrity or store. */
export class Refusal extends Error {
  code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Returns the digest of exactly these bytes. */
export function digestOf(data: Uint8Array): string {
  return "b3:" + Buffer.from(blake3(data)).toString("hex");
}

/** Returns the canonical spelling of a value, RFC 8785. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return scalar(value);
  const names = Object.keys(value).sort(); // by UTF-16 code units, as the RFC wants
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

/** Returns the spelling of a text, number, boolean or null, if all readers would read it back. */
function scalar(value: Json): string {
  const huge = typeof value === "number" && !(Math.abs(value) < 2 ** 53);
  if (value === undefined || huge || (typeof value === "string" && /\p{Cs}/u.test(value))) {
    throw new Refusal("format", "a value has no canonical form");
  }
  return JSON.stringify(value);
}

/** Says whether an object has these members and no others. */
export function hasOnly(value: Json, names: string[]): boolean {
  return isObject(value) && canonical(Object.keys(value).sort()) === canonical([...names].sort());
}

/** Reads bytes as the stored object of this kind, such as `release/1`. */
export function decoded(data: Uint8Array, kind: string): Json {
  if (data.length > MOST) throw new Refusal("format", `a ${kind} has more than ${MOST} bytes`);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    const value = JSON.parse(text);
    // Each text before a colon is a name; JSON.parse keeps the last of those that are alike.
    const texts = [...text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"[ \t\r\n]*(:)?/g)];
    const names = texts.filter(([, colon]) => colon).length;
    if (names > namesIn(value)) throw new Error("a name is there twice");
    if (value?.llmvc === kind) return value;
  } catch (err) {
    throw new Refusal("format", `not JSON: ${err}`);
  }
  throw new Refusal("format", `not a ${kind} object`);
}

/** Returns how many names all objects in a value have. */
function namesIn(value: Json): number {
  if (value === null || typeof value !== "object") return 0;
  const inside = Object.values<Json>(value).reduce((sum, one) => sum + namesIn(one), 0);
  return inside + (isObject(value) ? Object.keys(value).length : 0);
}

export function isObject(value: Json): boolean {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
