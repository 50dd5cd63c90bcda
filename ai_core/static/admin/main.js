// Puts the operator's page together: each section asks the API for its own facts, again and again while it is seen.

import { element } from "../shared/dom.js";
import { currentKey, takeKeyFromAddress } from "../shared/key.js";
import { KeyDialog } from "../shared/key_dialog.js";
import { text } from "../shared/texts.js";
import { Downloads } from "./downloads.js";
import { Keys } from "./keys.js";
import { Models } from "./models.js";
import { Overview } from "./overview.js";
import { Audit, Logs } from "./records.js";

const OFTEN_MS = 3_000;
const SELDOM_MS = 15_000;

const find = (id) => document.getElementById(id);
const keyDialog = new KeyDialog();
const sections = new Map(); // what updates itself -> {pause: milliseconds between two updates, body, scope}
const due = new Map();

const page = {
  /** Does `work`, says what was refused, and brings `section` up to date. */
  async attempt(work, section) {
    try {
      await work();
      complain(null);
    } catch (error) {
      complain(error);
    }
    if (section !== undefined) await refresh(section);
  },

  /** Whether the operator agrees. */
  confirm(question) {
    find("confirm-text").textContent = question;
    return closed(find("confirm-dialog")).then((answer) => answer === "yes");
  },

  showSecret(secret) {
    const field = find("secret");
    field.value = secret;
    closed(find("secret-dialog")).then(() => (field.value = ""));
    field.select();
  },

  announce(sentence) {
    find("announcer").textContent = sentence;
  },

  /** Puts new content in place, unless the same is there already: a button keeps the focus, a text its selection. */
  replace(body, content) {
    if (body.childElementCount === 1 && body.firstElementChild.isEqualNode(content)) return;
    const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    body.replaceChildren(content);
    if (focused !== null) body.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  },
};

takeKeyFromAddress();
addEventListener("hashchange", takeKeyFromAddress);
find("open-key").addEventListener("click", signIn);
if (currentKey() === null) signIn();
else begin();

async function signIn() {
  if (await keyDialog.ask()) begin();
}

/** Shows everything anew: another key may see other things. */
function begin() {
  if (sections.size === 0) setInterval(tick, 1_000);
  sections.clear();
  show("overview", Overview, OFTEN_MS);
  show("models", Models, OFTEN_MS, "models");
  show("downloads", Downloads, OFTEN_MS, "models");
  show("keys", Keys, SELDOM_MS);
  show("logs", Logs, SELDOM_MS);
  show("audit", Audit, SELDOM_MS);
  complain(null);
  due.clear();
  tick();
}

function show(name, Section, pause, scope = "admin") {
  const body = find(`${name}-body`);
  sections.set(new Section(body, page), { pause, body, scope });
}

function tick() {
  if (document.hidden || keyDialog.isOpen || currentKey() === null) return;
  const now = Date.now();
  for (const [section, { pause }] of sections) {
    if ((due.get(section) ?? 0) > now) continue;
    due.set(section, now + pause);
    refresh(section);
  }
}

async function refresh(section) {
  try {
    await section.update();
    if (find("problem").dataset.from === section.constructor.name) complain(null);
  } catch (error) {
    if (!sections.has(section)) return; // another key took its place
    if (error.status === 403) return forbid(section);
    complain(error, section.constructor.name);
    if (error.status === 401 && !keyDialog.isOpen && (await keyDialog.ask("key_rejected"))) begin();
  }
}

/** Says, in the section's own place, which scope the key would need. */
function forbid(section) {
  const { body, scope } = sections.get(section);
  page.replace(body, element("p", { class: "quiet-text" }, text("admin_forbidden", { scope })));
}

/** Says what went wrong; `from` names the section that will say so itself once it is over. */
function complain(error, from = "") {
  const box = find("problem");
  box.hidden = error === null;
  if (error === null) return;
  box.dataset.from = from;
  if (error.status === undefined) throw error; // a fault of this page: reported in the console
  const sentences = [error.status === 0 ? text("admin_away") : text("admin_refused", { reason: error.message })];
  if (error.requestId) sentences.push(text("admin_reference", { id: error.requestId }));
  box.textContent = sentences.join(" ");
}

function closed(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}
