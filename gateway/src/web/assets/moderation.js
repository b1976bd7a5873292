// The moderator's bench: keys, a pane beside the list, decisions without a page load. The forms do all of it, too.
"use strict";

(() => {
  const bench = document.getElementById("bench");
  const help = document.getElementById("help");

  // A selection in the text of a post is what is struck out.
  document.addEventListener("selectionchange", () => {
    const selection = document.getSelection();
    const text = document.getElementById("post-text");
    const piece = document.getElementById("piece");
    if (!text || !piece || !selection || selection.isCollapsed) return;
    if (text.contains(selection.anchorNode) && text.contains(selection.focusNode)) piece.value = selection.toString();
  });

  // Shortcuts can be switched off and given other keys (WCAG 2.1.4); the choice is the browser's.
  const usual = {
    next: "j", previous: "k", approve: "a", spam: "s", reject: "r", undo: "z", open: "o", why: "w", author: "u", ban: "b",
    trust: "t", select: "x", search: "/", go: "g", help: "?",
  };
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* for this page only */ } };
  const ownKeys = () => {
    let own = {};
    try { own = JSON.parse(kept("waxseal-keymap")) || {}; } catch { /* not ours */ }
    const fits = ([name, key]) => name in usual && typeof key === "string" && [...key].length === 1;
    return { ...usual, ...Object.fromEntries(Object.entries(own).filter(fits)) };
  };
  let keys = ownKeys();
  let keysOn = kept("waxseal-keys") !== "off";
  const showKeys = (root = document) => {
    document.documentElement.classList.toggle("keys-off", !keysOn);
    for (const one of root.querySelectorAll("kbd[data-for]")) one.textContent = keys[one.dataset.for];
    for (const one of root.querySelectorAll("input[data-key]")) one.value = keys[one.dataset.key];
  };
  showKeys();
  const box = document.getElementById("keys-on");
  if (box) {
    box.checked = keysOn;
    box.addEventListener("change", () => {
      keysOn = box.checked;
      keep("waxseal-keys", keysOn ? "on" : "off");
      showKeys();
    });
  }
  const keysSaid = document.getElementById("keys-said");
  const changeKey = (field) => {
    const name = field.dataset.key;
    const key = [...field.value].filter((one) => one !== keys[name]).at(-1) || keys[name];
    const taken = Object.entries(keys).some(([other, its]) => other !== name && its === key);
    keysSaid.textContent = taken ? bench.dataset.taken.replace("{}", key) : "";
    if (!taken && key.trim()) keys[name] = key;
    keep("waxseal-keymap", JSON.stringify(keys));
    showKeys();
  };
  for (const field of document.querySelectorAll("input[data-key]")) {
    field.addEventListener("focus", () => field.select());
    field.addEventListener("input", (event) => { if (!event.isComposing) changeKey(field); });
    field.addEventListener("compositionend", () => changeKey(field));
  }
  document.getElementById("keys-usual")?.addEventListener("click", () => {
    keys = { ...usual };
    keep("waxseal-keymap", "{}");
    keysSaid.textContent = "";
    showKeys();
  });
  const opener = document.getElementById("help-open");
  if (opener && help) {
    opener.hidden = false;
    opener.addEventListener("click", () => help.showModal());
  }
  if (!bench) return;

  const words = bench.dataset;
  const rows = () => [...bench.querySelectorAll("tbody tr:not(.gone)")];
  const pane = document.getElementById("pane");
  const toast = document.getElementById("toast");
  const say = (text) => { document.getElementById("announcement").textContent = text; };
  const fill = (pattern, ...values) => pattern.replace(/\{\}/g, () => values.shift() ?? "");
  const reasons = words.reasons.split("|").filter(Boolean);
  const tenant = words.tenant;
  let current = null;
  let last = null;
  let left = Number(words.left);
  let loading = 0;
  let waitingFor = null;
  let toastTimer = 0;

  const title = (row) => row.querySelector("a.title").textContent;
  const api = (kind, name, verb) => `/v1/${kind}/${name}:${verb}${tenant}`;

  const send = async (address, body, version) => {
    const headers = { "content-type": "application/json", accept: "application/json" };
    if (version) headers["if-match"] = `"${version}"`;
    const answer = await fetch(address, { method: "POST", headers, body: body ? JSON.stringify(body) : null });
    const json = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(json.detail || answer.statusText);
    return json;
  };

  const wide = () => window.matchMedia("(min-width: 72rem)").matches;

  const load = async (row) => {
    const mine = ++loading;
    const more = tenant ? tenant.replace("?", "&") : "";
    const answer = await fetch(`/moderation/posts/${row.dataset.segment}?pane=1&back=${encodeURIComponent(words.back)}${more}`);
    const text = await answer.text();
    if (mine !== loading || !answer.ok) return;
    // The server's own template: every value in it is escaped there.
    pane.innerHTML = text;
    pane.scrollTop = 0;
    showKeys(pane);
    for (const time of pane.querySelectorAll("time[datetime]")) {
      time.title = time.dateTime;
      time.textContent = new Date(time.dateTime).toLocaleString(document.documentElement.lang);
    }
    const bar = pane.querySelector(".decide-bar button[data-act='approve']");
    if (bar) row.dataset.version = bar.value.split(" ")[1];
  };

  const select = (row, focus = true) => {
    if (!row) return;
    current?.classList.remove("current");
    current = row;
    row.classList.add("current");
    if (focus) row.querySelector("a.title").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
    if (wide()) {
      bench.classList.add("split");
      pane.hidden = false;
      load(row);
    }
  };

  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(current);
    select(all[Math.min(Math.max(at + step, 0), all.length - 1)]);
  };

  const showToast = (text, undo) => {
    clearTimeout(toastTimer);
    toast.querySelector("span").textContent = text;
    toast.querySelector("button").hidden = !undo;
    toast.hidden = false;
    toastTimer = setTimeout(() => { toast.hidden = true; }, 10000);
    say(text);
  };

  const after = (row) => {
    const all = rows();
    const at = all.indexOf(row);
    return all[at + 1] || all[at - 1] || null;
  };

  const decide = async (row, action, reason, stay) => {
    if (!row || !("decides" in words) || row.classList.contains("busy")) return;
    row.classList.add("busy");
    const next = after(row);
    try {
      await send(api("posts", row.dataset.segment, action), reason ? { reason } : {}, row.dataset.version);
    } catch (problem) {
      row.classList.remove("busy");
      showToast(fill(words.failed, problem.message), false);
      if (row === current && wide()) load(row);
      return;
    }
    row.classList.remove("busy");
    row.classList.add("gone");
    row.inert = true;
    left -= 1;
    last = { row, action };
    showToast(fill(words.done, words[action], title(row), left), true);
    if (stay) return;
    if (next) select(next);
    else {
      pane.hidden = true;
      // The page is done: the next one comes by itself.
      if (left > 0) window.location.assign(words.back);
    }
  };

  const undo = async () => {
    if (!last) return;
    const { row } = last;
    last = null;
    try {
      const post = await send(api("posts", row.dataset.segment, "undo"), {});
      row.dataset.version = post.version;
      row.classList.remove("gone");
      row.inert = false;
      left += 1;
      const picked = row.querySelector("input[name='post']");
      if (picked) picked.value = `${post.version} ${row.dataset.id}`;
      for (const button of row.querySelectorAll("button[name='do']")) {
        button.value = `${button.value.split(" ")[0]} ${post.version} ${row.dataset.id}`;
      }
      showToast(fill(words.undone, title(row)), false);
      select(row);
    } catch (problem) {
      showToast(fill(words.failed, problem.message), false);
    }
  };

  const authorPage = (row) => {
    const more = tenant ? tenant.replace("?", "&") : "";
    return `/moderation/authors/${row.dataset.author}?back=${encodeURIComponent(words.back)}${more}`;
  };

  const trust = async (row) => {
    if (!("decides" in words)) return;
    try {
      const author = await send(api("authors", row.dataset.author, "trust"), {});
      showToast(`${author.id}: ${author.standing}`, false);
    } catch (problem) {
      showToast(fill(words.failed, problem.message), false);
    }
  };

  toast.querySelector("button").addEventListener("click", undo);

  const all = document.getElementById("all");
  if (all) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const row of rows()) row.querySelector("input[name='post']").checked = all.checked;
    });
  }

  // A click on a row's buttons, or on those of the pane, goes the quick way; everything else is the form's.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || button.name !== "do") return;
    const [action, , ...id] = button.value.split(" ");
    if (!["approve", "spam", "reject"].includes(action)) return;
    const row = rows().find((one) => one.dataset.id === id.join(" "));
    if (!row) return;
    event.preventDefault();
    const form = event.target;
    const field = (name) => form.elements.namedItem(name)?.value || "";
    decide(row, action, action === "reject" ? field("reason-other") || field("reason") : "");
  });
  bench.addEventListener("click", (event) => {
    const link = event.target.closest("a.title");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !wide()) return;
    event.preventDefault();
    select(link.closest("tr"));
  });

  const typing = (target) =>
    target.closest("input:not([type='checkbox']), textarea, select, [contenteditable='true']") !== null;

  const commands = {
    next: () => move(current ? 1 : 0), previous: () => move(-1),
    approve: (row, shift) => decide(row, "approve", "", shift), spam: (row, shift) => decide(row, "spam", "", shift),
    reject: (row) => { waitingFor = { kind: "reason", row }; showToast(words.reason, false); },
    ban: (row) => { waitingFor = { kind: "ban", row }; showToast(fill(words.ban, row.querySelector(".who-cell a").textContent), false); },
    trust: (row) => trust(row), undo: () => undo(),
    open: (row) => window.location.assign(row.querySelector("a.title").href),
    author: (row) => window.location.assign(authorPage(row)),
    why: () => document.getElementById("why")?.focus(),
    select: (row, shift) => {
      if (shift && all) { all.checked = !all.checked; all.dispatchEvent(new Event("change")); return; }
      const pick = row?.querySelector("input[name='post']");
      if (pick) pick.checked = !pick.checked;
    },
    search: () => document.getElementById("search").focus(),
    go: () => { waitingFor = { kind: "go" }; },
    help: () => help.showModal(),
  };
  // These need no post; the page is selected without one, too.
  const free = new Set(["next", "previous", "undo", "search", "go", "help", "why"]);
  const withShift = new Set(["approve", "spam", "select"]);
  const commandOf = (key) => {
    const exact = Object.keys(keys).find((name) => keys[name] === key);
    if (exact) return [exact, false];
    const upper = Object.keys(keys).find((name) => withShift.has(name) && keys[name].toUpperCase() === key);
    return [upper, true];
  };

  document.addEventListener("keydown", (event) => {
    // 229: an input method is at work on this key (IME), whatever the key says.
    if (!keysOn || event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.repeat && ![keys.next, keys.previous].includes(event.key)) return;
    if (help.open || typing(event.target)) return;
    if (event.key === "Escape") { waitingFor = null; toast.hidden = true; return; }
    if (waitingFor) {
      const { kind, row } = waitingFor;
      waitingFor = null;
      const reason = reasons[Number(event.key) - 1];
      if (kind === "reason" && reason) { event.preventDefault(); decide(row, "reject", reason); return; }
      if (kind === "ban" && event.key === keys.ban) { event.preventDefault(); window.location.assign(authorPage(row)); return; }
      if (kind === "go") {
        const tab = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
        if (tab) { event.preventDefault(); window.location.assign(tab.href); return; }
      }
      toast.hidden = true;
    }
    const [command, shift] = commandOf(event.key);
    if (!command || (!current && !free.has(command) && !(command === "select" && shift))) return;
    event.preventDefault();
    commands[command](current, shift);
  });

  if (wide() && rows().length) select(rows()[0], false);
})();
