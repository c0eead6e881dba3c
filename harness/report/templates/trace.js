// One trial: finds its trace, in the page, in a file beside it, or at `python -m harness view`, and unpacks it.

const packed = new Map(data.packed.map(([number, record, events]) => [number, [record, events]]));
let wantedTrial = null;

/** Called by the files that hold traces. */
window.harnessTraces = (entries) => {
  for (const [number, record, events] of entries) packed.set(number, [record, events]);
};

/** A page from disk may not fetch files, but it may load scripts. */
function load(address) {
  return new Promise((resolve, reject) => {
    const script = make("script", { src: address });
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error(`${address} could not be read`)));
    document.head.append(script);
  }).finally(() => document.head.querySelector("script[src]")?.remove());
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

/** Record and events of a trial. Fails with what a reader can do about it. */
async function traceOf(trial) {
  if (!packed.has(trial.number)) {
    const served = location.protocol.startsWith("http");
    if (trial.file === null && !served) {
      throw new Error("its trace is not beside this page; `python -m harness view RUN` shows it");
    }
    await load(trial.file === null ? `trace/${trial.number}.js` : `${data.directory}/${data.files[trial.file]}`);
  }
  const [record, events] = packed.get(trial.number) ?? [];
  if (!record) throw new Error("it has no record in the file that should hold it");
  const lines = events ? (await unpack(events)).split("\n").filter(Boolean) : [];
  return { record: JSON.parse(await unpack(record)), events: lines.map((line) => JSON.parse(line)) };
}

async function showTrial(number, event) {
  const trial = trialByNumber.get(number);
  const heading = byId("trial");
  byId("trial-section").hidden = false;
  wantedTrial = number;
  if (!trial) {
    heading.textContent = `Trial ${number}`;
    byId("shown").replaceChildren(make("p", {}, "This trial has no record: it is still owed, or it was spared."));
    return arrive(heading);
  }
  heading.textContent = `Trial ${number}: ${data.scenarios[trial.scenario]}, ${data.arms[trial.arm]}`;
  if (byId("shown").dataset.trial !== String(number)) {
    byId("shown").replaceChildren(make("p", { role: "status" }, "Reading the trace …"));
    let content;
    try {
      content = trialPage(trial, await traceOf(trial));
    } catch (error) {
      content = [make("p", { class: "problem", role: "alert" }, `The trace of this trial cannot be shown: ${error.message}.`)];
    }
    if (wantedTrial !== number) return undefined; // another trial was asked for meanwhile
    byId("shown").replaceChildren(...trialHead(trial), ...content);
    byId("shown").dataset.trial = number;
  }
  for (const here of document.querySelectorAll(".here")) here.classList.remove("here");
  const target = event === undefined ? null : byId(`trial-${number}.event-${event}`);
  if (!target) return arrive(heading);
  target.classList.add("here");
  return arrive(target);
}

// --- head: which trial, and the same seed in other arms ------------------------------------------------

function trialHead(trial) {
  const twins = trials.filter((one) => one !== trial && one.system === trial.system
    && one.scenario === trial.scenario && one.repeat === trial.repeat);
  const same = twins.map((one) => make("li", {}, trialLink(one, data.arms[one.arm]), " ", mark(one)));
  return [
    make("p", { class: "caption" }, `${systemName(trial.system)}, repeat ${trial.repeat}. `, make("a", { href: "#trials" }, "Back to the list")),
    same.length ? make("details", { open: same.length < 6 }, make("summary", {}, "The same incident and seed in other arms"), make("ul", { class: "twins" }, same)) : null,
  ].filter(Boolean);
}

function trialPage(trial, { record, events }) {
  const parts = [facts(trial, record)];
  if (record.submission) parts.push(make("h3", {}, "Diagnosis"), diagnosis(record));
  parts.push(make("h3", {}, "Failure modes"), labelTable(trial, record));
  const history = events.findLast((event) => event.type === "alert_history");
  const changes = events.filter((event) => event.type === "tool_call" && event.mutating);
  if (history) parts.push(make("h3", {}, "Alerts over time"), ...lanes(history, changes, record));
  parts.push(make("h3", {}, "Timeline"));
  parts.push(events.length ? timeline(trial, record, events) : make("p", {}, "No trace was kept."));
  return parts;
}

// --- facts ---------------------------------------------------------------------------------------------

function facts(trial, record) {
  const { verdict, score, usage } = record;
  const asked = [];
  const add = (title, ...content) => asked.push(make("div", {}, make("dt", {}, title), make("dd", {}, content)));
  add("Outcome", mark(trial), record.reason ? make("small", {}, `${record.reason}${record.detail ? `: ${record.detail}` : ""}`) : null);
  if (score) add("Diagnosis", `recall ${decimals(score.recall)}, precision ${decimals(score.precision)}`, make("small", {}, `strict recall ${decimals(score.recall_strict)}, mutation recall ${decimals(score.mutation_recall)}`));
  add("Verdict", ...(verdict ? verdictList(verdict) : [record.can_act ? "none was reached" : "none: recorded incidents cannot be remediated"]));
  add("Spent", `${record.turns} turns, ${record.tool_calls} calls${record.denied_calls ? ` (${record.denied_calls} denied)` : ""}`,
    make("small", {}, `${grouped(usage.input_tokens + usage.output_tokens)} tokens, $${decimals(usage.cost_usd, 4)}, ${clock(record.agent_seconds)} min on the incident's clock`));
  if (record.earlier?.length) add("Earlier attempts", record.earlier.map((one) => make("div", {}, one.reason, make("small", {}, one.detail))));
  const fired = Object.entries(record.guard_firings);
  if (fired.length) add("Guards fired", fired.map(([guard, count]) => `${guard} × ${count}`).join(", "));
  return make("dl", { class: "facts" }, asked);
}

function verdictList(verdict) {
  const line = (good, says, rest) => make("div", { class: good ? "good" : "bad" }, `${good ? "✓" : "✗"} ${says}`, few(rest));
  return [
    line(verdict.symptom_cleared, verdict.symptom_cleared ? "symptom cleared" : "symptom not cleared",
      verdict.symptom_cleared && verdict.settled_after_s ? [`${clock(verdict.settled_after_s)} min after the agent ended`] : verdict.remaining_alerts),
    line(verdict.cause_removed, verdict.cause_removed ? "cause removed" : "cause not removed", verdict.remaining_causes),
    line(!verdict.collateral_damage, verdict.collateral_damage ? "collateral damage" : "no collateral damage", verdict.damage),
  ];
}

/** A few things one below the other; more of them folded. */
function few(things) {
  return folded(things.map((thing) => make("small", {}, thing)));
}

function folded(lines) {
  return lines.length <= 3 ? lines : [lines[0], make("details", {}, make("summary", {}, `and ${lines.length - 1} more`), lines.slice(1))];
}

function scrolling(label, content) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, content);
}

function plainTable(label, heads, rows) {
  return scrolling(label, make("table", {}, make("caption", {}, label),
    make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first), rest.map((cell) => make("td", { class: "wrap" }, cell)))))));
}

function diagnosis(record) {
  const matches = new Map((record.score?.matches ?? []).map((match) => [match.entity, match]));
  const rows = record.submission.diagnosis.entities.map((entity) => {
    const match = matches.get(entity.name);
    const right = match?.group ? `✓ root cause ${match.group} (rule ${match.rule}${match.strict ? "" : ", another kind"})` : "✗ no root cause";
    return [entity.name, entity.contributing_factor ? (match ? right : "–") : "not blamed", [entity.reasoning, entity.evidence && `Evidence: ${entity.evidence}`].filter(Boolean).join(" ")];
  });
  const claim = `The agent ${record.submission.resolved ? "claims that the incident is over" : "does not claim that the incident is over"}. ${record.submission.resolution_evidence}`;
  return make("div", {}, plainTable("Entities that the agent named", ["entity", "blamed rightly", "reasoning"], rows), make("p", { class: "caption" }, claim));
}

function labelTable(trial, record) {
  const shown = record.labels.filter((label) => label.present === "present" || label.present === "cannot_tell");
  if (!shown.length) return make("p", {}, record.labels.length ? `None of ${record.labels.length} labels says that a mode is present.` : "This trial was not classified.");
  const source = (label) => [label.source, label.basis === "proposes" ? "a proposal that does not count" : "", label.repaired ? "repaired before the last answer" : ""].filter(Boolean).join(", ");
  const evidence = (label) => folded(label.spans.map((span) => make("div", {},
    span.events.map((number) => [make("a", { href: `#trial-${trial.number}.event-${number}`, "aria-label": `${label.slug}, event ${number}` }, `event ${number}`), " "]),
    span.quote ? make("q", {}, span.quote) : null)));
  return plainTable("Labels, the events that show them, and who says so", ["mode", "present", "evidence", "source", "note"],
    shown.map((label) => [label.slug, label.present.replace("_", " "), evidence(label), source(label), label.note]));
}
