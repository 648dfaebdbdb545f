/** What is looked at, kept in the address: `?view=&step=&row=&sort=&only=&q=`. */

export interface Place {
  view: "training" | "validation";
  /** null: the newest. */
  step: number | null;
  row: string | null;
  sort: string;
  only: string;
  text: string;
  against: number;
}

export function placeOf(values: URLSearchParams): Place {
  return {
    view: values.get("view") === "validation" ? "validation" : "training",
    step: wholeNumber(values.get("step")),
    row: values.get("row"),
    sort: values.get("sort") ?? "",
    only: values.get("only") ?? "",
    text: values.get("q") ?? "",
    against: wholeNumber(values.get("against")) ?? 0,
  };
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null;
}
