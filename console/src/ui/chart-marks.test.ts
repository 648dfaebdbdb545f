import { expect, it } from "vitest";
import { grouped, type Mark } from "./chart-marks";

const mark = (at: number): Mark => ({ id: String(at), at, tone: "warn", text: "" });
const frame = { left: 50, width: 100, min: 0, max: 100 };

it("groups marks that would cover each other, and leaves out those out of sight", () => {
  const found = grouped([mark(70), mark(200), mark(10), mark(20), mark(30), mark(-1)], frame);
  expect(found.map((group) => [group.left, group.marks.map((one) => one.at)])).toEqual([
    [10, [10, 20]],
    [30, [30]],
    [70, [70]],
  ]);
});
