import { expect, it } from "vitest";
import { nameProblem, outputProblem, suffixProblem } from "./names";

it("refuses what the server would refuse", () => {
  expect([nameProblem(""), nameProblem("sums-2.b+c"), suffixProblem("a_b"), outputProblem("s3://bucket/a/")]).toEqual([
    null,
    null,
    null,
    null,
  ]);
  for (const name of ["no spaces", "-first", "under_score", "a".repeat(64)]) expect(nameProblem(name)).not.toBeNull();
  for (const suffix of ["a:b", ".a"]) expect(suffixProblem(suffix)).not.toBeNull();
  for (const uri of ["/etc", "s3://", "https://example.com"]) expect(outputProblem(uri)).not.toBeNull();
});
