// The panel that shows the machine. It is drawn anew once a second, only while it is open.
"use strict";

(() => {
  const app = window.ragdesk;
  let asking = false;

  const panel = () => app.find("#machine");
  const isOpen = () => panel() && !panel().hidden;

  const draw = async () => {
    if (!isOpen() || asking) return;
    asking = true;
    try {
      const found = await app.fetch("machine");
      app.find("#machine-body").innerHTML = found.html;
    } catch {
      /* the strip says that the program is gone */
    } finally {
      asking = false;
    }
  };

  app.onState.push(draw);
  app.onLanguage.push(draw);

  app.actions.machine = () => {
    panel().hidden = !panel().hidden;
    app.find(".strip .machine").setAttribute("aria-expanded", String(isOpen()));
    draw();
  };

  app.actions["close-machine"] = () => {
    if (isOpen()) app.actions.machine();
    app.find(".strip .machine").focus();
  };

  document.addEventListener("keydown", (event) => {
    // the focus is on nothing once the button it was on is disabled
    const here = event.target === document.body || event.target.closest?.("#machine");
    if (event.key === "Escape" && here && isOpen()) app.actions["close-machine"]();
  });

  app.actions["machine-report"] = async (button) => {
    const said = app.find("#machine-said");
    button.disabled = true;
    try {
      const answer = await fetch("/app/machine/report", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ language: app.language() }),
      });
      const made = await answer.json();
      said.textContent = made.note;
      if (made.picture) {
        const link = document.createElement("a");
        Object.assign(link, { href: made.picture, target: "_blank", rel: "noopener" });
        link.textContent = " report.png";
        said.append(link);
      }
    } catch {
      said.textContent = app.say("client.gone");
    } finally {
      button.disabled = false;
    }
  };
})();
