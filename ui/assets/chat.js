// The middle room: sending, stopping, scrolling, copying.
"use strict";

(() => {
  const desk = window.ragdesk;
  const NEAR = 60; // pixels from the end that still count as reading along
  let readingAlong = true;

  const field = () => desk.find("#question textarea");
  const busy = () => Boolean(document.body.dataset.busy);

  const send = () => {
    if (busy() || !field().value.trim()) return;
    readingAlong = true;
    desk.find("#send").click();
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
      if (busy()) desk.find("#stop").click();
      else document.body.classList.remove("evidence-open", "library-open");
    } else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      desk.find("#new").click();
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("#new")) field().focus();
    const example = event.target.closest(".example");
    if (example && !busy()) desk.ask(example.textContent);
  });

  desk.ask = (text) => {
    fill(text);
    requestAnimationFrame(send); // Gradio takes the new value over first
  };

  desk.actions.copy = async (button) => {
    const text = button.closest(".turn").querySelector(".a").dataset.text;
    const words = button.querySelector("span");
    try {
      await navigator.clipboard.writeText(text);
      words.textContent = desk.say("client.copied");
    } catch {
      words.textContent = desk.say("client.copy_failed");
    }
    setTimeout(() => (words.textContent = desk.say("copy")), 1600);
  };

  const showTitle = () => {
    const first = desk.find("#turns .q, #live .q");
    const title = desk.find("#title");
    if (!title) return;
    title.textContent = first ? first.textContent : desk.say("new_chat");
    title.title = first ? first.textContent : "";
  };

  desk.onDrawn.push(() => {
    if (desk.find("#live .turn")) document.body.dataset.busy = "1";
    else delete document.body.dataset.busy;
    desk.showBusy();
    showTitle();
    const talk = desk.find("#talk");
    if (talk && readingAlong) talk.scrollTop = talk.scrollHeight;
  });
  const showHints = () => {
    showTitle();
    if (desk.find("#send")) desk.find("#send").title = desk.say("send_hint");
  };
  desk.onLanguage.push(showHints);
  desk.onFrame.push((element) => {
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
