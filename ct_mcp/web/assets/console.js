// The little that a page cannot do by itself: let time pass, notice what was decided elsewhere, keep panels fresh.
// Without it everything still works, by reloading.
"use strict";

const READ_MS = 1500;
const LOOK_MS = 1000;
const HIDDEN_LOOK_MS = 5000;

const began = performance.now();
const passed = () => (performance.now() - began) / 1000;

// Nobody reads an order in less: until then no button listens, and so again whenever a card moves beneath the pointer or
// the page comes to the front. The server counts as well.
let read = false;
let gone = false;
let held;
function listen() {
  for (const button of document.querySelectorAll("[data-approve]")) button.disabled = !read || gone;
}
function hold() {
  clearTimeout(held);
  listen((read = false));
  held = setTimeout(() => listen((read = true)), READ_MS);
}
hold();

// A length of time as the server writes it.
function span(seconds) {
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (seconds < 120) return `${seconds} s`;
  if (minutes < 120) return `${minutes} min`;
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function tick() {
  for (const shown of document.querySelectorAll("[data-left]")) {
    shown.ends ??= passed() + Number(shown.dataset.left);
    shown.textContent = `${Math.max(0, Math.ceil(shown.ends - passed()))} s`;
    const meter = shown.parentElement.querySelector("[data-meter]");
    if (meter) meter.value = Math.max(0, shown.ends - passed());
  }
  for (const shown of document.querySelectorAll("[data-age]")) {
    shown.began ??= passed() - Number(shown.dataset.age);
    shown.textContent = `${span(Math.floor(passed() - shown.began))} ago`;
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

const cardsOf = (page) => [...page.querySelectorAll("[data-card]")];
const cardOf = (element) => element?.closest?.("[data-card]")?.dataset.card;

// Only what is out of date is exchanged: a card that is still true keeps what is typed into it, and its focus.
function exchange(fresh) {
  const cards = document.getElementById("cards");
  const before = new Map(cardsOf(cards).map((card) => [card.dataset.card, card]));
  const wanted = cardsOf(fresh);
  const names = new Set(wanted.map((card) => card.dataset.card));
  const [left] = (cardOf(document.activeElement) ?? "").split(":");
  for (const [name, card] of before) if (!names.has(name)) card.remove();
  for (const field of fresh.querySelectorAll("[autofocus]")) field.removeAttribute("autofocus");
  let place = cards.firstElementChild;
  for (const card of wanted) {
    if (before.has(card.dataset.card)) place = before.get(card.dataset.card).nextElementSibling;
    else cards.insertBefore(document.adoptNode(card), place);
  }
  const added = wanted.filter((card) => !before.has(card.dataset.card));
  added.find((card) => card.dataset.card.startsWith(`${left}:`))?.querySelector("h1")?.focus();
  document.getElementById("news").textContent = added.map((card) => card.dataset.says).join("; ");
  document.title = fresh.title;
  document.body.dataset.state = fresh.body.dataset.state;
  hold();
  tick();
}

const asSeen = (path) => (document.hidden ? `${path}?hidden` : path);

async function watch() {
  clearTimeout(looks);
  const answer = await fetched(asSeen(document.body.dataset.stateUrl));
  if (answer && !answer.ok) return location.replace(document.body.dataset.page);
  if (answer && (await answer.json()).state !== document.body.dataset.state) {
    const page = await fetched(asSeen(document.body.dataset.page));
    if (page && !page.ok) return location.replace(document.body.dataset.page);
    if (page) exchange(new DOMParser().parseFromString(await page.text(), "text/html"));
  }
  clearTimeout(looks);
  looks = setTimeout(watch, document.hidden ? HIDDEN_LOOK_MS : LOOK_MS);
}
let looks;

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  hold();
  if (document.body.dataset.stateUrl) watch();
});

const tickets = (panel) => new Set([...panel.querySelectorAll("[data-ticket]")].map((item) => item.querySelector("a").pathname));

function announce(panel, before) {
  const fresh = [...panel.querySelectorAll("[data-ticket]")].filter((item) => !before.has(item.querySelector("a").pathname));
  if (fresh.length) call(`Waiting for you: ${fresh.map((item) => item.dataset.ticket).join("; ")}`);
}

// What a watch has told since the page was opened.
let told = Math.max(0, ...[...document.querySelectorAll("[data-notice]")].map((item) => Number(item.dataset.notice)));
function announceTold(panel) {
  const fresh = [...panel.querySelectorAll("[data-notice]")].filter((item) => Number(item.dataset.notice) > told);
  if (!fresh.length) return;
  told = Math.max(...fresh.map((item) => Number(item.dataset.notice)));
  call(fresh.map((item) => item.textContent.trim()).reverse().join("; "));
}

// Everything that the person should look up for: in the title until they look, as a sound, and as a notice of the system
// where they allow it. None of it decides anything, and whatever is not allowed stays away.
const title = document.title;
function call(words) {
  document.getElementById("news").textContent = words;
  document.title = `(!) ${words.slice(0, 60)} - ${title}`;
  sound();
  if (globalThis.Notification?.permission === "granted") new Notification("ct-mcp", { body: words.slice(0, 300), tag: "ct-mcp" });
}
function seen() {
  if (!document.hidden) document.title = title;
}
addEventListener("focus", seen);
addEventListener("pointerdown", seen);
addEventListener("keydown", seen);

let audio;
function sound() {
  try {
    audio ??= new AudioContext();
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    tone.frequency.value = 880;
    volume.gain.setValueAtTime(0.2, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.6);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.6);
  } catch {
    // A machine without sound is told by the title.
  }
}

const notify = document.getElementById("notify");
if (notify && globalThis.Notification) {
  notify.hidden = Notification.permission !== "default";
  notify.addEventListener("click", async () => (notify.hidden = (await Notification.requestPermission()) !== "default"));
}

// Times go on by themselves; a panel that differs in nothing else stays, since a press needs its button to stay.
const timeless = (html) => html.replace(/(data-(?:left|age)=")\d+(">)[^<]*/g, "$1$2");

// What the person is just typing stays as it is until they leave it.
const isTypedIn = (panel) => panel.contains(document.activeElement) && document.activeElement.matches("input, textarea");

const nameOf = (element) => element.href ?? element.getAttribute("aria-label") ?? element.textContent;

// What has aged differently, as when somebody was heard anew, in what is the same else.
function ageAnew(panel, fresh) {
  const told = fresh.querySelectorAll("[data-age]");
  for (const [at, shown] of panel.querySelectorAll("[data-age]").entries()) {
    shown.dataset.age = told[at].dataset.age;
    delete shown.began;
  }
}

function replace(panel, fresh) {
  const before = tickets(panel);
  const held = panel.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  panel.replaceChildren(...fresh.childNodes);
  if (held) [...panel.querySelectorAll("a, button, [tabindex]")].find((element) => nameOf(element) === held)?.focus();
  announce(panel, before);
  announceTold(panel);
  tick();
}

// What calls the person is looked at behind other windows too.
const calls = (panel) => /\/panel\/(tickets|watches)$/.test(panel.dataset.panel);

async function refresh(panel) {
  if ((!document.hidden || calls(panel)) && !isTypedIn(panel)) {
    const answer = await fetched(panel.dataset.panel + location.search);
    if (answer?.status === 403) return location.reload();
    const fresh = answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html").body : null;
    const now = fresh ? timeless(fresh.innerHTML) : panel.last;
    if (now !== panel.last && !isTypedIn(panel)) {
      panel.last = now;
      replace(panel, fresh);
    } else if (fresh && !isTypedIn(panel)) ageAnew(panel, fresh);
  }
  setTimeout(refresh, 1000 * panel.dataset.every, panel);
}

for (const panel of document.querySelectorAll("[data-panel]")) panel.last = timeless(panel.innerHTML);
tick();
setInterval(tick, 250);
if (document.body.dataset.stateUrl) looks = setTimeout(watch, LOOK_MS);
for (const panel of document.querySelectorAll("[data-panel]")) setTimeout(refresh, 1000 * panel.dataset.every, panel);
