// Where a probe's time went.

export const PHASES = [
  { id: "dns", label: "DNS", name: "resolving the host's name" },
  { id: "connect", label: "Connect", name: "TCP connection" },
  { id: "tls", label: "TLS", name: "TLS handshake" },
  { id: "waiting", label: "Waiting", name: "until the response's headers" },
  { id: "first", label: "First token", name: "from the headers to the first token" },
  { id: "streaming", label: "Streaming", name: "from the first token to the last" },
];

/** The phases of a record in order, `[{id, ms}]`; empty where only the whole was measured, or nothing. */
export function phasesOf(record) {
  const { dns_ms: dns, tls_ms: tls, connect_ms: connect, ttfb_ms: ttfb, ttft_ms: ttft, latency_ms: latency } = record;
  const found = [];
  const add = (id, ms) => {
    if (ms > 0) found.push({ id, ms });
  };
  add("dns", dns ?? 0);
  if (connect != null) add("connect", connect - (dns ?? 0) - (tls ?? 0));
  add("tls", tls ?? 0);
  if (ttfb != null) add("waiting", ttfb - (connect ?? 0));
  if (ttft != null) add("first", ttft - (ttfb ?? connect ?? 0));
  if (latency != null && ttft != null) add("streaming", latency - ttft);
  return found;
}

/** The medians of the phases of successful records: what a typical probe is made of. */
export function typicalPhases(records) {
  const measured = records.filter((record) => record.status === "success" && record.ttft_ms != null).map(phasesOf);
  if (measured.length === 0) return [];
  return PHASES.map(({ id }) => {
    const values = measured.map((phases) => phases.find((phase) => phase.id === id)?.ms ?? 0).sort((a, b) => a - b);
    return { id, ms: values[Math.floor(values.length / 2)] };
  }).filter((phase) => phase.ms > 0);
}
