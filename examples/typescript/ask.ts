// Answers questions from standard input, one JSON object a line:
//
//   echo '{"bundle": "support", "unit": "u1", "variables": {"message": "Hi"}}' | node ask.ts serve
//
// Each answer is the assignment, and with `variables` the request; or why it was refused. It looks
// at the snapshot before each answer, so that what comes back is what is there now.

import { createInterface } from "node:readline";
import { open } from "./llmvc.ts";
import type { Json } from "./values.ts";

const client = await open(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  await client.refresh();
  console.log(JSON.stringify(answered(JSON.parse(line))));
}
client.close();

function answered({ bundle, variables, member, ...asked }: Json): Json {
  try {
    const assignment = client.resolve(bundle, asked);
    const request = variables && assignment.render(variables, member);
    return { assignment, request, problem: client.problem };
  } catch (err) {
    const { code, message } = err as Json;
    return { error: { code, message }, problem: client.problem };
  }
}
