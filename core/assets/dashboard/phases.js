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
