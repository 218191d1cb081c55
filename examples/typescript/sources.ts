// Sources: where a snapshot's files are read.

import { readFile } from "node:fs/promises";
import { Refusal, digestOf } from "./values.ts";

export type Found = { data: Uint8Array; tag: string };
/** Returns a file and a tag; null if the tag is the one that was `seen`. */
export type Read = (path: string, seen?: string) => Promise<Found | null>;

const TIMEOUT_MS = 5000;

/** Returns what reads a directory. */
export function directory(top: string): Read {
  return async (path, seen) => {
    try {
      const data = await readFile(`${top}/${path}`);
      const tag = digestOf(data);
      return tag === seen ? null : { data, tag };
    } catch (err) {
      const gone = (err as NodeJS.ErrnoException).code === "ENOENT";
      throw new Refusal(gone ? "not-found" : "store", `${top}/${path} cannot be read: ${err}`);
    }
  };
}

/** Returns what reads a directory behind HTTP, such as a bucket or `llmvc agent --http`. */
export function web(top: string): Read {
  return async (path, seen) => {
    const url = `${top.replace(/\/+$/, "")}/${path}`;
    const headers = new Headers(seen ? { "If-None-Match": seen } : {});
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status === 304) return null;
    const data = new Uint8Array(await answer.arrayBuffer());
    const code = [404, 410].includes(answer.status) ? "not-found" : "store";
    if (!answer.ok) throw new Refusal(code, `${url} answers ${answer.status}`);
    return { data, tag: answer.headers.get("ETag") ?? digestOf(data) };
  };
}
