// The middle of a trial's page: alerts over time, and what happened, turn by turn.

const FOLDED_FROM = 400;

/** One lane per alert; bars where it fired, lines where the agent began, changed something and ended. */
function lanes(history, changes, record) {
  const { begin, end } = history;
  const at = (time) => `${(100 * (Math.min(Math.max(time, begin), end) - begin)) / (end - begin || 1)}%`;
  const line = (time, kind) => {
    const element = make("i", { class: kind });
    element.style.left = at(time);
    return element;
  };
  const marks = () => [line(0, "edge"), ...changes.map((event) => line(event.t ?? 0, "change")), line(record.agent_seconds, "edge")];
  const bar = ([from, until]) => {
    const element = make("b");
    element.style.left = at(from);
    element.style.width = `max(3px, calc(${at(until)} - ${at(from)}))`;
    return element;
  };
  const rows = Object.entries(history.firing).sort().map(([alert, spans]) => make("tr", {},
    make("th", { scope: "row" }, alert),
    make("td", {}, make("div", { class: "lane", "aria-hidden": "true" }, marks(), spans.map(bar)),
      make("span", { class: "unseen" }, spans.map(([from, until]) => `${clock(from)} to ${clock(until)}`).join(", ")))));
  const label = (time, text, side) => {
    const element = make("span", { class: side }, text);
    element.style.left = at(time);
    return element;
  };
  const [first, last] = record.agent_seconds < 0.4 * (end - begin) ? ["before", "after"] : ["after", "before"]; // no room between
  const axis = make("div", { class: "lane axis", "aria-hidden": "true" }, label(0, "agent begins", first), label(record.agent_seconds, `ends ${clock(record.agent_seconds)}`, last));
  const table = make("table", { class: "lanes" }, make("caption", {}, "When alerts fired, sampled each minute; ¦ a call that changes the cluster"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "alert"), make("th", { scope: "col" }, axis, make("span", { class: "unseen" }, "when it fired")))),
    make("tbody", {}, rows));
  return rows.length ? [scrolling("Alerts over time", table)] : [make("p", {}, "No alert fired.")];
}

/** Events in turns. A turn begins when the model is asked, or with each call where the agent brings its model. */
function turnsOf(events) {
  const opens = events.some((event) => event.type === "model_call" && event.finish !== "reported") ? "model_call" : "tool_call";
  const turns = [{ name: "Before the first turn", events: [] }];
  let number = 0;
  for (const event of events) {
    if (event.type === opens) turns.push({ name: `Turn ${(number += 1)}`, events: [] });
    if (event.type === "ended") turns.push({ name: "After the last turn", events: [] });
    turns.at(-1).events.push(event);
  }
  return turns.filter((turn) => turn.events.length);
}

/** Event number -> the labels that rest on it. */
function marksOf(record) {
  const marks = new Map();
  for (const label of record.labels) {
    if (label.present !== "present") continue;
    for (const span of label.spans) {
      for (const number of span.events) marks.set(number, [...(marks.get(number) ?? []), { slug: label.slug, quote: span.quote }]);
    }
  }
  return marks;
}

function timeline(trial, record, events) {
  const marks = marksOf(record);
  return make("ol", { class: "timeline" }, turnsOf(events).map((turn) => make("li", {},
    make("h4", {}, turn.name, " ", make("time", {}, clock(turn.events[0].t ?? 0))),
    make("ol", {}, turn.events.map((event) => step(trial, event, marks.get(event.i) ?? []))))));
}

function step(trial, event, marks) {
  const { kind, title, text } = describe(event);
  const slugs = [...new Set(marks.map((one) => one.slug))];
  const role = event.role && event.role !== "agent" ? make("span", { class: "chip" }, event.role) : null;
  const head = make("div", { class: "title" }, make("span", { class: "number" }, String(event.i)), " ", title, " ", role,
    slugs.map((slug) => make("span", { class: "chip mode" }, slug)));
  return make("li", { id: `trial-${trial.number}.event-${event.i}`, class: `${kind}${slugs.length ? " marked" : ""}`, tabindex: "-1" }, head, said(text, marks.map((one) => one.quote)));
}

/** The text of an event with quoted evidence marked; long ones are folded, unless a quote lies in them. */
function said(text, quotes) {
  if (!text) return null;
  const quote = quotes.find((one) => one && text.includes(one));
  const from = quote ? text.indexOf(quote) : 0;
  const parts = quote ? [text.slice(0, from), make("mark", {}, quote), text.slice(from + quote.length)] : [text];
  const folds = text.length >= FOLDED_FROM || text.split("\n").length >= 8;
  const whole = make("pre", { tabindex: "0" }, quote || !folds ? parts : laidOut(text));
  if (!folds) return whole;
  const first = text.trimStart().split("\n")[0].slice(0, 100);
  return make("details", { open: Boolean(quote) }, make("summary", {}, make("code", {}, first), ` … ${grouped(text.length)} characters`), whole);
}

/** JSON behind a call id over several lines; any other text as it is. */
function laidOut(text) {
  const [, id, json] = /^(\[c\d+\] )?([{[][\s\S]*)$/.exec(text) ?? [];
  try {
    return `${id ?? ""}${JSON.stringify(JSON.parse(json), null, 2)}`;
  } catch {
    return text;
  }
}
