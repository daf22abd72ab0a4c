// Runs before the first paint: theme and language must be known by then.
"use strict";

window.ragdesk = (() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  const stored = (key) => {
    try {
      return localStorage.getItem("ragdesk." + key);
    } catch {
      return null; // storage may be forbidden; then nothing is remembered
    }
  };
  const store = (key, value) => {
    try {
      localStorage.setItem("ragdesk." + key, value);
    } catch {
      /* see above */
    }
  };

  const languageAtFirst = () => {
    const chosen = stored("language") ?? window.ragdeskSettings.language;
    if (chosen === "en" || chosen === "zh") return chosen;
    return (navigator.language || "").toLowerCase().startsWith("zh") ? "zh" : "en";
  };

  const setTheme = (theme) => {
    root.dataset.theme = theme;
    root.style.colorScheme = theme;
  };
  const setLanguage = (language) => {
    root.dataset.language = language;
    root.lang = language === "zh" ? "zh-CN" : "en";
  };

  setTheme(stored("theme") ?? (system.matches ? "dark" : "light"));
  setLanguage(languageAtFirst());
  system.addEventListener("change", () => {
    if (!stored("theme")) setTheme(system.matches ? "dark" : "light");
  });

  return {
    store,
    setTheme,
    setLanguage,
    theme: () => root.dataset.theme,
    language: () => root.dataset.language,
    actions: {}, // what a button with data-do="name" does
    onFrame: [], // called with each fixed part once it is on the page
    onDrawn: [], // called after Gradio has redrawn the conversation
    onList: [], // called after the list of documents was drawn
    onState: [], // called with each snapshot of the app
    onLanguage: [], // called when the language has changed
    find: (selector) => document.querySelector(selector),
    say: (key, values = {}) => {
      const all = window.ragdeskWords[root.dataset.language];
      const words = (values.count === 1 && all[`${key}_one`]) || (all[key] ?? key);
      return words.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
    },
  };
})();
