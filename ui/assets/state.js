// Words of the fixed parts, buttons, and the desk's state once a second.
"use strict";

(() => {
  const desk = window.ragdesk;
  const POLL_MS = 1000;
  const TIMEOUT_MS = 8000;
  const MISSES = 3; // one lost poll is a busy machine, three are a program that ended
  let boot = null;
  let misses = 0;
  let polling = false;

  const speak = (element) => {
    for (const node of element.querySelectorAll("[data-word]"))
      node.textContent = desk.say(node.dataset.word);
    for (const node of element.querySelectorAll("[data-word-title]")) {
      node.title = desk.say(node.dataset.wordTitle);
      node.setAttribute("aria-label", node.title);
    }
    for (const node of element.querySelectorAll("[data-word-placeholder]")) {
      node.placeholder = desk.say(node.dataset.wordPlaceholder);
      node.setAttribute("aria-label", node.placeholder);
    }
  };

  desk.frame = (element) => {
    speak(element);
    for (const listener of desk.onFrame) listener(element);
    if (!polling && desk.find("#strip-readings")) {
      polling = true;
      poll();
    }
  };

  desk.watch = (element, watch) => {
    const drawn = () => {
      for (const listener of desk.onDrawn) listener(element);
    };
    watch("value", drawn);
    drawn();
  };

  desk.client = () => ({
    language: desk.language(),
    documents: [...desk.picked],
    mode: desk.mode(),
    chat: desk.chatToOpen,
  });

  desk.fetch = async (address, values = {}) => {
    const query = new URLSearchParams({ language: desk.language(), ...values });
    const answer = await fetch(`/desk/${address}?${query}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    return answer.json();
  };

  const banner = (key, button) => {
    const shown = desk.find("#banner");
    if (shown.dataset.key === (key ?? "")) return;
    shown.dataset.key = key ?? "";
    shown.hidden = !key;
    shown.textContent = key ? desk.say(key) : "";
    if (!button) return;
    const reload = document.createElement("button");
    reload.type = "button";
    reload.textContent = desk.say(button);
    reload.addEventListener("click", () => location.reload());
    shown.append(reload);
  };

  const show = (now) => {
    boot ??= now.boot;
    if (now.boot === boot) banner(null);
    else banner("client.restarted", "client.reload");
    desk.find("#strip-readings").innerHTML = now.strip;
    desk.showBusy();
    for (const listener of desk.onState) listener(now);
  };

  desk.showBusy = () => {
    const word = desk.find("#strip-readings .word.good, #strip-readings .word.working");
    if (!word) return;
    const busy = Boolean(document.body.dataset.busy);
    word.classList.toggle("working", busy);
    const words = word.querySelector("b");
    words.textContent = busy ? desk.say("client.answering") : words.dataset.idle;
  };

  const gone = () => {
    banner("client.gone");
    document.body.classList.add("gone");
    const word = desk.find("#strip-readings .word");
    if (!word) return;
    word.className = "word bad";
    word.querySelector("b").textContent = desk.say("client.word_gone");
  };

  const look = async () => {
    try {
      show(await desk.fetch("state"));
      misses = 0;
      document.body.classList.remove("gone");
    } catch {
      misses += 1;
      if (misses >= MISSES) gone();
    }
  };

  desk.look = look;

  const poll = async () => {
    if (!document.hidden) await look();
    setTimeout(poll, POLL_MS);
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && polling) look();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) desk.actions[button.dataset.do]?.(button, event);
  });

  desk.actions.theme = () => {
    const theme = desk.theme() === "dark" ? "light" : "dark";
    desk.setTheme(theme);
    desk.store("theme", theme);
  };

  desk.actions.language = () => {
    const language = desk.language() === "zh" ? "en" : "zh";
    desk.setLanguage(language);
    desk.store("language", language);
    speak(document);
    desk.find("#switch-language").click(); // Gradio redraws the conversation and its buttons
    for (const listener of desk.onLanguage) listener();
    look();
  };
})();
