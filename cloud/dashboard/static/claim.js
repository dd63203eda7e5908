// Carries the code of a scanned claim link (#<short id>.<secret>) to the form, across the sign-in.
// The secret stays in the browser until the form is sent: a fragment reaches no server and no log.

const KEY = "claim-link";
const LINK = /^([BCDFGHJKLMNPQRSTVWXZ]{6})\.([A-Za-z0-9_-]{22})$/;

function stored(change) {
  try {
    return change ? change(sessionStorage) : sessionStorage.getItem(KEY);
  } catch {
    return null; // storage is switched off: the link works as long as nobody has to sign in between
  }
}

const fragment = location.hash.slice(1);
if (fragment) {
  stored((storage) => storage.setItem(KEY, fragment));
  history.replaceState(null, "", location.pathname + location.search);
}

const link = fragment || (location.pathname === "/claim" ? stored() : null);
const form = document.querySelector("form[data-claim]");
const parts = link ? LINK.exec(link) : null;

if (link && !parts) {
  document.getElementById("broken").hidden = false;
  stored((storage) => storage.removeItem(KEY));
}
if (form && parts) {
  const fields = form.elements;
  fields.short_id.value = `${parts[1].slice(0, 3)} ${parts[1].slice(3)}`;
  fields.short_id.readOnly = true;
  fields.link_secret.value = parts[2];
  fields.pin.required = false;
  document.getElementById("pin_part").hidden = true;
  document.getElementById("typed").hidden = true;
  document.getElementById("scanned").hidden = false;
  fields.name.focus();
  form.addEventListener("submit", () => stored((storage) => storage.removeItem(KEY)));
}
