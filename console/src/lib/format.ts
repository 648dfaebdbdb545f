/** Numbers, times and sizes in words. */

// Made once: making one takes a browser milliseconds, and lists have a time in every row.
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 1234567 → 1,234,567. */
export function count(value: number): string {
  return whole.format(value);
}

/** About four significant digits: 0.01234, 12.35, 1,235, 1.2e-7. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(1);
  if (size >= 1000) return whole.format(value);
  if (Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(size < 1 ? 3 : 4)));
}

/** A reward: three decimals, with its sign when it is a difference. */
export function reward(value: number | null | undefined, options: { signed?: boolean } = {}): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const text = Math.abs(value) >= 1000 ? number(value) : value.toFixed(3);
  return options.signed && value > 0 ? `+${text}` : text;
}

/** 0.123 → 12.3 %. */
export function percent(share: number | null | undefined, digits = 1): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  return `${(share * 100).toFixed(digits)} %`;
}

/** 93784 → 1 d 2 h; 75 → 1 min 15 s; 0.25 → 250 ms. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 0) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  // Rounded first, so that 59.7 s are a minute and not sixty seconds.
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** 1536 → 1.5 KiB. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let size = value;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** Seconds since 1970 → "3 min ago". */
export function ago(at: number | null | undefined, now = Date.now() / 1000): string {
  if (at === null || at === undefined) return "–";
  const seconds = now - at;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

/** Seconds since 1970 → date and time in the reader's zone. */
export function moment(at: number | null | undefined): string {
  if (at === null || at === undefined) return "–";
  return dateAndTime.format(at * 1000);
}

/** 1 row, 2 rows. */
export function plural(amount: number, one: string, many = `${one}s`): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}
