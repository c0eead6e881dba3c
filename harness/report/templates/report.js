// What the address asks for is what the page shows: a section, trials that a number rests on, or one trial.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

/** An element. Strings become text, never markup, whatever a model wrote. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

/** A number as the tables write it; a missing one as a dash. */
function decimals(value, digits = 2) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function grouped(value) {
  return Math.round(value).toLocaleString("en");
}

/** A heading comes into view and takes the focus, so that a screen reader goes on from there. */
function arrive(heading) {
  heading.focus({ preventScroll: true });
  heading.scrollIntoView();
}

/** The folded parts around the target of a link open. */
function reveal(id) {
  const target = id && byId(id);
  if (!target) return;
  for (let node = target; node; node = node.parentElement) {
    if (node.tagName === "DETAILS") node.open = true;
  }
  target.scrollIntoView();
}

function follow() {
  const asked = location.hash.slice(1);
  const trial = /^trial-(\d+)(?:\.event-(\d+))?$/.exec(asked);
  if (trial) return showTrial(Number(trial[1]), trial[2]);
  if (asked === "trials" || asked.startsWith("trials?")) {
    showTrials(new URLSearchParams(asked.slice("trials?".length)));
    return arrive(byId("trials"));
  }
  return reveal(asked);
}

addEventListener("hashchange", follow);
addEventListener("DOMContentLoaded", () => {
  if (!location.hash.startsWith("#trials")) showTrials(new URLSearchParams());
  follow();
});
// On paper nothing can be unfolded.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("main details.printed")) folded.open = true;
});
