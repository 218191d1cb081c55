// Requests: what a bundle asks a model, as the body of an OpenAI chat completion.
//
// It knows the templates `simple` and `none`. A bundle that asks for jinja2 or another API is
// refused, since what is sent must be what was measured.

import { fitted, historyOf } from "./context.ts";
import type { Part } from "./context.ts";
import { Refusal, canonical, isObject } from "./values.ts";
import type { Json } from "./values.ts";

const SLOT = /\\\{\{|\{\{[ \t\r\n]*([A-Za-z_][A-Za-z0-9_]*)[ \t\r\n]*\}\}|\{\{/g;
const SAME = (
  "temperature top_p top_k stop n frequency_penalty presence_penalty repetition_penalty " +
  "logprobs top_logprobs logit_bias verbosity service_tier"
).split(" ");

/** Returns the body of a chat completion; of a canned bundle its answer, as `{canned: text}`. */
export function rendered(bundle: Json, variables: Json, asked?: string | null): Json {
  const { model = {}, decoding = {}, tool_choice: choice, response } = bundle;
  const messages = messagesOf(bundle, variables);
  if (model.provider === "canned") return { canned: cannedOf(messages) };
  const api = asked ?? model.api ?? (model.provider === "anthropic" ? "messages" : "chat");
  if (api !== "chat") throw new Refusal("usage", `this reader does not speak ${api}`);
  const told: Json = { model: model.snapshot || (model.id ?? null) };
  told.messages = messages.map(spokenOf);
  for (const name of SAME) if (name in decoding) told[name] = decoding[name];
  const limit = model.provider === "openai" ? "max_completion_tokens" : "max_tokens";
  if ("max_output_tokens" in decoding) told[limit] = decoding.max_output_tokens;
  if ("effort" in (decoding.reasoning ?? {})) told.reasoning_effort = decoding.reasoning.effort;
  if ("tools" in bundle) told.tools = bundle.tools.map(toolOf);
  if ("tool_choice" in bundle) {
    told.tool_choice = choice?.name
      ? { type: "function", function: { name: choice.name } }
      : choice;
  }
  if ("parallel_tool_calls" in bundle) told.parallel_tool_calls = bundle.parallel_tool_calls;
  if (response?.format) told.response_format = formatOf(response);
  if ((decoding.seed ?? null) !== null) told.seed = decoding.seed;
  return { ...told, ...decoding.extra };
}

/** Returns a template of the engine `simple` with its variables filled in. */
export function filled(source: string, variables: Json): string {
  return source.replace(SLOT, (slot, name) => {
    if (slot.startsWith("\\")) return "{{";
    if (!name) throw new Refusal("format", "'{{' is not followed by a variable name and '}}'");
    if (!Object.hasOwn(variables, name)) {
      throw new Refusal("format", `template variable '${name}' has no value`);
    }
    return typeof variables[name] === "string" ? variables[name] : canonical(variables[name]);
  });
}

/** Returns a bundle's messages; examples and turns stand before the last one of the user. */
function messagesOf(bundle: Json, given: Json): Json[] {
  if (!bundle.messages?.length) throw new Refusal("format", "the bundle has no messages");
  const variables = { ...defaultsOf(bundle), ...given };
  const messages = bundle.messages.map((one: Json) => messageOf(one, variables));
  const last = bundle.messages.findLastIndex((one: Json) => one.role === "user");
  const at = last < 0 ? messages.length : last;
  const parts = [
    { messages: messages.slice(0, at), source: "fixed" },
    ...examplesOf(bundle, bundle.messages[last], variables),
    ...historyOf(bundle, variables),
    { messages: messages.slice(at), source: "fixed" },
  ];
  return fitted(bundle, parts).flatMap((part) => part.messages);
}

/** Returns the examples that the selector picks, each asked as the last message of the user. */
function examplesOf({ few_shot: shots }: Json, user: Json, variables: Json): Part[] {
  if (!isObject(shots)) return [];
  if (!user) throw new Refusal("format", "few_shot needs a user message to show examples with");
  const { examples = [], selector = {} } = shots;
  const chosen = examples.slice(0, selector.k ?? undefined);
  if (selector.order === "reversed") chosen.reverse();
  return chosen.map(({ vars, output }: Json) => {
    const asked = messageOf(user, { ...variables, ...vars });
    return { messages: [asked, { role: "assistant", content: output }], source: "few_shot" };
  });
}

/** Returns the defaults that the bundle's variables schema declares. */
function defaultsOf(bundle: Json): Json {
  const specs = Object.entries<Json>(bundle.variables?.properties ?? {});
  const having = specs.filter(([, spec]) => isObject(spec) && "default" in spec);
  return Object.fromEntries(having.map(([name, spec]) => [name, spec.default]));
}

/** Returns a message with its texts filled in. */
function messageOf(message: Json, variables: Json): Json {
  const { engine = "simple", ...kept } = message;
  if (engine === "jinja2") throw new Refusal("usage", "this reader has no jinja2");
  const fill = (text: string) => (engine === "none" ? text : filled(text, variables));
  if (typeof kept.content === "string") kept.content = fill(kept.content);
  else if (Array.isArray(kept.content)) {
    kept.content = kept.content.map((part: Json) =>
      typeof part?.text === "string" ? { ...part, text: fill(part.text) } : part,
    );
  }
  return kept;
}

/** Returns a message with its calls of tools as functions, as the API has them. */
function spokenOf(message: Json): Json {
  if (!("tool_calls" in message)) return message;
  return { ...message, tool_calls: (message.tool_calls ?? []).map(callOf) };
}

/** Returns the one answer of a bundle that asks no model. */
function cannedOf(messages: Json[]): string {
  const [only] = messages;
  if (messages.length === 1 && only.role === "assistant" && typeof only.content === "string") {
    return only.content;
  }
  throw new Refusal("format", "a canned bundle does not consist of one message of the assistant");
}

function callOf(call: Json): Json {
  const given = call.arguments ?? {};
  const text = typeof given === "string" ? given : canonical(given);
  const told = { name: call.name ?? null, arguments: text };
  return { id: call.id ?? "", type: "function", function: told };
}

function toolOf(tool: Json): Json {
  const told = picked(tool, ["name", "description", "strict"]);
  if ("input_schema" in tool) told.parameters = tool.input_schema;
  return { type: "function", function: told };
}

function formatOf(response: Json): Json {
  if (response.format !== "json_schema") return { type: response.format };
  const told = picked(response, ["description", "schema", "strict"]);
  return { type: "json_schema", json_schema: { name: response.name ?? "response", ...told } };
}

/** Returns those of these members that a value has. */
function picked(value: Json, names: string[]): Json {
  const had = names.filter((name) => name in value);
  return Object.fromEntries(had.map((name) => [name, value[name]]));
}
