// Documents that are taken out of the list and let in again, and the index to go back to.
"use strict";

(() => {
  const app = window.ragdesk;
  let taken = null; // the document that was forgotten last: {name, path}
  let back = null; // the one that is being let in again

  const send = async (address, values) => {
    const answer = await fetch(`/app/${address}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...values, language: app.language() }),
      signal: AbortSignal.timeout(8000),
    });
    if (!answer.ok) throw new Error(answer.status);
    const said = await answer.json();
    return said.note ? said.note : said.chats?.length ? { chats: said.chats } : "";
  };
  app.send = send;

  // -- the note above the list: what was done, and its undoing

  const note = (text, kind, action) => {
    const notes = app.find("#notes");
    const item = document.createElement("p");
    item.className = kind;
    item.textContent = text + " ";
    if (action) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "link";
      button.textContent = app.say("client.undo");
      button.dataset.do = action;
      item.append(button);
    }
    notes.replaceChildren(item);
    return item;
  };

  const short = ({ name }) => ({
    name: name.length > 44 ? `${name.slice(0, 26)}…${name.slice(-14)}` : name,
  });
  const showNote = () => {
    if (taken) {
      const item = note(app.say("client.forgotten", short(taken)), "taken", "undo-forget");
      app.citedBy(item, taken);
      return item;
    }
    if (back) return note(app.say("client.let_in", short(back)), "taken");
    app.find("#notes .taken")?.remove();
    return null;
  };

  const failed = (text) => note(text || app.say("client.not_done"), "warn");

  // -- forget, undo, let in again

  app.actions.forget = async (button) => {
    const row = button.closest(".row");
    const { id, name, path } = row.dataset;
    row.classList.add("going");
    button.disabled = true;
    try {
      const problem = await send("forget", { document: id });
      const chats = problem.chats ?? [];
      if (typeof problem === "string" && problem) throw new Error(problem, { cause: "told" });
      row.remove();
      app.drawAnew();
      app.picked.delete(id);
      [taken, back] = [{ name, path, chats }, null];
      showNote().querySelector("button").focus();
      app.look();
    } catch (error) {
      row.classList.remove("going");
      button.disabled = false;
      failed(error.cause === "told" ? error.message : "");
    }
  };

  const letIn = async (button, which) => {
    button.disabled = true;
    try {
      const problem = await send("remember", { path: which.path });
      if (problem) throw new Error(problem, { cause: "told" });
      [taken, back] = [null, which];
      showNote();
      app.look();
    } catch (error) {
      button.disabled = false;
      failed(error.cause === "told" ? error.message : "");
    }
  };

  app.actions["undo-forget"] = (button) => letIn(button, taken);
  app.actions["let-in"] = (button) => letIn(button, button.closest("li").dataset);

  // a note is over once the list says the same, also when somebody else did it
  app.onList.push(() => {
    const names = new Set(
      [...document.querySelectorAll("#library-list .row")].map((row) => row.dataset.path),
    );
    if (!app.find("#find").value) {
      if (back && names.has(back.path)) back = null;
      if (taken && names.has(taken.path)) taken = null;
    }
    if (!taken && !back) app.find("#notes .taken")?.remove();
  });
  app.onLanguage.push(() => {
    if (taken || back) showNote();
  });

  // -- another index

  const ask = (button, open) => {
    const fold = button.closest("details");
    const change = fold.querySelector('[data-do="change-index"]');
    fold.querySelector(".sure").hidden = !open;
    change.hidden = open;
    change.setAttribute("aria-expanded", open);
    (open ? fold.querySelector('[data-do="change-index-now"]') : change).focus();
  };
  app.actions["change-index"] = (button) => ask(button, true);
  app.actions["change-index-not"] = (button) => ask(button, false);
  app.actions["change-index-now"] = async (button) => {
    button.disabled = true;
    button.textContent = app.say("client.changing");
    try {
      const answer = await fetch("/app/roll-back", { method: "POST" });
      if (!answer.ok) throw new Error(answer.status);
    } catch {
      ask(button, false);
      failed("");
    }
  };
  document.addEventListener("keydown", (event) => {
    const sure = event.key === "Escape" && event.target.closest?.("#library-more .sure");
    if (!sure) return;
    event.stopPropagation();
    ask(sure, false);
  }, true);
})();
