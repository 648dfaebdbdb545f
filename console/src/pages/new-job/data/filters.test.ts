import { describe, expect, test } from "vitest";
import { type FilterForm, filtersOf, formOf } from "./filters";

const red = { key: "team", isEqual: true, value: "red" };
const notTest = { key: "stage", isEqual: false, value: "test" };

describe("filters", () => {
  test.each<[FilterForm, unknown]>([
    [{ mode: "all", rows: [] }, null],
    [{ mode: "all", rows: [{ ...red, key: "" }] }, null],
    [{ mode: "any", rows: [red] }, { equals: { team: "red" } }],
    [{ mode: "all", rows: [notTest] }, { not_equals: { stage: "test" } }],
    [
      { mode: "all", rows: [red, notTest] },
      { and_all: [{ equals: { team: "red" } }, { not_equals: { stage: "test" } }] },
    ],
    [
      { mode: "any", rows: [red, notTest] },
      { or_all: [{ equals: { team: "red" } }, { not_equals: { stage: "test" } }] },
    ],
  ])("of %j", (form, filters) => {
    expect(filtersOf(form)).toEqual(filters);
  });

  test("become the same rows again", () => {
    for (const mode of ["all", "any"] as const) {
      const form = { mode, rows: [red, notTest] };
      expect(formOf(filtersOf(form))).toEqual(form);
    }
    expect(formOf(null)).toEqual({ mode: "all", rows: [] });
    expect(formOf({ equals: { a: "1", b: "2" } })).toEqual({
      mode: "all",
      rows: [
        { key: "a", isEqual: true, value: "1" },
        { key: "b", isEqual: true, value: "2" },
      ],
    });
  });

  test("that no rows can say are left as they are", () => {
    expect(formOf({ or_all: [{ equals: { a: "1", b: "2" } }, { equals: { c: "3" } }] })).toBeNull();
  });
});
