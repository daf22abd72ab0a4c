// The panel that shows the machine. It is drawn anew once a second, only while it is open.
"use strict";

(() => {
  const desk = window.ragdesk;
  let asking = false;

  const panel = () => desk.find("#machine");
  const isOpen = () => panel() && !panel().hidden;

  const draw = async () => {
    if (!isOpen() || asking) return;
    asking = true;
    try {
      const found = await desk.fetch("machine");
      desk.find("#machine-body").innerHTML = found.html;
    } catch {
      /* the strip says that the program is gone */
    } finally {
      asking = false;
    }
  };

  desk.onState.push(draw);
  desk.onLanguage.push(draw);

  desk.actions.machine = () => {
    panel().hidden = !panel().hidden;
    desk.find(".strip .machine").setAttribute("aria-expanded", String(isOpen()));
    draw();
  };

  desk.actions["close-machine"] = () => {
    if (isOpen()) desk.actions.machine();
    desk.find(".strip .machine").focus();
  };

  document.addEventListener("keydown", (event) => {
    // the focus is on nothing once the button it was on is disabled
    const here = event.target === document.body || event.target.closest?.("#machine");
    if (event.key === "Escape" && here && isOpen()) desk.actions["close-machine"]();
  });

  desk.actions["machine-report"] = async (button) => {
    const said = desk.find("#machine-said");
    button.disabled = true;
    try {
      const answer = await fetch("/desk/machine/report", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ language: desk.language() }),
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
      said.textContent = desk.say("client.gone");
    } finally {
      button.disabled = false;
    }
  };
})();
