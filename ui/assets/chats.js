// Kept chats: the list, opening, deleting, and what became of the documents they quote.
"use strict";

(() => {
  const app = window.ragdesk;
  let stamp = null;
  let absent = {}; // id of a document that no file has any more -> what became of it
  app.chatToOpen = null;

  const busy = () => Boolean(document.body.dataset.busy);
  const current = () => app.find("#turns [data-kept]")?.dataset.kept ?? "";
  const rowOf = (button) => button.closest(".chat");

  const mark = () => {
    for (const row of document.querySelectorAll("#chat-list .chat"))
      row.classList.toggle("on", row.dataset.chat === current());
  };

  const load = async () => {
    try {
      const got = await app.fetch("chats");
      app.find("#chats").hidden = got.count === 0;
      app.find("#chat-list").innerHTML = got.html;
      mark();
    } catch {
      stamp = null; // the next state asks again
    }
  };

  app.onState.push((now) => {
    if (now.chats === stamp || !app.find("#chat-list")) return;
    stamp = now.chats;
    load();
  });
  app.onLanguage.push(load);

  app.actions["open-chat"] = (button) => {
    if (busy()) return;
    app.chatToOpen = Number(rowOf(button).dataset.chat);
    app.find("#open-chat").click();
    document.body.classList.remove("library-open");
  };

  const sure = (button, open) => {
    const row = rowOf(button);
    row.querySelector(".sure").hidden = !open;
    row.querySelector(open ? '[data-do="delete-chat-now"]' : '[data-do="delete-chat"]').focus();
  };
  app.actions["delete-chat"] = (button) => sure(button, true);
  app.actions["delete-chat-not"] = (button) => sure(button, false);

  const remove = async (chats) => {
    const problem = await app.send("chats/delete", { chats });
    if (problem) throw new Error(problem);
    if (chats.map(String).includes(current())) app.find("#new").click();
    app.look();
  };
  app.actions["delete-chat-now"] = async (button) => {
    button.disabled = true;
    try {
      await remove([Number(rowOf(button).dataset.chat)]);
    } catch {
      button.disabled = false;
    }
  };

  // -- a forgotten document that chats still quote

  app.citedBy = (item, taken) => {
    if (!taken.chats?.length) return;
    const words = app.say("client.chats_cite", { count: taken.chats.length });
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = app.say("client.chats_delete");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await remove(taken.chats);
        taken.chats = [];
        button.replaceWith(app.say("client.chats_deleted"));
      } catch {
        button.disabled = false;
      }
    });
    item.append(` ${words} `, button);
  };

  // -- what became of the documents

  const cards = () => [...document.querySelectorAll(".card[data-doc]")];
  const label = () => {
    for (const card of cards()) {
      const words = absent[card.dataset.doc];
      if (words && !card.classList.contains("older"))
        card.querySelector(".doc").dataset.older = words;
    }
  };
  const check = async () => {
    const documents = [...new Set(cards().map((card) => card.dataset.doc))];
    if (!documents.length) return;
    try {
      const answer = await fetch("/app/absent", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ documents, language: app.language() }),
      });
      if (answer.ok) absent = await answer.json();
      label();
    } catch {
      /* the next list asks again */
    }
  };
  app.onList.push(check);
  app.onDrawn.push(() => {
    mark();
    label();
    if (!busy()) check();
  });
})();
