// Tells the app what is being typed, so that the model can read ahead while the person thinks.
"use strict";

(() => {
  const app = window.ragdesk;
  const PAUSE_MS = 350; // without a key: the person reads what is written, or thinks
  let told = null;
  let timer = 0;
  let opened = false;

  const field = () => app.find("#question textarea");

  const tell = () => {
    const text = field()?.value.trim() ?? "";
    const nothing = !text && opened; // what was read last is worth more than the rules alone
    if (document.body.dataset.busy || nothing || text === told) return;
    told = text;
    opened = true;
    app.find("#typed").click();
  };

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(tell, PAUSE_MS);
  };

  document.addEventListener("input", (event) => {
    if (event.target === field() && !event.isComposing) soon();
  });
  document.addEventListener("compositionend", (event) => {
    if (event.target === field()) soon();
  });

  // what was typed during an answer, and what was meant before the conversation changed
  app.onDrawn.push(() => {
    told = null;
    soon();
  });
})();
