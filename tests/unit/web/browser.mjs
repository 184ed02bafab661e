// A person's browser: takes one step a line from stdin, a JSON object with the script of it, and answers each with one line.
// A step is the body of an async function that is given `page` and `context`; `fresh` begins with nothing remembered.

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [executable] = process.argv.slice(2);
const LONGEST_MS = 10_000;
const AsyncFunction = (async () => {}).constructor;

const browser = await chromium.launch({ executablePath: executable, args: ["--no-sandbox", "--disable-gpu"] });
let context, page;
// What the pages asked for, and what they complained of, since the last `fresh`.
let asked, complaints;

async function fresh({ width = 1280, height = 900, scheme = "light", script = true }) {
  await context?.close();
  [asked, complaints] = [[], []];
  const viewport = { width, height };
  context = await browser.newContext({ viewport, colorScheme: scheme, javaScriptEnabled: script, reducedMotion: "reduce" });
  context.setDefaultTimeout(LONGEST_MS);
  context.on("request", (request) => asked.push(request.url()));
  context.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  context.on("weberror", (error) => complaints.push(String(error.error())));
  page = await context.newPage();
}

async function take(step) {
  try {
    if (step.fresh) await fresh(step.fresh);
    return { result: (await new AsyncFunction("page", "context", step.script)(page, context)) ?? null };
  } catch (error) {
    return { error: `${error.message}\n${await page?.content().catch(() => "")}`.slice(0, 6000) };
  }
}

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
say({ result: browser.version() });
for await (const line of createInterface({ input: process.stdin })) say({ ...(await take(JSON.parse(line))), asked, complaints });
await browser.close();
