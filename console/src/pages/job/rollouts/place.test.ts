import { expect, test } from "vitest";
import { placeOf } from "./place";

const read = (text: string) => placeOf(new URLSearchParams(text));

test("an address says what is looked at", () => {
  const place = read("step=12&row=a%2Fb%26c&sort=spread&only=mixed&q=two%20words");
  expect(place).toMatchObject({ view: "training", step: 12, row: "a/b&c", sort: "spread", only: "mixed" });
  expect(place.text).toBe("two words");
});

test("nonsense is the newest step", () => {
  for (const step of ["", "-1", "1e3", "x", "99999999999", "1.5"]) expect(read(`step=${step}`).step).toBeNull();
});

test("validation answers are compared with the base model unless another step is named", () => {
  expect(read("view=validation").against).toBe(0);
  expect(read("view=validation&against=30").against).toBe(30);
});
