/** Events to call a function with, kept in this browser. */

export interface NamedEvent {
  label: string;
  text: string;
}

const key = (name: string): string => `tuneward.events.${name}`;

/** Two samples as a job sends them. */
export const EXAMPLE_EVENT = JSON.stringify(
  [
    {
      id: "sample-1",
      messages: [
        { role: "user", content: "What is the capital of France?" },
        { role: "assistant", content: "Answer: Paris" },
      ],
      reference_answer: "Paris",
      metadata: { reference_answer: "Paris" },
    },
    {
      id: "sample-2",
      messages: [
        { role: "user", content: "What is the capital of France?" },
        { role: "assistant", content: "I do not know." },
      ],
      reference_answer: "Paris",
      metadata: { reference_answer: "Paris" },
    },
  ],
  null,
  2,
);

export function eventsOf(name: string): NamedEvent[] {
  try {
    const kept = JSON.parse(localStorage.getItem(key(name)) ?? "[]") as NamedEvent[];
    return kept.filter((one) => typeof one.label === "string" && typeof one.text === "string");
  } catch {
    return [];
  }
}

export function keepEvents(name: string, events: readonly NamedEvent[]): void {
  try {
    localStorage.setItem(key(name), JSON.stringify(events.slice(0, 20)));
  } catch {
    // No room, or not allowed: they last as long as the page.
  }
}
