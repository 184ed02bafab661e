// A person and an assistant at an MCP client: walks the steps that a test writes to stdin, one JSON object a line,
// answers each with one line, and leaves when stdin closes. What differs between the generations of the SDK stands in v1.mjs and v2.mjs.

import { createInterface } from "node:readline";
import { setTimeout as after } from "node:timers/promises";

export const options = JSON.parse(process.argv[2]);
const [command, ...args] = options.server;

// What went wrong below the protocol, a line on stdout that is no message for one.
const faults = [];
// What the person was asked since the last answer.
let asked = [];
let person = {};

const phraseIn = (message) => message.split("type:")[1].split("\n")[0].trim();

const ANSWERS = {
  "right text": (message) => ({ action: "accept", content: { answer: phraseIn(message) } }),
  "wrong text": () => ({ action: "accept", content: { answer: "yes" } }),
  "empty form": () => ({ action: "accept", content: {} }),
  decline: () => ({ action: "decline" }),
  cancel: () => ({ action: "cancel" }),
  nothing: () => new Promise(() => {}),
};

async function answerForm({ params }) {
  asked.push(params.message);
  await after(person.after_ms ?? 0);
  return ANSWERS[person.answers](params.message);
}

const DEEDS = {
  list: (client) => client.listTools(),
  resources: (client) => client.listResources(),
  read: (client, { uri }) => client.readResource({ uri }),
  call: (client, { name, arguments: given }) => client.callTool({ name, arguments: given }),
};

async function walk(client, step) {
  person = step.person ?? {};
  try {
    return { result: (await DEEDS[step.do](client, step)) ?? null };
  } catch (error) {
    return { error: { name: error.constructor.name, code: error.code ?? null, message: error.message } };
  }
}

function say(answer) {
  process.stdout.write(`${JSON.stringify({ ...answer, asked, faults })}\n`);
  asked = [];
}

// `make(capabilities)` gives a client that is not connected, `listen(client, answerForm)` lets it ask the person,
// `reach(server)` gives the transport that starts the server.
export async function drive({ make, listen, reach, negotiated }) {
  const client = make(options.forms ? { elicitation: {} } : {});
  if (options.forms) listen(client, answerForm);
  client.onerror = (error) => faults.push(error.message);
  await client.connect(reach({ command, args, env: options.env, stderr: "inherit" }));
  say({ result: { server: client.getServerVersion(), protocol: negotiated(client) } });
  for await (const line of createInterface({ input: process.stdin })) say(await walk(client, JSON.parse(line)));
  await client.close();
  say({ result: null });
}
