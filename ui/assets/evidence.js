// The right room: the passages of one answer, and the page with the chosen place marked.
"use strict";

(() => {
  const app = window.ragdesk;
  const WIDTHS = [600, 900, 1200, 1600, 2000, 2400]; // few sizes, so that images are reused
  const ZOOMS = [1, 1.4, 2, 2.8];
  const KEPT = 24; // page images; the browser is told to keep none by itself
  const images = new Map();
  let shown = null; // the turn whose passages are listed
  let spots = []; // every place of every passage, in order
  let at = -1; // the chosen spot
  let zoom = 0;
  let page = null; // what the viewer shows: {doc, name, page, w, h, boxes}
  let kept = -1; // a spot chosen by hand while the answer was being written
  let latest = null; // the newest turn that was seen: "0" is the live one
  let listed = ""; // what the list was made of

  const parse = (text) => JSON.parse(text || "[]");
  const list = () => app.find("#evidence-list");
  const pageOf = () => app.find("#viewer-page");

  // -- the list

  const spotsOf = (card) =>
    parse(card.dataset.places).map((place) => ({
      ...place,
      doc: card.dataset.doc,
      name: card.dataset.name,
      card,
    }));

  const listTurn = (turn) => {
    const source = turn?.querySelector(".evidence");
    listed = source ? source.innerHTML : "";
    list().innerHTML = listed;
    app.find("#evidence-summary").textContent = source?.dataset.summary ?? "";
    app.find("#evidence-none").hidden = Boolean(source);
    app.find("#viewer").hidden = !source;
    spots = [...list().querySelectorAll(".card")].flatMap(spotsOf);
    shown = turn;
    at = -1;
    page = source ? page : null;
  };

  const markCard = (card) => {
    for (const other of list().querySelectorAll(".card"))
      other.classList.toggle("on", other === card);
    if (card?.closest("details")) card.closest("details").open = true;
    card?.scrollIntoView({ block: "nearest" });
  };

  const markSentence = (sentence) => {
    for (const other of document.querySelectorAll(".s.on")) other.classList.remove("on");
    if (!sentence) return;
    // a sentence that spans several paragraphs is several elements
    const turn = sentence.closest(".turn");
    for (const part of turn.querySelectorAll(`.s[data-s="${sentence.dataset.s}"]`))
      part.classList.add("on");
  };

  const choose = (index) => {
    if (!spots.length) return;
    at = (index + spots.length) % spots.length;
    markSentence(null);
    markCard(spots[at].card);
    view(spots[at]);
  };

  const chooseSentence = (sentence, number) => {
    const turn = sentence.closest(".turn");
    if (turn !== shown) listTurn(turn);
    const found = parse(sentence.dataset.evidence);
    const item = found.find((one) => one.n === number) ?? found[0];
    if (!item) return;
    const card = list().querySelector(`.card[data-n="${item.n}"]`);
    at = spots.findIndex(
      (spot) => spot.card === card && spot.page === item.places[0].page,
    );
    markSentence(sentence);
    markCard(card);
    view({ ...item.places[0], doc: item.doc, name: card?.dataset.name ?? "" });
  };

  // -- the viewer

  const view = (place) => {
    const same = page && page.doc === place.doc && page.page === place.page;
    page = place;
    if (!same) drawPage();
    drawBoxes(place.boxes, "");
    scrollToBox();
    const row = app.find(`#library-list [data-id="${CSS.escape(place.doc)}"]`);
    const pages = row?.dataset.pages;
    const where = app.say(pages ? "client.page_of" : "client.page", {
      page: place.page,
      pages,
    });
    app.find("#viewer-where").textContent = where;
    app.find("#viewer-where").title = place.boxes.length ? "" : app.say("client.unmarked");
    app.find("#viewer").classList.toggle("unmarked", !place.boxes.length);
  };

  const drawPage = () => {
    const sheet = pageOf();
    sheet.replaceChildren();
    sheet.classList.remove("missing");
    sheet.style.aspectRatio = page.w ? `${page.w} / ${page.h}` : "210 / 297";
    sheet.style.width = `${ZOOMS[zoom] * 100}%`;
    sheet.append(imageOf(address()));
  };

  const imageOf = (source) => {
    const image = images.get(source) ?? document.createElement("img");
    image.alt = app.say("client.image_alt", page);
    image.draggable = false;
    image.onerror = () => {
      images.delete(source);
      pageOf().classList.add("missing");
      pageOf().dataset.words = app.say("client.no_image");
    };
    if (!image.src) image.src = source;
    images.delete(source);
    images.set(source, image); // the latest last
    if (images.size > KEPT) images.delete(images.keys().next().value);
    return image;
  };

  const address = () => {
    const wanted = pageOf().clientWidth * Math.min(window.devicePixelRatio || 1, 2);
    const width = WIDTHS.find((one) => one >= wanted) ?? WIDTHS.at(-1);
    return `/app/page/${page.doc}/${page.page}.png?width=${width}`;
  };

  const drawBoxes = (boxes, kind) => {
    for (const old of pageOf().querySelectorAll(".hl")) old.remove();
    for (const [left, top, width, height] of boxes) {
      const box = document.createElement("div");
      box.className = `hl ${kind}`;
      box.style.left = `${left}%`;
      box.style.top = `${top}%`;
      box.style.width = `${width}%`;
      box.style.height = `${height}%`;
      pageOf().append(box);
    }
  };

  const scrollToBox = () => {
    const room = app.find("#viewer-scroll");
    const first = pageOf().querySelector(".hl");
    const from = room.getBoundingClientRect();
    const to = (first ?? pageOf()).getBoundingClientRect();
    room.scrollTo({
      top: room.scrollTop + to.top - from.top - (first ? room.clientHeight / 3 : 14),
      left: zoom && first ? room.scrollLeft + to.left - from.left - 24 : 0,
      behavior: "instant",
    });
  };

  const setZoom = (level) => {
    zoom = Math.max(0, Math.min(ZOOMS.length - 1, level));
    if (!page) return;
    pageOf().style.width = `${ZOOMS[zoom] * 100}%`;
    pageOf().querySelector("img")?.replaceWith(imageOf(address()));
    scrollToBox();
  };

  // -- a sentence under the pointer or the focus tints its place alike

  const hover = (sentence) => {
    if (!page || !sentence) return;
    const item = parse(sentence.dataset.evidence).find((one) => one.doc === page.doc);
    const place = item?.places.find((one) => one.page === page.page);
    if (place?.boxes.length) drawBoxes(place.boxes, "hover");
  };
  const leave = () => {
    if (page) drawBoxes(page.boxes, "");
  };
  const sentenceOf = (event) => event.target.closest?.(".s[data-evidence]");
  const crossing = (enter) => (event) => {
    const sentence = sentenceOf(event);
    if (!sentence || sentence.contains(event.relatedTarget)) return;
    const parts = sentence
      .closest(".turn")
      .querySelectorAll(`.s[data-s="${sentence.dataset.s}"]`);
    for (const part of parts) part.classList.toggle("hover", enter);
    if (enter) hover(sentence);
    else leave();
  };
  document.addEventListener("mouseover", crossing(true));
  document.addEventListener("mouseout", crossing(false));
  document.addEventListener("focusin", crossing(true));
  document.addEventListener("focusout", crossing(false));

  // -- clicks and keys

  const openRoom = () => document.body.classList.add("evidence-open");

  document.addEventListener("click", (event) => {
    const mark = event.target.closest(".n button");
    const turn = event.target.closest(".turn");
    const sentence = mark
      ? turn.querySelector(`.s[data-s="${mark.dataset.s}"]`)
      : sentenceOf(event);
    const card = event.target.closest("#evidence-list .card");
    if (sentence && !window.getSelection()?.toString()) {
      chooseSentence(sentence, Number(mark?.dataset.n));
      openRoom();
    } else if (card) {
      choose(spots.findIndex((spot) => spot.card === card));
      if (shown?.dataset.live) kept = at;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    if (!event.target.matches?.(".card, .s[data-evidence]")) return;
    event.preventDefault();
    event.target.click();
  });

  app.actions.prev = () => choose(at - 1);
  app.actions.next = () => choose(at + 1);
  app.actions["zoom-in"] = () => setZoom(zoom + 1);
  app.actions["zoom-out"] = () => setZoom(zoom - 1);
  app.actions["zoom-fit"] = () => setZoom(0);
  app.actions["open-evidence"] = () => document.body.classList.toggle("evidence-open");
  app.actions["close-evidence"] = () => document.body.classList.remove("evidence-open");

  // -- the conversation was redrawn

  const newest = () =>
    app.find("#live .turn") ?? [...document.querySelectorAll("#turns .turn")].at(-1);

  const follow = (turn) => {
    listTurn(turn);
    if (!turn?.querySelector(".evidence")) return;
    const first = turn.querySelector('.s[data-evidence]:not([data-evidence="[]"])');
    if (kept >= 0) choose(kept);
    else if (first) chooseSentence(first);
    else choose(0);
  };

  // a passage whose boxes were not known before may stand on more pages than it did
  const indexOf = (before) => {
    const same = (spot) => before && spot.card.dataset.n === before.card.dataset.n;
    const exact = spots.findIndex((spot) => same(spot) && spot.page === before.page);
    return before?.boxes.length && exact >= 0 ? exact : spots.findIndex(same);
  };

  const refresh = () => {
    const html = shown?.querySelector(".evidence")?.innerHTML ?? "";
    if (html === listed) return;
    const sentence = shown.querySelector(".s.on");
    const before = spots[at];
    listTurn(shown);
    if (sentence) chooseSentence(sentence);
    else choose(Math.max(indexOf(before), 0));
    if (kept >= 0) kept = at;
  };

  app.onDrawn.push(() => {
    if (!list()) return;
    const turn = newest();
    const key = turn ? turn.dataset.turn : null;
    if (key === latest && shown?.isConnected) return refresh();
    if (key !== "0" && latest !== "0") kept = -1; // a finished turn takes over from the live one
    latest = key;
    follow(turn);
    kept = -1;
  });
})();
