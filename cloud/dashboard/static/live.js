// Keeps an open page true. News come over a WebSocket; where that is blocked, the page asks every few seconds.
// The server renders everything: on news the page is fetched again, and only what changed is exchanged.

const main = document.querySelector("main");
const page = document.documentElement.lang;
const locale = `${navigator.languages.find((name) => name.split("-")[0] === page) ?? page}-u-nu-latn`; // codes and PINs have these digits too
const long = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const short = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const absolute = { format: (moment) => (new Date(moment).getFullYear() === new Date().getFullYear() ? short : long).format(moment) };
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "always" });

const POLL_MS = 5_000;
const REST_MS = 1_000; // between two fetches of a busy page
const SILENCE_MS = 75_000; // the server says something every 30 s

// --- times ---

const STEPS = [[60, 10, "second", 1], [3_600, 60, "minute", 60], [86_400, 3_600, "hour", 3_600], [30 * 86_400, 86_400, "day", 86_400]];

function age(moment) {
  const seconds = (Date.now() - moment) / 1_000;
  const step = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  if (!step) return absolute.format(moment);
  const [, grain, unit, length] = step;
  return relative.format(-Math.max(grain, Math.floor(seconds / grain) * grain) / length, unit);
}

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.textContent = "age" in time.dataset ? age(moment) : absolute.format(moment);
  }
}

// --- exchanging what changed ---

const sent = new Map(); // element id -> its HTML as the server sent it

const parts = (root) => [...root.querySelectorAll("[data-region], [data-list]")];
const remember = (root) => {
  for (const part of parts(root)) for (const one of [part, ...part.children]) if (one.id) sent.set(one.id, one.outerHTML);
};
const beingTyped = (element) => element.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

let owed = false; // news that wait until the reader has left a field

function exchange(old, fresh) {
  if (sent.get(fresh.id) === fresh.outerHTML) return old;
  if (beingTyped(old)) {
    owed = true;
    return old;
  }
  const focus = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const open = [...old.querySelectorAll("details")].map((one) => one.open);
  sent.set(fresh.id, fresh.outerHTML);
  const element = document.importNode(fresh, true);
  localise(element);
  [...element.querySelectorAll("details")].forEach((one, index) => { one.open = open[index] ?? one.open; });
  old.replaceWith(element);
  if (focus) [...element.querySelectorAll("a")].find((link) => link.getAttribute("href") === focus)?.focus();
  return element;
}

function exchangeList(old, fresh) {
  const before = new Map([...old.children].map((child) => [child.id, child]));
  let place = old.firstElementChild;
  for (const child of [...fresh.children]) {
    let current = before.get(child.id);
    before.delete(child.id);
    const here = current !== undefined && current === place;
    if (current) {
      current = exchange(current, child);
    } else {
      sent.set(child.id, child.outerHTML);
      current = document.importNode(child, true);
      localise(current);
    }
    if (here) place = current.nextElementSibling;
    else old.insertBefore(current, place);
  }
  for (const gone of before.values()) {
    sent.delete(gone.id);
    gone.remove();
  }
}

function apply(document_) {
  const fresh = document_.querySelector("main");
  const whole = !main.dataset.source;
  const ids = (root) => parts(root).map((part) => part.id).join();
  const other = whole && ids(fresh) !== ids(main);
  owed = other && beingTyped(main);
  if (other && !owed) {
    const banner = document.getElementById("live");
    main.replaceChildren(banner, ...[...fresh.children].filter((child) => child.id !== "live").map((child) => document.importNode(child, true)));
    remember(fresh);
    localise(main);
  } else {
    for (const part of parts(main)) {
      const other = document_.getElementById(part.id);
      if (other) ("list" in part.dataset ? exchangeList : exchange)(part, other);
    }
  }
  if (whole) {
    document.title = document_.title;
    for (const name of ["live", "device"]) if (fresh.dataset[name]) main.dataset[name] = fresh.dataset[name];
  }
}

// --- fetching ---

let busy = false;
let again = false;

async function refresh() {
  again = true;
  if (busy) return;
  busy = true;
  try {
    while (again) {
      again = false;
      await load();
      await new Promise((done) => setTimeout(done, REST_MS));
    }
  } finally {
    busy = false;
  }
}

async function load() {
  const address = main.dataset.source || location.href;
  try {
    const answer = await fetch(address, { redirect: "manual", cache: "no-store" });
    if (answer.type === "opaqueredirect" || answer.status === 404) return void location.assign(address);
    if (!answer.ok) throw new Error(answer.status);
    apply(new DOMParser().parseFromString(await answer.text(), "text/html"));
    isFresh();
  } catch {
    isStale();
  }
}

let known = null;

async function poll() {
  if (connected || document.hidden) return;
  try {
    const answer = await fetch(main.dataset.live, { cache: "no-store" });
    if (answer.status === 401) return void location.reload();
    if (!answer.ok && answer.status !== 404) throw new Error(answer.status);
    const { server_time, ...state } = await answer.json();
    const text = JSON.stringify(state);
    if (known !== null && text === known) return isFresh();
    known = text;
    await refresh();
  } catch {
    isStale();
  }
}

// --- whether what stands here can be trusted ---

let freshAt = new Date();

function isFresh() {
  freshAt = new Date();
  document.getElementById("live").hidden = true;
}

function isStale() {
  const banner = document.getElementById("live");
  const time = banner.querySelector("time");
  time.dateTime = freshAt.toISOString();
  time.textContent = absolute.format(freshAt);
  banner.hidden = false;
}

// --- the socket ---

let socket = null;
let connected = false;
let tries = 0;
let heardAt = 0;

function concerns({ event, data }) {
  const about = data.deviceId ?? data.device_id;
  return event === "devices-status" || !main.dataset.device || !about || about === main.dataset.device;
}

function connect() {
  socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/device-realtime`);
  socket.onmessage = ({ data }) => {
    connected = true;
    tries = 0;
    heardAt = Date.now();
    const frame = JSON.parse(data);
    if (frame.event === "ping") isFresh();
    else if (concerns(frame)) refresh();
  };
  socket.onclose = ({ code }) => {
    connected = false;
    socket = null;
    if (code === 4401) return void location.reload();
    setTimeout(connect, 500 + Math.random() * Math.min(30_000, 1_000 * 2 ** tries++));
    poll();
  };
}

remember(document); // before the times are changed, or everything would seem new
localise(document);
setInterval(() => localise(document), 10_000);
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = `${button.textContent.replace(" ✓", "")} ✓`;
  });
}
if (main.dataset.live) {
  connect();
  setInterval(() => {
    if (connected && Date.now() - heardAt > SILENCE_MS) socket.close();
    else poll();
  }, POLL_MS);
  document.addEventListener("visibilitychange", poll);
  document.addEventListener("focusout", () => owed && setTimeout(refresh));
  addEventListener("pageshow", ({ persisted }) => persisted && refresh());
}
