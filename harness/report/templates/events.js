// What an event of a trace says: its kind, one line, and its text.

const DESCRIBE = {
  system: (event) => ["system", "system prompt", event.text],
  user: (event) => ["user", "message to the agent", event.text],
  model_call: (event) => ["model", modelCall(event), ""],
  assistant: (event) => ["assistant", "agent says", [event.text, event.reasoning && `reasoning: ${event.reasoning}`].filter(Boolean).join("\n\n")],
  tool_call: (event) => ["call", `${event.call_id} ${event.name}${event.mutating ? " (changes the cluster)" : ""}`, compact(event.args)],
  tool_result: (event) => [event.ok ? "result" : "error", `${event.call_id} ${event.name}: ${resultOf(event)}`, event.text],
  guard: (event) => ["guard", `guard ${event.guard}: ${event.ruling} on ${event.on}${guardCost(event)}`, event.feedback],
  context_reduced: (event) => ["event", `context reduced by ${event.by}: ${grouped(event.tokens_before)} to ${grouped(event.tokens_after)} tokens`, (event.call_ids ?? []).join(", ")],
  agent_message: (event) => ["message", `${event.sender} hands over to ${event.receiver}${event.evidence?.length ? `, evidence ${event.evidence.join(" ")}` : ""}`, event.text],
  phase_change: (event) => ["message", `${event.source} ends with ${event.outcome}, ${event.target} begins`, event.text],
  final: (event) => ["final", `submission accepted${event.forced ? " (forced)" : ""}`, JSON.stringify(event.submission, null, 1)],
  ended: (event) => ["ended", `ended: ${event.how}`, event.detail],
  program_output: (event) => ["event", `${event.stream} of the program, ${grouped(event.total_bytes)} bytes in all`, event.text],
  alerts_observed: (event) => ["alerts", `alerts firing (not seen by the agent): ${event.firing.length}`, event.firing.join("\n") || "none"],
  alert_history: (event) => ["alerts", "alerts over time (not seen by the agent)", Object.keys(event.firing).join("\n")],
};

/** A trace of a newer version may hold events that this page does not know: they are shown as they are. */
function describe(event) {
  const [kind, title, text] = (DESCRIBE[event.type] ?? ((other) => ["event", other.type, JSON.stringify(other, null, 1)]))(event);
  return { kind, title, text: text ?? "" };
}

function modelCall(event) {
  const parts = [`${grouped(event.input_tokens ?? 0)} tokens in, ${grouped(event.output_tokens ?? 0)} out`];
  if (event.latency_s) parts.push(`${decimals(event.latency_s, 1)} s`);
  if (event.retries) parts.push(`${event.retries} retries`);
  return `${event.model}: ${parts.join(", ")}`;
}

function resultOf(event) {
  if (event.executed === false) return "not run";
  return event.ok ? "result" : "error";
}

function guardCost(event) {
  return [event.reads && `, ${event.reads} own reads`, event.undone?.length && `, put back ${event.undone.join(", ")}`].filter(Boolean).join("");
}

/** Arguments in one line where they are short. */
function compact(args) {
  const line = JSON.stringify(args ?? {});
  return line.length <= 100 ? line : JSON.stringify(args, null, 1);
}

/** Seconds as minutes and seconds; the agent's work begins at 00:00. */
function clock(seconds) {
  const whole = Math.trunc(Math.abs(seconds));
  const two = (value) => String(value).padStart(2, "0");
  return `${seconds < 0 ? "−" : ""}${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
}
