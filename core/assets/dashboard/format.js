// Numbers with their units, times in the reader's zone. Unknown is a dash, never a zero.

export const UNKNOWN = "–";
const THIN = " ";
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayAndSecond = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const calendarDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 3 significant digits: `3.21 ms`, `412 ms`, `1.83 s`, `2 min 5 s`. */
export function duration(ms) {
  if (!isNumber(ms)) return UNKNOWN;
  if (ms < 1) return `${ms.toFixed(2)}${THIN}ms`;
  if (ms < 999.5) return `${precise(ms)}${THIN}ms`;
  if (ms < 99_950) return `${precise(ms / 1000)}${THIN}s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}${THIN}min${seconds % 60 ? ` ${seconds % 60}${THIN}s` : ""}`;
}

/** Time per output token. */
export function perToken(ms) {
  return isNumber(ms) ? `${ms < 100 ? precise(ms) : whole.format(ms)}${THIN}ms/tok` : UNKNOWN;
}

export function metricValue(metric, value) {
  return metric === "tpot_ms" ? perToken(value) : duration(value);
}

/** US dollars: cents from a dollar on, below it 3 significant digits. */
export function usd(amount) {
  if (!isNumber(amount)) return UNKNOWN;
  if (amount === 0) return "$0";
  if (Math.abs(amount) >= 1) return `$${amount.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  const text = amount.toLocaleString("en-US", { maximumSignificantDigits: 3, maximumFractionDigits: 12 });
  // Whole dimes are written in cents too.
  return `$${/\.\d$/.test(text) ? `${text}0` : text}`;
}

/** `1.26 M`, `128 k`, `942`. */
export function count(number) {
  if (!isNumber(number)) return UNKNOWN;
  if (number < 10_000) return whole.format(number);
  if (number < 999_500) return `${trim(precise(number / 1e3))}${THIN}k`;
  if (number < 999_500_000) return `${trim(precise(number / 1e6))}${THIN}M`;
  return `${trim(precise(number / 1e9))}${THIN}G`;
}

export function integer(number) {
  return isNumber(number) ? whole.format(number) : UNKNOWN;
}

/** A share of 0..1. Never rounded up to 100 %: one failure in a thousand is not perfection. */
export function percent(share) {
  if (!isNumber(share)) return UNKNOWN;
  const hundredths = Math.floor(share * 10_000 + 1e-9) / 100;
  return `${trim(share < 0.995 && share > 0.005 ? hundredths.toFixed(1) : hundredths.toFixed(2))}${THIN}%`;
}

/** Against another value: `+12 %`, `−8 %`, `3.2×`. */
export function difference(value, other) {
  if (!isNumber(value) || !isNumber(other) || other <= 0) return null;
  const ratio = value / other;
  if (ratio >= 2) return `${precise(ratio)}×`;
  const change = Math.round((ratio - 1) * 100);
  return `${change < 0 ? "−" : change > 0 ? "+" : "±"}${Math.abs(change)}${THIN}%`;
}

/** How long ago, in the largest whole unit. */
export function age(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  if (seconds < 1.5) return `1${THIN}s`;
  if (seconds < 120) return `${Math.round(seconds)}${THIN}s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}${THIN}min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}${THIN}h`;
  return `${Math.round(seconds / 86_400)}${THIN}d`;
}

export const time = (date) => clock.format(date);
export const dayTimeSecond = (date) => dayAndSecond.format(date);
/** A calendar day (UTC, as usage endpoints count them) from `YYYY-MM-DD`. */
export const day = (date) => calendarDay.format(new Date(`${date.slice(0, 10)}T00:00:00Z`));
export const utc = (date) => `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;

export function plural(number, one, many = `${one}s`) {
  return `${integer(number)} ${number === 1 ? one : many}`;
}

/** The API's words for kinds of failures, for people. */
export function words(kind) {
  return String(kind).replaceAll("_", " ");
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function precise(number) {
  if (number >= 99.95) return whole.format(number);
  return number.toFixed(number >= 9.995 ? 1 : 2);
}

function trim(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
