// Below an answer: a sentence that should have been found, and what became of it.
"use strict";

(() => {
  const app = window.ragdesk;
  const PATIENCE_MS = 120000; // the first search may wait for the embedder to load

  // the questions up to this turn, since a follow-up means what was asked before
  const askedUpTo = (turn) => {
    const turns = [...document.querySelectorAll("#turns .turn")];
    return turns
      .slice(0, turns.indexOf(turn) + 1)
      .slice(-50)
      .map((one) => one.querySelector(".q").textContent);
  };

  const look = async (form) => {
    const answer = await fetch("/app/why", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        asked: askedUpTo(form.closest(".turn")),
        sentence: form.elements.sentence.value.trim(),
        documents: JSON.parse(form.closest(".why").dataset.documents),
        language: app.language(),
      }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target.closest(".why form");
    if (!form) return;
    event.preventDefault();
    if (!form.elements.sentence.value.trim()) return;
    const found = form.closest(".why").querySelector(".found");
    const button = form.querySelector("button");
    button.disabled = true;
    found.textContent = app.say("client.why_looking");
    try {
      const { note, html } = await look(form);
      if (note) found.textContent = note;
      else found.innerHTML = html; // escaped by the app
    } catch {
      found.textContent = app.say("client.not_done");
    } finally {
      button.disabled = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.(".why textarea");
    if (!field || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    field.form.requestSubmit();
  });
})();
