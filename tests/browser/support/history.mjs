// Records of a past that never was, as a CSV in the program's own columns.

const HEADER =
  "model_name,environment,timestamp,latency_ms,input_tokens,output_tokens,cost,context_window,is_cloud,status,cycle_id,provider," +
  "simulated,location,start_delay_ms,connect_ms,ttft_ms,ttfa_ms,tpot_ms,max_gap_ms,cached_input_tokens,reasoning_tokens,token_source," +
  "http_status,error_kind,error_message,served_model,finish_reason,dns_ms,tls_ms,ttfb_ms,client_delay_ms,load_ms";

/** @param {object[]} records with the columns' names; what is left out is empty */
export function csv(records) {
  const names = HEADER.split(",");
  const cell = (value) => (value == null ? "" : /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  return [HEADER, ...records.map((record) => names.map((name) => cell(record[name])).join(","))].join("\n") + "\n";
}

/** A probe that took `latency` ms, a third of it until the first token. */
export function success(model, environment, at, latency, more = {}) {
  const ttft = latency / 3;
  return {
    model_name: model, environment, timestamp: at.toISOString(), latency_ms: latency, input_tokens: 120, output_tokens: 101, cost: "0.00012",
    context_window: 128000, is_cloud: "true", status: "success", cycle_id: cycleId(at), provider: "openai", simulated: "false",
    location: "test", start_delay_ms: 1, connect_ms: 30, ttft_ms: ttft, ttfa_ms: ttft, tpot_ms: (latency - ttft) / 100,
    token_source: "provider", http_status: 200, finish_reason: "stop", dns_ms: 2, tls_ms: 15, ttfb_ms: ttft / 2, ...more,
  };
}

export function failure(model, environment, at, kind, message, more = {}) {
  return {
    model_name: model, environment, timestamp: at.toISOString(), status: "error", cycle_id: cycleId(at), provider: "openai",
    simulated: "false", location: "test", is_cloud: "true", error_kind: kind, error_message: message, ...more,
  };
}

/** A kept usage file: what the usage endpoint said of each model at `at`. Rates are US dollars per token. */
export function usageCsv(at, models) {
  const header = "fetched_at,llm_code,cost,input_tokens,output_tokens,prompt_count,input_token_rate,output_token_rate," +
    "average_cost_for_month,average_input_tokens_for_month,average_output_tokens_for_month,average_prompt_count_for_month";
  const rows = models.map(({ name, cost, input, output }) => `${at.toISOString()},${name},${cost},1000,100,10,${input},${output},,,,`);
  return [header, ...rows].join("\n") + "\n";
}

function cycleId(at) {
  return `${at.toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}
