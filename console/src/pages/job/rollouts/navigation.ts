import { search, setQuery } from "../../../lib/router";
import { type Place, placeOf } from "./place";

/** What the address says now. */
export const usePlace = (): Place => placeOf(search.value);

/** Another step; its prompts are others, so that none of them is chosen yet. */
export function goToStep(step: number | null): void {
  setQuery({ step: step === null ? null : String(step), row: null });
}
