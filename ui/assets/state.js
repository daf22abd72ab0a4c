// Words of the fixed parts, buttons, and the app's state once a second.
"use strict";

(() => {
  const app = window.ragdesk;
  const POLL_MS = 1000;
  const TIMEOUT_MS = 8000;
  const MISSES = 3; // one lost poll is a busy machine, three are a program that ended
  let boot = null;
  let misses = 0;
  let polling = false;

  const speak = (element) => {
    for (const node of element.querySelectorAll("[data-word]"))
      node.textContent = app.say(node.dataset.word);
    for (const node of element.querySelectorAll("[data-word-title]")) {
      node.title = app.say(node.dataset.wordTitle);
      node.setAttribute("aria-label", node.title);
    }
    for (const node of element.querySelectorAll("[data-word-placeholder]")) {
      node.placeholder = app.say(node.dataset.wordPlaceholder);
      node.setAttribute("aria-label", node.placeholder);
    }
  };

  app.frame = (element) => {
    speak(element);
    for (const listener of app.onFrame) listener(element);
    if (!polling && app.find("#strip-readings")) {
      polling = true;
      poll();
    }
  };

  app.watch = (element, watch) => {
    const drawn = () => {
      for (const listener of app.onDrawn) listener(element);
    };
    watch("value", drawn);
    drawn();
  };

  app.client = () => ({
    language: app.language(),
    documents: [...app.picked],
    mode: app.mode(),
    chat: app.chatToOpen,
  });

  app.fetch = async (address, values = {}) => {
    const query = new URLSearchParams({ language: app.language(), ...values });
    const answer = await fetch(`/app/${address}?${query}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    return answer.json();
  };

  const banner = (key, button) => {
    const shown = app.find("#banner");
    if (shown.dataset.key === (key ?? "")) return;
    shown.dataset.key = key ?? "";
    shown.hidden = !key;
    shown.textContent = key ? app.say(key) : "";
    if (!button) return;
    const reload = document.createElement("button");
    reload.type = "button";
    reload.textContent = app.say(button);
    reload.addEventListener("click", () => location.reload());
    shown.append(reload);
  };

  const show = (now) => {
    boot ??= now.boot;
    if (now.boot === boot) banner(null);
    else banner("client.restarted", "client.reload");
    app.find("#strip-readings").innerHTML = now.strip;
    app.showBusy();
    for (const listener of app.onState) listener(now);
  };

  app.showBusy = () => {
    const word = app.find("#strip-readings .word.good, #strip-readings .word.working");
    if (!word) return;
    const busy = Boolean(document.body.dataset.busy);
    word.classList.toggle("working", busy);
    const words = word.querySelector("b");
    words.textContent = busy ? app.say("client.answering") : words.dataset.idle;
  };

  const gone = () => {
    banner("client.gone");
    document.body.classList.add("gone");
    const word = app.find("#strip-readings .word");
    if (!word) return;
    word.className = "word bad";
    word.querySelector("b").textContent = app.say("client.word_gone");
  };

  const look = async () => {
    try {
      show(await app.fetch("state"));
      misses = 0;
      document.body.classList.remove("gone");
    } catch {
      misses += 1;
      if (misses >= MISSES) gone();
    }
  };

  app.look = look;

  const poll = async () => {
    if (!document.hidden) await look();
    setTimeout(poll, POLL_MS);
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && polling) look();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) app.actions[button.dataset.do]?.(button, event);
  });

  app.actions.theme = () => {
    const theme = app.theme() === "dark" ? "light" : "dark";
    app.setTheme(theme);
    app.store("theme", theme);
  };

  app.actions.language = () => {
    const language = app.language() === "zh" ? "en" : "zh";
    app.setLanguage(language);
    app.store("language", language);
    speak(document);
    app.find("#switch-language").click(); // Gradio redraws the conversation and its buttons
    for (const listener of app.onLanguage) listener();
    look();
  };
})();
