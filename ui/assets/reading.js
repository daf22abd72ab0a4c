// Whether documents are read whole: the chip in the top line, and the offer below an answer.
"use strict";

(() => {
  const desk = window.ragdesk;
  const WORDS = { auto: "mode_auto", whole: "mode_whole", passages: "mode_passages" };
  const MODES = Object.keys(WORDS);
  let mode = "auto";
  let once = null; // the mode of the next question alone

  desk.mode = () => once ?? mode;

  const show = () => {
    const chip = desk.find("#mode");
    if (!chip) return;
    chip.dataset.word = WORDS[mode];
    chip.textContent = desk.say(WORDS[mode]);
    chip.title = desk.say("mode_title");
    chip.classList.toggle("limited", mode !== "auto");
  };

  desk.actions.mode = () => {
    mode = MODES[(MODES.indexOf(mode) + 1) % MODES.length];
    show();
  };

  desk.actions["read-all"] = (button) => {
    if (document.body.dataset.busy) return;
    once = "whole";
    desk.ask(button.dataset.question);
  };

  desk.onFrame.push((element) => {
    if (element.querySelector("#mode")) show();
  });
  desk.onLanguage.push(show);
  desk.onDrawn.push(() => {
    if (document.body.dataset.busy) once = null; // the question is on its way
  });
})();
