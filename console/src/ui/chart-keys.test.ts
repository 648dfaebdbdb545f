import { expect, it } from "vitest";
import { moved, zoomed } from "./chart-keys";

const press = (key: string, shiftKey = false) => ({ key, shiftKey });

it("moves the cursor from place to place and stops at the ends", () => {
  const places = [1, 2, 4, 8];
  expect(moved(places, null, press("ArrowLeft"))).toBe(4);
  expect(moved(places, 2, press("ArrowRight"))).toBe(4);
  expect(moved(places, 8, press("ArrowRight"))).toBe(8);
  expect(moved(places, 8, press("ArrowLeft", true))).toBe(1);
  expect(moved(places, 4, press("Home"))).toBe(1);
  expect(moved(places, 99, press("End"))).toBe(8);
  expect(moved([], 1, press("End"))).toBeNull();
});

it("zooms around a place and shows all again when nothing is left out", () => {
  expect(zoomed([0, 100], [0, 100], 50, 0.5)).toEqual([25, 75]);
  expect(zoomed([25, 75], [0, 100], 50, 2)).toBeNull();
  expect(zoomed([0, 50], [0, 100], 40, 2)).toEqual([0, 60]);
});
