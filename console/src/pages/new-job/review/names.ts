/** What names may be, as the server has it; said before it has to say so. */

const NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9+\-.])*$/;
const SUFFIX = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const PREFIX = /^s3:\/\/[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](\/.*)?$/;

export function nameProblem(name: string): string | null {
  const given = name.trim();
  if (!given) return null;
  if (given.length > 63) return "At most 63 characters.";
  return NAME.test(given) ? null : "Letters, digits, -, + and dots; the first is a letter or a digit.";
}

export function suffixProblem(suffix: string): string | null {
  const given = suffix.trim();
  if (!given) return null;
  if (given.length > 64) return "At most 64 characters.";
  return SUFFIX.test(given) ? null : "Letters, digits, dots, - and _; the first is a letter or a digit.";
}

export function outputProblem(uri: string): string | null {
  const given = uri.trim();
  return !given || PREFIX.test(given) ? null : "Write s3://BUCKET/PREFIX.";
}
