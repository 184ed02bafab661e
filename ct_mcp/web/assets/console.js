// The little that a page cannot do by itself: let time pass, notice what was decided elsewhere, keep panels fresh.
// Without it everything still works, by reloading.
"use strict";

const READ_MS = 1500;
const LOOK_MS = 1000;

const began = performance.now();
const passed = () => (performance.now() - began) / 1000;

// Nobody reads an order in less: until then the button does not listen. The server counts as well.
let read = false;
let gone = false;
function listen() {
  for (const button of document.querySelectorAll("[data-approve]")) button.disabled = !read || gone;
}
listen();
setTimeout(() => listen((read = true)), READ_MS);

function tick() {
  for (const shown of document.querySelectorAll("[data-left]")) {
    shown.ends ??= passed() + Number(shown.dataset.left);
    shown.textContent = `${Math.max(0, Math.ceil(shown.ends - passed()))} s`;
    const meter = shown.parentElement.querySelector("[data-meter]");
    if (meter) meter.value = Math.max(0, shown.ends - passed());
  }
  for (const shown of document.querySelectorAll("[data-age]")) {
    shown.began ??= passed() - Number(shown.dataset.age);
    shown.textContent = `${Math.floor(passed() - shown.began)} s ago`;
  }
}

function lost(is) {
  const line = document.getElementById("lost");
  if (line.hidden !== is) return;
  line.hidden = !is;
  line.textContent = is ? "ct-mcp does not answer any more. What you see is old, and nothing can be approved here." : "";
  gone = is;
  listen();
}

async function fetched(url) {
  try {
    const answer = await fetch(url, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(15000) });
    lost(false);
    return answer;
  } catch {
    lost(true);
    return null;
  }
}

async function watchTicket() {
  const answer = document.hidden ? null : await fetched(document.body.dataset.stateUrl);
  if (answer) {
    const now = answer.ok ? (await answer.json()).state : "gone";
    if (now !== document.body.dataset.state) return location.replace(location.pathname);
  }
  setTimeout(watchTicket, LOOK_MS);
}

const tickets = (panel) => new Set([...panel.querySelectorAll("[data-ticket]")].map((item) => item.querySelector("a").pathname));

function announce(panel, before) {
  const fresh = [...panel.querySelectorAll("[data-ticket]")].filter((item) => !before.has(item.querySelector("a").pathname));
  if (!fresh.length) return;
  document.getElementById("news").textContent = `Waiting for you: ${fresh.map((item) => item.dataset.ticket).join("; ")}`;
}

// Times go on by themselves; a panel that differs in nothing else stays, since a press needs its button to stay.
const timeless = (html) => html.replace(/(data-(?:left|age)=")\d+(">)[^<]*/g, "$1$2");

// What the person is just typing stays as it is until they leave it.
const isTypedIn = (panel) => panel.contains(document.activeElement) && document.activeElement.matches("input");

const nameOf = (element) => element.pathname ?? element.getAttribute("aria-label") ?? element.textContent;

function replace(panel, fresh) {
  const before = tickets(panel);
  const held = panel.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  panel.replaceChildren(...fresh.childNodes);
  if (held) [...panel.querySelectorAll("a, button, [tabindex]")].find((element) => nameOf(element) === held)?.focus();
  announce(panel, before);
  tick();
}

async function refresh(panel) {
  if (!document.hidden && !isTypedIn(panel)) {
    const answer = await fetched(panel.dataset.panel + location.search);
    if (answer?.status === 403) return location.reload();
    const fresh = answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html").body : null;
    const now = fresh ? timeless(fresh.innerHTML) : panel.last;
    if (now !== panel.last && !isTypedIn(panel)) {
      panel.last = now;
      replace(panel, fresh);
    }
  }
  setTimeout(refresh, 1000 * panel.dataset.every, panel);
}

for (const panel of document.querySelectorAll("[data-panel]")) panel.last = timeless(panel.innerHTML);
tick();
setInterval(tick, 250);
if (document.body.dataset.stateUrl) setTimeout(watchTicket, LOOK_MS);
for (const panel of document.querySelectorAll("[data-panel]")) setTimeout(refresh, 1000 * panel.dataset.every, panel);
