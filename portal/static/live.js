// Keeps a page as fresh as the station itself. Every page works without this file.

const LOOK_EVERY = 5_000; // ms
const STALE_AFTER = 10_000; // without a stream
const SILENT_AFTER = 40_000; // with one, which repeats the news every 15 s; a phone out of reach hears nothing

const at = (tree, path) => path.split(".").reduce((node, name) => node?.[name], tree);

function each(name, change) {
  for (const element of document.querySelectorAll(`[data-${name}]`)) {
    change(element, element.getAttribute(`data-${name}`));
  }
}

function patch(shown) {
  each("live", (element, path) => {
    const text = String(at(shown, path) ?? "");
    if (element.textContent !== text) element.textContent = text;
  });
  each("live-tone", (element, path) => { element.dataset.tone = at(shown, path) ?? "unknown"; });
  each("live-colour", (element, path) => { element.dataset.colour = at(shown, path); });
  each("live-shape", (element, path) => { element.dataset.shape = at(shown, path); });
  each("live-value", (element, path) => { element.value = at(shown, path); });
}

let heard = Date.now();

function news(status) {
  heard = Date.now();
  each("stale", (element) => { element.hidden = true; });
  patch(status.shown);
  // A real page load, not a patch: phones look again whether they are online only after one.
  const { follow, to } = document.body.dataset;
  if (follow && follow !== status.revision) to ? location.replace(to) : location.reload();
}

async function poll() {
  try {
    const response = await fetch("/api/status", { signal: AbortSignal.timeout(5000) });
    if (response.ok) news(await response.json());
  } catch {
    // The next round tries again; the page says that it is stale.
  }
}

function listen() {
  const stream = new EventSource("/events");
  stream.onmessage = (event) => news(JSON.parse(event.data));
  setInterval(() => {
    const open = stream.readyState === EventSource.OPEN;
    const stale = Date.now() - heard > (open ? SILENT_AFTER : STALE_AFTER);
    if (stale) each("stale", (element) => { element.hidden = false; });
    if (stale || !open) poll();
  }, LOOK_EVERY);
  addEventListener("pagehide", () => stream.close());
}

function reveal(link, id) {
  const field = document.getElementById(id);
  link.setAttribute("role", "button");
  link.addEventListener("click", (event) => {
    event.preventDefault();
    field.type = field.type === "password" ? "text" : "password";
    [link.textContent, link.dataset.other] = [link.dataset.other, link.textContent];
    field.focus();
  });
}

each("reveal", reveal);
if (document.body.dataset.follow || "stream" in document.body.dataset) listen();
