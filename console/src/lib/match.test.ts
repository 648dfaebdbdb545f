import { expect, test } from "vitest";
import { match } from "./match";

test("a pattern takes its parameters out of a path", () => {
  expect(match("/jobs/:id/:tab?", "/jobs/ftjob-1/rollouts")).toEqual({ id: "ftjob-1", tab: "rollouts" });
  expect(match("/jobs/:id/:tab?", "/jobs/ftjob-1")).toEqual({ id: "ftjob-1" });
});

test("what is missing or too much is no match", () => {
  expect(match("/jobs/:id/:tab?", "/jobs")).toBeNull();
  expect(match("/jobs/:id/:tab?", "/jobs/a/b/c")).toBeNull();
  expect(match("/models", "/jobs")).toBeNull();
  expect(match("/", "/jobs")).toBeNull();
});

test("names come out as people wrote them, and broken escapes are no match", () => {
  expect(match("/functions/:name?", "/functions/a%2Fb%20c")).toEqual({ name: "a/b c" });
  expect(match("/functions/:name?", "/functions/%E0%A4%A")).toBeNull();
});
