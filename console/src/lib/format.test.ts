import { expect, test } from "vitest";
import { ago, bytes, duration, number, percent, plural, reward } from "./format";

test("numbers keep what tells them apart and no more", () => {
  expect(number(0)).toBe("0");
  expect(number(0.012345)).toBe("0.0123");
  expect(number(12.3456)).toBe("12.35");
  expect(number(1234.5)).toBe("1,235");
  expect(number(2.5e-7)).toBe("2.5e-7");
  expect(number(Number.NaN)).toBe("–");
  expect(number(null)).toBe("–");
});

test("a reward has three decimals, and a difference its sign", () => {
  expect(reward(0.8)).toBe("0.800");
  expect(reward(0.125, { signed: true })).toBe("+0.125");
  expect(reward(-0.125, { signed: true })).toBe("-0.125");
});

test("durations are told in two units at most", () => {
  expect(duration(0.25)).toBe("250 ms");
  expect(duration(9.96)).toBe("10.0 s");
  expect(duration(75)).toBe("1 min 15 s");
  expect(duration(7290)).toBe("2 h 2 min");
  expect(duration(93_784)).toBe("1 d 2 h");
  expect(duration(null)).toBe("–");
});

test("no duration says sixty of a unit", () => {
  expect(duration(59.7)).toBe("1 min 0 s");
  expect(duration(119.7)).toBe("2 min 0 s");
  expect(duration(3599.9)).toBe("1 h 0 min");
  expect(duration(86_399)).toBe("1 d 0 h");
});

test("sizes, shares, ages and counts", () => {
  expect(bytes(1536)).toBe("1.5 KiB");
  expect(bytes(512)).toBe("512 B");
  expect(percent(0.1234)).toBe("12.3 %");
  expect(ago(1000, 1010)).toBe("just now");
  expect(ago(1000, 1000 + 7200)).toBe("2 h ago");
  expect(plural(1, "row")).toBe("1 row");
  expect(plural(1200, "row")).toBe("1,200 rows");
});
