// The left room: the list, which documents are searched, and files dropped on the window.
"use strict";

(() => {
  const app = window.ragdesk;
  const FIND_FROM = 10; // documents; a shorter list needs no search field
  app.picked = new Set();
  let revision = null;
  let loading = false;
  let older = new Set(); // documents that a newer version has taken the place of

  // -- the list

  // a list that is drawn anew keeps what was open in it, and the focus
  const drawn = new Map(); // selector -> HTML
  const nameOf = (element) => {
    const { id, path, fold } = element.closest("[data-id], [data-path], [data-fold]")?.dataset ?? {};
    return [id, path, fold, element.dataset.do ?? element.className].join(" ");
  };
  app.drawAnew = () => drawn.clear();
  const draw = (selector, html) => {
    if (drawn.get(selector) === html) return;
    drawn.set(selector, html);
    const list = app.find(selector);
    const held = list.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    const opened = (one) => `.row[data-id="${one}"] .reason`;
    const reasons = [...list.querySelectorAll(".row:not(.failed) .reason:not([hidden])")];
    const open = reasons.map((reason) => reason.closest(".row").dataset.id);
    const folds = [...list.querySelectorAll("details[open]")].map((fold) => fold.dataset.fold);
    list.innerHTML = html;
    for (const id of open) {
      const reason = list.querySelector(opened(CSS.escape(id)));
      if (!reason) continue;
      reason.hidden = false;
      reason.closest(".row").querySelector(".why").setAttribute("aria-expanded", true);
    }
    for (const fold of folds) list.querySelector(`[data-fold="${fold}"]`)?.setAttribute("open", "");
    if (!held) return;
    const again = [...list.querySelectorAll("button, summary")];
    again.find((element) => nameOf(element) === held)?.focus({ preventScroll: true });
  };

  const load = async () => {
    if (loading || document.activeElement?.closest(".unlock")) return; // keeps what is typed
    loading = true;
    try {
      const find = app.find("#find").value;
      const got = await app.fetch("library", { find });
      revision = got.revision;
      draw("#library-list", got.html);
      draw("#library-more", got.more);
      app.find("#totals").textContent = got.totals;
      app.find("#totals").title = got.totals_title;
      app.find("#find").hidden = got.documents < FIND_FROM && !find;
      document.body.dataset.documents = got.documents;
      older = new Set(got.older);
      markOlder();
      if (rows().length === got.documents) forgetMissing();
      mark();
      for (const listener of app.onList) listener();
    } catch {
      revision = null; // the next state asks again
    } finally {
      loading = false;
    }
  };

  // an answer keeps the evidence of the version it was given from
  const markOlder = () => {
    for (const card of document.querySelectorAll(".card[data-doc]")) {
      const old = older.has(card.dataset.doc);
      card.classList.toggle("older", old);
      card.querySelector(".doc").dataset.older = old ? app.say("client.older") : "";
    }
  };

  const rows = () => [...document.querySelectorAll("#library-list .row")];

  const forgetMissing = () => {
    const here = new Set(rows().map((row) => row.dataset.id));
    for (const id of app.picked) if (!here.has(id)) app.picked.delete(id);
  };

  const mark = () => {
    for (const row of rows()) {
      const on = app.picked.has(row.dataset.id);
      row.classList.toggle("on", on);
      row.querySelector(".pick").setAttribute("aria-checked", on);
    }
    const count = app.picked.size;
    const key = count ? "scope_some" : "scope_all";
    const scope = app.find("#scope");
    scope.classList.toggle("limited", count > 0);
    scope.disabled = count === 0;
    scope.querySelector("span").textContent = app.say(key, { count });
    scope.title = count ? app.say("all_documents") : app.say("pick_title");
  };

  document.addEventListener("click", (event) => {
    const row = event.target.closest("#library-list .pick")?.closest(".row");
    if (!row) return;
    const id = row.dataset.id;
    if (!app.picked.delete(id)) app.picked.add(id);
    mark();
  });

  app.actions["all-documents"] = () => {
    app.picked.clear();
    mark();
  };
  app.actions.why = (button) => {
    const reason = button.closest(".row").querySelector(".reason");
    reason.hidden = !reason.hidden;
    button.setAttribute("aria-expanded", !reason.hidden);
  };
  app.actions.rebuild = async (button) => {
    button.disabled = true;
    await fetch("/app/rebuild", { method: "POST" });
  };
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest(".unlock");
    if (!form) return;
    event.preventDefault();
    const said = form.querySelector("output");
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch("/app/unlock", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          document: form.closest(".row").dataset.id,
          password: form.elements.password.value,
          remember: form.elements.remember.checked,
          language: app.language(),
        }),
      });
      if (!answer.ok) throw new Error(answer.status);
      const { opened, note } = await answer.json();
      said.textContent = note || (opened ? app.say("client.unlocked") : "");
      form.elements.password.value = "";
      if (opened) document.activeElement?.blur();
    } catch {
      said.textContent = app.say("client.unlock_failed");
    } finally {
      button.disabled = false;
    }
  });
  app.actions.dismiss = (button) => button.closest(".added").remove();
  app.actions["open-library"] = () => document.body.classList.toggle("library-open");

  app.onFrame.push((element) => {
    if (!element.querySelector("#library-list")) return;
    let wait;
    app.find("#find").addEventListener("input", () => {
      clearTimeout(wait);
      wait = setTimeout(load, 150);
    });
    load();
  });
  app.onState.push((now) => {
    const sync = app.find("#sync");
    if (sync.innerHTML !== now.sync) sync.innerHTML = now.sync;
    if (now.revision !== revision) load();
    markOlder();
  });
  app.onLanguage.push(load);

  // -- files dropped anywhere

  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const over = (on) => {
    const drop = app.find("#drop");
    drop.hidden = !on;
    drop.querySelector("b").textContent = app.say("client.drop");
    if (!on) depth = 0;
  };

  const filesIn = async (entry) => {
    if (entry.isFile) return [await new Promise((done, no) => entry.file(done, no))];
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((done, no) => reader.readEntries(done, no));
      if (!some.length) return found;
      for (const inner of some) found.push(...(await filesIn(inner)));
    }
  };

  const dropped = async (data) => {
    const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) return [...data.files];
    return (await Promise.all(entries.map(filesIn))).flat();
  };

  const note = (text, kind) => {
    const item = document.createElement("p");
    item.className = kind;
    item.textContent = text;
    app.find("#notes").append(item);
    return item;
  };

  const handOver = (files) => {
    const pdfs = files.filter((file) => file.name.toLowerCase().endsWith(".pdf"));
    const others = files.filter((file) => !pdfs.includes(file)).map((file) => file.name);
    app.find("#notes").replaceChildren();
    if (others.length) {
      const names = others.slice(0, 5).join(", ") + (others.length > 5 ? " …" : "");
      note(app.say("client.only_pdf", { names }), "warn");
    }
    if (!pdfs.length) return;
    const transfer = new DataTransfer();
    for (const file of pdfs) transfer.items.add(file);
    const input = app.find('#left input[type="file"]');
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!input.matches('#left input[type="file"]') || !input.files.length) return;
    note(app.say("client.uploading", { count: input.files.length }), "uploading");
  }, true);
  app.onDrawn.push((element) => {
    if (!element.querySelector(".added")) return;
    for (const item of document.querySelectorAll("#notes .uploading")) item.remove();
  });

  window.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    over(true);
  });
  window.addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth -= 1;
    if (depth <= 0) over(false);
  });
  window.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  window.addEventListener(
    "drop",
    async (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.stopPropagation();
      over(false);
      handOver(await dropped(event.dataTransfer));
    },
    true, // before Gradio's own drop targets see it
  );
})();
