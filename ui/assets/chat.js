// The middle room: sending, stopping, scrolling, copying.
"use strict";

(() => {
  const app = window.ragdesk;
  const NEAR = 60; // pixels from the end that still count as reading along
  let readingAlong = true;

  const field = () => app.find("#question textarea");
  const busy = () => Boolean(document.body.dataset.busy);

  const send = () => {
    if (busy() || !field().value.trim()) return;
    readingAlong = true;
    app.find("#send").click();
  };

  const fill = (text) => {
    field().value = text;
    field().dispatchEvent(new Event("input", { bubbles: true }));
  };

  // Before Gradio's own handler, which takes the Enter that ends an input method's word.
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.target !== field() || event.key !== "Enter" || event.shiftKey) return;
      event.stopPropagation();
      if (event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      send();
    },
    true,
  );

  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      if (busy()) app.find("#stop").click();
      else document.body.classList.remove("evidence-open", "library-open");
    } else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      app.find("#new").click();
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("#new")) field().focus();
    const example = event.target.closest(".example");
    if (example && !busy()) app.ask(example.textContent);
  });

  app.ask = (text) => {
    fill(text);
    requestAnimationFrame(send); // Gradio takes the new value over first
  };

  app.actions.copy = async (button) => {
    const text = button.closest(".turn").querySelector(".a").dataset.text;
    const words = button.querySelector("span");
    try {
      await navigator.clipboard.writeText(text);
      words.textContent = app.say("client.copied");
    } catch {
      words.textContent = app.say("client.copy_failed");
    }
    setTimeout(() => (words.textContent = app.say("copy")), 1600);
  };

  const showTitle = () => {
    const first = app.find("#turns .q, #live .q");
    const title = app.find("#title");
    if (!title) return;
    title.textContent = first ? first.textContent : app.say("new_chat");
    title.title = first ? first.textContent : "";
  };

  app.onDrawn.push(() => {
    if (app.find("#live .turn")) document.body.dataset.busy = "1";
    else delete document.body.dataset.busy;
    app.showBusy();
    showTitle();
    const talk = app.find("#talk");
    if (talk && readingAlong) talk.scrollTop = talk.scrollHeight;
  });
  const showHints = () => {
    showTitle();
    if (app.find("#send")) app.find("#send").title = app.say("send_hint");
  };
  app.onLanguage.push(showHints);
  app.onFrame.push((element) => {
    if (!element.querySelector("#title")) return;
    requestAnimationFrame(() => {
      showHints();
      field()?.focus();
    });
  });
  document.addEventListener(
    "scroll",
    (event) => {
      const talk = event.target;
      if (talk.id !== "talk") return;
      readingAlong = talk.scrollHeight - talk.scrollTop - talk.clientHeight < NEAR;
    },
    true,
  );
})();
