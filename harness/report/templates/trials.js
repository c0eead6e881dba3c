// The list of trials: those that a number rests on, singly or in pairs, filtered and sorted.

const AT_ONCE = 100;

const trials = data.trials.map(
  ([number, system, arm, scenario, repeat, outcome, recall, precision, verdict, modes, calls, denied, tokens, cost,
    reason, guards, file]) => ({ number, system, arm, scenario, repeat, outcome, recall, precision, verdict, modes,
    calls, denied, tokens, cost, reason, guards, file }),
);
const trialByNumber = new Map(trials.map((trial) => [trial.number, trial]));
const EXCLUDED = data.outcomes.findIndex(([name]) => name === "excluded");
const FULL = data.outcomes.findIndex(([name]) => name === "full");
const FAILED = data.outcomes.findIndex(([name]) => name === "failed");
const CLEARED = 1, REMOVED = 2, DAMAGED = 4, UNDECIDED = 8;
const state = { sort: "number", falling: false };

function systemName(system) {
  const [model, agent, simulated] = data.systems[system];
  return `${model}${simulated ? " (simulated)" : ""}, ${agent}`;
}

/** As it counts: a failed trial has not remediated; null where nothing could be, or the trial is excluded. */
function isRemediated(trial) {
  if (trial.verdict === null || trial.outcome === EXCLUDED) return null;
  return trial.outcome !== FAILED && trial.verdict === (CLEARED | REMOVED);
}

// --- which trials ------------------------------------------------------------------------------------

/** The conditions of an address: field -> accepted numbers. */
function conditions(params) {
  const wanted = {};
  for (const field of ["system", "arm", "scenario", "outcome", "mode", "reason", "guard"]) {
    if (params.get(field)) wanted[field] = params.get(field).split(".").map(Number);
  }
  return wanted;
}

function holds(trial, wanted) {
  const has = { ...trial, mode: trial.modes, guard: trial.guards };
  return Object.entries(wanted).every(([field, accepted]) =>
    Array.isArray(has[field]) ? has[field].some((one) => accepted.includes(one)) : accepted.includes(has[field]));
}

/** Pairs [trial of the arm, trial of the reference] that differ in nothing else. */
function paired(wanted, [arm, reference]) {
  const key = (trial) => `${trial.system}/${trial.scenario}/${trial.repeat}`;
  const partners = new Map(trials.filter((trial) => trial.arm === reference).map((trial) => [key(trial), trial]));
  return trials
    .filter((trial) => trial.arm === arm && holds(trial, wanted) && partners.has(key(trial)))
    .map((trial) => [trial, partners.get(key(trial))]);
}

/** Mean over scenarios of the mean over their runs: how every recall of the page is averaged. */
function overScenarios(rows, value) {
  const runs = new Map();
  for (const row of rows) {
    const found = value(row);
    if (found === null) continue;
    const scenario = (Array.isArray(row) ? row[0] : row).scenario;
    runs.set(scenario, [...(runs.get(scenario) ?? []), found]);
  }
  const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
  return runs.size ? mean([...runs.values()].map(mean)) : null;
}

/** Recall as it counts: a failed trial has none, an excluded one does not count. */
function counted(trial) {
  return trial.outcome === EXCLUDED ? null : trial.recall ?? 0;
}

function difference([trial, partner]) {
  const both = [counted(trial), counted(partner)];
  return both.includes(null) ? null : both[0] - both[1];
}

// --- how they are shown ------------------------------------------------------------------------------

function mark(trial) {
  const [name, sign, says] = data.outcomes[trial.outcome];
  return make("span", { class: `mark ${name}` }, make("span", { "aria-hidden": "true" }, sign), ` ${says}`);
}

function verdictText(trial) {
  if (trial.verdict === null) return "–";
  if (trial.verdict & UNDECIDED) return "none reached";
  if (trial.verdict === (CLEARED | REMOVED)) return "all clear";
  const parts = [];
  if (!(trial.verdict & CLEARED)) parts.push("alerts fire");
  if (!(trial.verdict & REMOVED)) parts.push("cause remains");
  if (trial.verdict & DAMAGED) parts.push("collateral damage");
  return parts.join(", ");
}

function trialLink(trial, text = `#${trial.number}`) {
  return make("a", { href: `#trial-${trial.number}`, "aria-label": `trial ${trial.number}` }, text);
}

const COLUMNS = {
  number: ["trial", (trial) => trialLink(trial), ""],
  scenario: ["scenario", (trial) => data.scenarios[trial.scenario], ""],
  repeat: ["repeat", (trial) => trial.repeat, "n"],
  system: ["model, agent", (trial) => systemName(trial.system), ""],
  arm: ["arm", (trial) => data.arms[trial.arm], ""],
  outcome: ["outcome", (trial) => [mark(trial), reasonOf(trial)], ""],
  recall: ["recall", (trial) => decimals(trial.recall), "n"],
  verdict: ["verdict", verdictText, ""],
  modes: ["failure modes", (trial) => trial.modes.map((mode) => make("span", { class: "chip" }, data.modes[mode])), "wrap"],
  calls: ["calls (denied)", (trial) => `${trial.calls}${trial.denied ? ` (${trial.denied})` : ""}`, "n"],
  tokens: ["tokens", (trial) => grouped(trial.tokens), "n"],
  cost: ["USD", (trial) => decimals(trial.cost, 4), "n"],
};
const PAIR_COLUMNS = {
  scenario: ["scenario", ([trial]) => data.scenarios[trial.scenario], ""],
  repeat: ["repeat", ([trial]) => trial.repeat, "n"],
  system: ["model, agent", ([trial]) => systemName(trial.system), ""],
  number: ["arm", ([trial]) => [trialLink(trial), " ", mark(trial), reasonOf(trial)], ""],
  partner: ["reference", ([, partner]) => [trialLink(partner), " ", mark(partner), reasonOf(partner)], ""],
  difference: ["Δ recall", (pair) => signed(difference(pair)), "n"],
  modes: ["Δ modes", ([trial, partner]) => signed(trial.modes.length - partner.modes.length, 0), "n"],
  remediated: ["remediated", (pair) => pair.map((one) => ({ true: "yes", false: "no" })[isRemediated(one)] ?? "–").reverse().join(" → "), ""],
  tokens: ["Δ tokens", ([trial, partner]) => `${trial.tokens > partner.tokens ? "+" : ""}${grouped(trial.tokens - partner.tokens)}`, "n"],
};

function signed(value, digits = 2) {
  return value === null ? "–" : `${value > 0 ? "+" : ""}${decimals(value, digits)}`;
}

function reasonOf(trial) {
  return trial.reason === null ? null : make("small", {}, data.reasons[trial.reason]);
}

/** What a column sorts by. */
function sortKey(row, column) {
  if (column === "difference") return difference(row) ?? -Infinity;
  const trial = Array.isArray(row) ? row[column === "partner" ? 1 : 0] : row;
  if (column === "modes") return Array.isArray(row) ? row[0].modes.length - row[1].modes.length : trial.modes.length;
  if (column === "tokens" && Array.isArray(row)) return row[0].tokens - row[1].tokens;
  if (column === "partner") return trial.number;
  return (column === "remediated" ? trial.verdict : trial[column]) ?? -Infinity;
}

function showTrials(params) {
  const wanted = conditions(params);
  const pair = params.get("pair")?.split(".").map(Number);
  const rows = pair ? paired(wanted, pair) : trials.filter((trial) => holds(trial, wanted));
  fillForm(params);
  byId("count").replaceChildren(...counts(rows, pair));
  const columns = { ...(pair ? PAIR_COLUMNS : COLUMNS) };
  if (new Set(rows.map((row) => (pair ? row[0] : row).system)).size < 2) delete columns.system;
  if (pair) {
    columns.number = [data.arms[pair[0]], ...columns.number.slice(1)];
    columns.partner = [data.arms[pair[1]], ...columns.partner.slice(1)];
  }
  if (!(state.sort in columns)) Object.assign(state, { sort: Object.keys(columns)[0], falling: false });
  showRows(rows, columns);
}

function counts(rows, pair) {
  if (!rows.length) return ["No trial has all of this."];
  const scenarios = new Set(rows.map((row) => (pair ? row[0] : row).scenario)).size;
  if (pair) {
    const gained = rows.filter(([trial, partner]) => flipOf(trial, partner) === "gained").length;
    const lost = rows.filter(([trial, partner]) => flipOf(trial, partner) === "lost").length;
    return [`${grouped(rows.length)} pairs of trials in ${scenarios} scenarios. ${data.arms[pair[0]]} − ${data.arms[pair[1]]}, `
      + `averaged over scenarios: recall ${signed(overScenarios(rows, difference))}. Recall 1: ${gained} gained, ${lost} lost.`];
  }
  const remediated = overScenarios(rows, (trial) => isRemediated(trial) === null ? null : Number(isRemediated(trial)));
  return [`${grouped(rows.length)} of ${grouped(trials.length)} trials in ${scenarios} scenarios. Averaged over scenarios: `
    + `recall ${decimals(overScenarios(rows, counted))}, remediated ${decimals(remediated)}.`];
}

function flipOf(trial, partner) {
  const full = [trial, partner].map((one) => one.outcome === FULL);
  if ([trial, partner].some((one) => one.outcome === EXCLUDED) || full[0] === full[1]) return "";
  return full[0] ? "gained" : "lost";
}

function showRows(rows, columns) {
  const sorted = [...rows].sort((a, b) => {
    const [x, y] = [sortKey(a, state.sort), sortKey(b, state.sort)];
    return (x < y ? -1 : x > y ? 1 : 0) * (state.falling ? -1 : 1);
  });
  const body = make("tbody");
  const more = make("button", { type: "button" });
  const add = () => {
    const from = body.childElementCount;
    body.append(...sorted.slice(from, from + AT_ONCE).map((row) => tableRow(row, columns)));
    const left = sorted.length - body.childElementCount;
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(left, AT_ONCE)} more of ${grouped(left)}`;
  };
  add();
  more.addEventListener("click", add);
  const heads = Object.entries(columns).map(([name, [title, , kind]]) => headCell(name, title, kind, () => showRows(rows, columns)));
  const table = make("table", { class: rows.length && Array.isArray(rows[0]) ? "pairs" : "" },
    make("caption", {}, "Trials; a heading sorts"), make("thead", {}, make("tr", {}, heads)), body);
  byId("list").replaceChildren(...(rows.length ? [table, more] : []));
}

function headCell(name, title, kind, again) {
  const active = state.sort === name;
  const button = make("button", { type: "button", class: "sort" }, title, make("span", { "aria-hidden": "true" }, active ? (state.falling ? " ▾" : " ▴") : ""));
  button.addEventListener("click", () => {
    Object.assign(state, { sort: name, falling: active && !state.falling });
    again();
    byId("list").querySelector(`th[data-column="${name}"] button`).focus();
  });
  return make("th", { scope: "col", class: kind, "data-column": name, "aria-sort": active ? (state.falling ? "descending" : "ascending") : null }, button);
}

function tableRow(row, columns) {
  const flip = Array.isArray(row) ? flipOf(...row) : "";
  return make("tr", { class: flip || null }, Object.values(columns).map(([, show, kind]) => make("td", { class: kind || null }, show(row))));
}

// --- the form ------------------------------------------------------------------------------------------

function fillForm(params) {
  const reference = data.reference;
  const pairs = data.arms.map((_, arm) => arm).filter((arm) => reference !== null && arm !== reference).map((arm) => `${arm}.${reference}`);
  const asked = params.get("pair");
  if (asked && !pairs.includes(asked)) pairs.push(asked);
  const pairName = (pair) => pair.split(".").map((arm) => data.arms[arm]).join(" − ");
  const arms = [
    ...data.arms.map((name, arm) => [`arm=${arm}`, name]),
    ...pairs.map((pair) => [`pair=${pair}`, `pairs: ${pairName(pair)}`]),
  ];
  const numbered = (names) => names.map((name, place) => [String(place), name]);
  const outcomes = numbered(data.outcomes.map(([, sign, says]) => `${sign} ${says}`)).filter(([place]) => data.outcomes[place][0] !== "owed");
  if (params.get("outcome")?.includes(".")) {
    outcomes.push([params.get("outcome"), params.get("outcome").split(".").map((place) => data.outcomes[place][2]).join(" or ")]);
  }
  const armNow = asked ? `pair=${asked}` : params.get("arm") ? `arm=${params.get("arm")}` : "";
  byId("filters").replaceChildren(...[
    choice("system", "model, agent", numbered(data.systems.map((_, place) => systemName(place))), params.get("system")),
    choice("arms", "arm", arms, armNow),
    choice("scenario", "scenario", numbered(data.scenarios), params.get("scenario")),
    choice("outcome", "outcome", outcomes, params.get("outcome")),
    choice("mode", "failure mode", numbered(data.modes), params.get("mode")),
    choice("guard", "guard fired", numbered(data.guards), params.get("guard")),
    choice("reason", "reason", numbered(data.reasons), params.get("reason")),
    make("a", { href: "#trials", class: "button" }, "All trials"),
  ].filter((part) => part !== null));
}

function choice(name, label, options, now) {
  if (options.length < 2) return null;
  const select = make("select", { name, id: `filter-${name}` }, make("option", { value: "" }, "any"),
    options.map(([value, text]) => make("option", { value, selected: value === now }, text)));
  select.addEventListener("change", () => {
    const asked = new URLSearchParams();
    for (const one of byId("filters").querySelectorAll("select")) {
      if (!one.value) continue;
      if (one.name === "arms") asked.set(...one.value.split("="));
      else asked.set(one.name, one.value);
    }
    history.replaceState(null, "", `#trials?${asked}`);
    showTrials(asked);
    byId(`filter-${name}`).focus();
  });
  return make("label", {}, label, select);
}
