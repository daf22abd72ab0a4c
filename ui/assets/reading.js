// Whether documents are read whole: the chip in the top line, and the offer below an answer.
"use strict";

(() => {
  const app = window.ragdesk;
  const WORDS = { auto: "mode_auto", whole: "mode_whole", passages: "mode_passages" };
  const MODES = Object.keys(WORDS);
  let mode = "auto";
  let once = null; // the mode of the next question alone

  app.mode = () => once ?? mode;

  const show = () => {
    const chip = app.find("#mode");
    if (!chip) return;
    chip.dataset.word = WORDS[mode];
    chip.textContent = app.say(WORDS[mode]);
    chip.title = app.say("mode_title");
    chip.classList.toggle("limited", mode !== "auto");
  };

  app.actions.mode = () => {
    mode = MODES[(MODES.indexOf(mode) + 1) % MODES.length];
    show();
  };

  const askAgain = (mode) => (button) => {
    if (document.body.dataset.busy) return;
    once = mode;
    app.ask(button.dataset.question);
  };
  app.actions["read-all"] = askAgain("whole");
  app.actions["search-documents"] = askAgain("passages");

  app.onFrame.push((element) => {
    if (element.querySelector("#mode")) show();
  });
  app.onLanguage.push(show);
  app.onDrawn.push(() => {
    if (document.body.dataset.busy) once = null; // the question is on its way
  });
})();
