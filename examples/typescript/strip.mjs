// Lets Node 20 run these files: node --import ./strip.mjs serve.ts
//
// Node from 22.18 on erases types by itself and needs none of this. What is erased here is only the
// little that these files use: `export type` at the start of a line, annotations, `as T` and type
// arguments of what GENERIC names, where T begins with a capital or is one of the names below.

import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";

if (isMainThread) register(import.meta.url);

const NAME = String.raw`(?:string|number|boolean|unknown|void|NodeJS\.\w+|[A-Z]\w*)`;
const ARGUMENTS = String.raw`(?:<[^<>()=]*(?:<[^<>()=]*>)?[^<>()=]*>)?`;
const ONE = String.raw`(?:\[string, Json\]|${NAME}${ARGUMENTS})(?:\[\])*`;
const TYPE = String.raw`${ONE}(?: \| (?:null|undefined|${ONE}))*`;
const GENERIC = String.raw`\b(?:Map|Set|entries|values)`;
const ERASED = [
  [/^import type .*;$/gm, ""],
  [/^export type [^;{]*(?:\{[^}]*\})?[^;{]*;$/gm, ""],
  [new RegExp(String.raw`(?<=[\w)\]}])\??: ${TYPE}(?=[,;)]| =| \{| =>)`, "g"), ""],
  [new RegExp(String.raw` as ${TYPE}`, "g"), ""],
  [new RegExp(String.raw`(?<=${GENERIC})<${TYPE}(?:, ${TYPE})*>(?=\()`, "g"), ""],
];

/** Node's hook for loading a module. */
export async function load(url, context, next) {
  if (!url.endsWith(".ts")) return next(url, context);
  const text = await readFile(fileURLToPath(url), "utf8");
  const source = ERASED.reduce((left, [what, by]) => left.replace(what, by), text);
  return { format: "module", source, shortCircuit: true };
}
