// The context window: turns of a conversation, and what is left out where a request is too long.
//
// Tokens are estimated as three bytes each and four a message, as llmvc does where it serves.

import { Refusal, canonical, isObject } from "./values.ts";
import type { Json } from "./values.ts";

/** Messages that stay or go together; those whose source is `fixed` stay. */
export type Part = { messages: Json[]; source: string };

const ORDER = ["history", "few_shot"];
const ROLES = ["user", "assistant", "tool"];

/** Returns the last turns of the conversation in `variables.history`, if the bundle wants them. */
export function historyOf(bundle: Json, variables: Json): Part[] {
  const section = bundle.context?.history;
  const listed = variables.history ?? null;
  if (!isObject(section) || listed === null) return [];
  if (!Array.isArray(listed)) throw new Refusal("format", "history is not a list of messages");
  const turns: Part[] = [];
  for (const message of listed) {
    if (!ROLES.includes(message?.role)) throw new Refusal("format", "history holds no message");
    if (asks(message) || !turns.length) turns.push({ messages: [], source: "history" });
    turns[turns.length - 1].messages.push(spelt(message));
  }
  return turns.slice(Math.max(0, turns.length - (section.turns ?? turns.length)));
}

/** Returns the parts that fit, the oldest of those that may go left out first. */
export function fitted(bundle: Json, parts: Part[]): Part[] {
  const { policy = "error", order = ORDER } = bundle.context?.truncation ?? {};
  const sizes = parts.map((part) => part.messages.reduce((sum, one) => sum + tokens(one), 0));
  let over = sizes.reduce((sum, one) => sum + one, besides(bundle)) - mostOf(bundle);
  if (policy !== "drop_oldest") return parts;
  if (bundle.context.tokenizer) throw new Refusal("usage", "this reader counts by no tokenizer");
  const gone = new Set<number>();
  for (const source of order.filter((one: string) => ORDER.includes(one))) {
    parts.forEach((part, at) => {
      if (part.source !== source || over <= 0 || gone.has(at)) return;
      gone.add(at);
      over -= sizes[at];
    });
  }
  return parts.filter((_, at) => !gone.has(at));
}

/** Returns how many tokens the input may have. */
function mostOf({ context = {}, decoding = {} }: Json): number {
  const reserved = context.reserve_output ?? decoding.max_output_tokens ?? 0;
  const window = (context.window ?? Infinity) - reserved;
  return Math.max(0, Math.min(context.max_input_tokens ?? Infinity, window));
}

/** Returns about how many tokens are sent beside the messages. */
function besides({ tools, response }: Json): number {
  const sent: Json = {};
  if (tools?.length) sent.tools = tools;
  if (response && Object.keys(response).length) sent.response = response;
  return Object.keys(sent).length ? estimate(canonical(sent)) : 0;
}

function tokens(message: Json): number {
  const plain = typeof message.content === "string" && Object.keys(message).length === 2;
  return 4 + estimate(plain ? message.content : canonical(message));
}

function estimate(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 3);
}

/** Says whether a message begins a turn; results of tools may come from the user. */
function asks({ role, content }: Json): boolean {
  const parts = Array.isArray(content) ? content : [];
  const results = parts.length > 0 && parts.every((part) => part?.type === "tool_result");
  return role === "user" && !results;
}

/** Returns a message with its calls of tools as bundles have them; OpenAI's API nests them. */
function spelt(message: Json): Json {
  if (!("tool_calls" in message)) return message;
  const { tool_calls: listed, ...kept } = message;
  const calls = (Array.isArray(listed) ? listed : []).map((call) => {
    const told = { ...call, ...call?.function };
    if (typeof told.name !== "string") throw new Refusal("format", "a tool call names no tool");
    const names = ["id", "name", "arguments"].filter((name) => name in told);
    return Object.fromEntries(names.map((name) => [name, told[name]]));
  });
  return calls.length ? { ...kept, tool_calls: calls } : kept;
}
