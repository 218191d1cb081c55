// Reads snapshots as docs/serving.md publishes them, and decides as llmvc.runtime does.
//
//   const client = await open("/srv/llmvc");             // or "https://…"
//   const given = client.resolve("support", { unit: "conversation-42", pin });
//   const body = given.render({ message: "Hello" });     // of POST /v1/chat/completions
//
// - A snapshot is taken whole or not at all; each object is the one that its name says.
// - No environment goes back, is gone, or is forked; what was good is served on.
// - `resolve` does no I/O. It needs no package, no llmvc and no Git.

import { blake3 } from "./blake3.ts";
import { rendered } from "./request.ts";
import { directory, web } from "./sources.ts";
import type { Read } from "./sources.ts";
import { MOST, Refusal, decoded, digestOf, hasOnly, isObject } from "./values.ts";
import type { Json } from "./values.ts";

export type Get = (wanted: string) => Promise<Uint8Array>;
export type Tip = { release: Json; digest: string };
export type Tips = Map<string, Tip>;
export type Taken = {
  tips: Tips;
  pinnable: Map<string, string[]>;
  bundles: Map<string, Json>;
  objects: Map<string, Uint8Array>;
};
export type Asked = { env?: string; unit?: string | null; pin?: string | null };
export type OnStale = "serve" | "baseline_only" | "raise";
export type How = { stale?: OnStale | null; onNoUnit?: string };
export type Options = {
  everyS?: number;
  maxAgeS?: number;
  onStale?: OnStale;
  onNoUnit?: "baseline" | "raise";
  onProblem?: (problem: string) => void;
};

/** A pointer tells of releases that what is served came from: a copy that lags, or a rewind. */
class Older extends Refusal {}

const WINDOW = 32;
const PATIENCE_S = 60; // how long older pointers are no problem
const LONGEST = 10;
const DIGEST = /^b3:[0-9a-f]{64}$/;
const NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;
const PIN = /^p1:([a-z0-9][a-z0-9-]{0,39}):([1-9][0-9]{0,14}):(b3:[0-9a-f]{64})$/;
const KINDS = "adopt promote migrate rollback override start step pause abort close".split(" ");
const MEMBERS = (
  "llmvc bundle env seq kind previous target from to suite report policy source time actor " +
  "reason proven rolled_back drain canary"
).split(" ");

/** Reads a place, and keeps reading it until the client is closed. */
export async function open(place: string, options: Options = {}): Promise<Client> {
  const read = /^https?:/.test(place) ? web(place) : directory(place);
  const client = new Client(read, { everyS: /^https?:/.test(place) ? 2 : 0.1, ...options });
  await client.start();
  return client;
}

/** Serves bundles out of one place; `open` makes one. */
export class Client {
  #read: Read;
  #options: Options;
  #taken: Taken | null = null;
  #tag = "";
  #fresh = 0;
  #agreed = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  problem: string | null = null;

  constructor(read: Read, options: Options) {
    this.#read = read;
    this.#options = options;
  }

  /** Returns what to serve; the arguments are those of llmvc.runtime's `resolve`. */
  resolve(bundle: string, asked: Asked = {}): Assignment {
    if (this.#taken === null) throw new Refusal("store", "nothing was read yet");
    const { maxAgeS = Infinity, onStale = "baseline_only", onNoUnit } = this.#options;
    const stale = this.staleS > maxAgeS ? onStale : null;
    return resolve(this.#taken, bundle, asked, { stale, onNoUnit });
  }

  /** Seconds since the source was last known to be read. */
  get staleS(): number {
    return performance.now() / 1000 - this.#fresh;
  }

  /** Looks once and begins to look again and again; raises if nothing can be read. */
  async start(): Promise<void> {
    await this.#take();
    this.#wait();
  }

  /** Looks at once; whatever is wrong is kept in `problem`, and what was good is served on. */
  async refresh(): Promise<void> {
    try {
      await this.#take();
      this.#failures = 0;
      this.problem = null;
    } catch (err) {
      const problem = String((err as Error).message);
      if (problem !== this.problem) this.#options.onProblem?.(problem);
      this.#failures += 1;
      this.problem = problem;
    }
  }

  /** Stops looking; what was read last is still served. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #take(): Promise<void> {
    const found = await this.#read("snapshot.json", this.#tag);
    const now = performance.now() / 1000;
    if (found !== null) {
      try {
        this.#taken = await load(found.data, this.#read, this.#taken ?? undefined);
      } catch (err) {
        if (err instanceof Older && now - this.#agreed <= PATIENCE_S) return;
        throw err;
      }
      this.#tag = found.tag;
    }
    this.#agreed = now;
    let age = 0;
    try {
      const told = await this.#read("checked");
      if (told !== null) age = Date.now() - Date.parse(Buffer.from(told.data).toString());
    } catch (err) {
      if ((err as Refusal).code !== "not-found") throw err;
    }
    if (Number.isNaN(age)) throw new Refusal("format", "checked is no time");
    this.#fresh = (performance.now() - Math.max(0, age)) / 1000;
  }

  #wait(): void {
    const spread = 0.9 + 0.2 * Math.random(); // a fleet does not look all at once
    const times = Math.min(2 ** this.#failures, LONGEST);
    const next = () => this.refresh().then(() => this.#timer && this.#wait());
    this.#timer = setTimeout(next, 1000 * (this.#options.everyS ?? 2) * times * spread);
    this.#timer.unref();
  }
}

/** Reads a snapshot whole; `last` is what is served now, which no environment may fall behind. */
export async function load(pointer: Uint8Array, read: Read, last?: Taken): Promise<Taken> {
  const body = decoded(pointer, "snapshot/1");
  const objects = new Map<string, Uint8Array>();
  const get = async (wanted: string) => {
    if (!DIGEST.test(wanted)) throw new Refusal("format", `not a digest: ${wanted}`);
    const known = objects.get(wanted) ?? last?.objects.get(wanted);
    const data = known ?? (await read(`objects/${wanted.slice(3)}`))?.data;
    if (!data || data.length > MOST || (!known && digestOf(data) !== wanted)) {
      throw new Refusal("integrity", `object ${wanted.slice(0, 15)} is not what its name says`);
    }
    objects.set(wanted, data);
    return data;
  };
  const tips = new Map<string, Tip>();
  for (const [key, told] of tipsOf(body)) {
    const release = releaseOf(await get(told.release));
    if (keyOf(release) !== key || release.seq !== told.seq) {
      throw new Refusal("integrity", `${key} release ${told.seq} is in truth another one`);
    }
    tips.set(key, { release, digest: told.release });
  }
  if (last) await checkAfter(last.tips, tips, get);
  const pinnable = new Map<string, string[]>(Object.entries(body.bundles));
  const bundles = new Map<string, Json>();
  const served = [...tips.values()].map((tip) => tip.release.to);
  for (const one of [...served, ...[...pinnable.values()].flat()]) await take(one, bundles, get);
  return { tips, pinnable, bundles, objects };
}

/** Returns `bundle/env` and what the pointer says of it, for each environment. */
function tipsOf(body: Json): [string, Json][] {
  const wrong = new Refusal("format", "snapshot.json holds what this reader does not know");
  if (!hasOnly(body, ["llmvc", "environments", "bundles"])) throw wrong;
  if (!isObject(body.environments)) throw wrong;
  if (!hasOnly(body.bundles, Object.keys(body.environments))) throw wrong;
  return Object.entries<Json>(body.environments).flatMap(([name, envs]) => {
    if (!NAME.test(name) || !isObject(envs) || !Object.keys(envs).length) throw wrong;
    if (!Array.isArray(body.bundles[name])) throw wrong;
    return Object.entries<Json>(envs).map(([env, tip]) => {
      if (!NAME.test(env) || !hasOnly(tip, ["seq", "release"])) throw wrong;
      if (!Number.isInteger(tip.seq) || tip.seq < 1) throw wrong;
      return [`${name}/${env}`, tip] as [string, Json];
    });
  });
}

/** Returns a release record; one that a later version has made is refused. */
function releaseOf(data: Uint8Array): Json {
  const release = decoded(data, "release/1");
  const { kind, rolled_back: left, canary } = release;
  if (!hasOnly(release, MEMBERS) || !KINDS.includes(kind) || !Array.isArray(left)) {
    throw new Refusal("format", "a release holds what this reader does not know");
  }
  if (canary !== null && canary.bucketing !== "b3-1") {
    throw new Refusal("format", "a canary assigns by a rule that this reader does not know");
  }
  return release;
}

/** Checks that every environment goes on from where it was. */
async function checkAfter(last: Tips, tips: Tips, get: Get): Promise<void> {
  let behind = "";
  let apart = [...tips.keys()].some((key) => !last.has(key));
  for (const [key, old] of last) {
    const now = tips.get(key);
    if (!now) {
      behind ||= `${key} is gone`;
      continue;
    }
    const forward = now.release.seq >= old.release.seq;
    const [first, then] = forward ? [old, now] : [now, old];
    const at = await walked(then, first.release.seq, get);
    if (at !== null && at.digest !== first.digest) {
      throw new Refusal("integrity", `${key} is forked: there is another release ${at.release.seq}`);
    }
    if (!forward) behind ||= `${key} went back to release ${now.release.seq}`;
    if (at === null || now.release.seq > old.release.seq) apart = true;
  }
  if (behind && apart) throw new Refusal("integrity", behind);
  if (behind) throw new Older("integrity", behind);
}

/** Returns the release of that number before a release; null if the snapshot does not hold it. */
async function walked(from: Tip, seq: number, get: Get): Promise<Tip | null> {
  let at = from;
  for (let steps = 0; steps < WINDOW && at.release.seq > seq; steps++) {
    const before = await previous(at, get);
    if (before === null) return null;
    at = before;
  }
  return at.release.seq === seq ? at : null;
}

/** Returns the release before this one; null if the snapshot does not hold it. */
async function previous({ release: now }: Tip, get: Get): Promise<Tip | null> {
  try {
    const release = now.previous === null ? null : releaseOf(await get(now.previous));
    if (release === null) return null;
    if (keyOf(release) === keyOf(now) && release.seq === now.seq - 1) {
      return { release, digest: now.previous };
    }
  } catch (err) {
    if ((err as Refusal).code === "not-found") return null;
    throw err;
  }
  throw new Refusal("integrity", `${keyOf(now)} release ${now.seq} follows another one`);
}

/** Reads a bundle and the members of a set; assets are read to be checked. */
async function take(wanted: string, bundles: Map<string, Json>, get: Get): Promise<void> {
  if (bundles.has(wanted)) return;
  const body = decoded(await get(wanted), "bundle/1");
  bundles.set(wanted, body);
  for (const one of Object.values<string>(body.assets ?? {})) await get(one);
  for (const one of Object.values<string>(body.members ?? {})) await take(one, bundles, get);
}

function keyOf(release: Json): string {
  return `${release.bundle}/${release.env}`;
}

/** Returns a unit's place among a million, by the rule b3-1. */
export function bucket(salt: string, unit: string): number {
  const hashed = Buffer.from(blake3(Buffer.from(`${salt}\0${unit}`)));
  return Number((hashed.readBigUInt64BE(0) * 1000000n) >> 64n);
}

/** What one call of `resolve` decided; the members are those of llmvc.runtime's. */
export class Assignment {
  name = "";
  env = "";
  arm = "";
  digest = "";
  release: string | null = null;
  seq = 0;
  rollout: string | null = null;
  pin = "";
  pinned = false;
  unit: string | null = null;
  #taken: Taken;

  constructor(taken: Taken, told: Json) {
    this.#taken = taken;
    Object.assign(this, told);
  }

  /** Returns the body of a request to the provider; of a set, that of one member. */
  render(variables: Json, member?: string): Json {
    const bundle = this.#taken.bundles.get(this.digest);
    if (member === undefined) return rendered(bundle, variables);
    const found = this.#taken.bundles.get(bundle.members?.[member]);
    if (!found) throw new Refusal("not-found", `the set has no member '${member}'`);
    return rendered(found, variables);
  }
}

/** Returns what is served; the same snapshot and arguments give the same answer everywhere. */
export function resolve(of: Taken, bundle: string, asked: Asked = {}, how: How = {}): Assignment {
  const { env = "prod", unit = null, pin = null } = asked;
  const tip = of.tips.get(`${bundle}/${env}`);
  if (!tip) throw new Refusal("not-found", `${bundle}/${env} has no release here`);
  if (unit !== null && (typeof unit !== "string" || unit === "" || /\p{Cs}/u.test(unit))) {
    throw new Refusal("usage", "the unit is empty, or no text");
  }
  const told = { name: bundle, env, unit };
  const [, from, seq, digest] = PIN.exec(pin ?? "") ?? [];
  if (digest && stands(of, tip, from, digest)) {
    const pinned = { arm: "pinned", digest, seq: Number(seq), pin, pinned: true };
    return new Assignment(of, { ...told, ...pinned });
  }
  if (how.stale === "raise") throw new Refusal("store", "what is served is stale");
  const canary = how.stale === "baseline_only" ? null : counting(of, tip);
  if (canary && unit === null && how.onNoUnit === "raise") {
    throw new Refusal("usage", "a canary is open, and there is no unit");
  }
  const { salt, share_ppm: share } = canary?.release.canary ?? {};
  const inside = canary !== null && unit !== null && bucket(salt, unit) < share;
  const by = canary !== null && unit !== null ? canary : tip; // the release that decides
  const to = (inside ? by : tip).release.to;
  return new Assignment(of, {
    ...told,
    arm: inside ? "canary" : "baseline",
    digest: to,
    release: by.digest,
    seq: by.release.seq,
    rollout: by === canary ? salt : null,
    pin: `p1:${by.release.env}:${by.release.seq}:${to}`,
  });
}

/** Returns the release of the canary that counts beside an environment; null if none does. */
function counting(of: Taken, tip: Tip): Tip | null {
  const { bundle, env } = tip.release;
  const open = [...of.tips.values()].filter(
    ({ release }) => release.bundle === bundle && release.canary?.of === env,
  );
  return open.length === 1 && open[0].release.canary.baseline === tip.digest ? open[0] : null;
}

/** Says whether a pin's digest may be named, and neither chain has revoked it. */
function stands(of: Taken, tip: Tip, from: string, digest: string): boolean {
  const { bundle } = tip.release;
  const revoked = [tip, of.tips.get(`${bundle}/${from}`)].some(
    (one) =>
      one?.release.rolled_back.includes(digest) && !one.release.drain?.includes(digest),
  );
  return !revoked && (of.pinnable.get(bundle) ?? []).includes(digest);
}
