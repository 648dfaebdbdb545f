import { describe, expect, it } from "vitest";
import {
  asked,
  type Conversation,
  changeAnswer,
  columnsOf,
  EMPTY,
  isAsking,
  messagesFor,
  newAnswer,
  type Row,
  rowOf,
  speed,
  startOf,
  upTo,
} from "./conversation";
import { ended, finishInWords, take } from "./frames";

const row: Row = {
  id: "row-3",
  line: 3,
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello" },
    { role: "user", content: "2 + 2?" },
  ],
  reference_answer: { value: 4 },
  tools: [],
  metadata: { level: "easy" },
};

function answered(conversation: Conversation, turn: number, column: string, text: string): Conversation {
  return changeAnswer(conversation, turn, column, (answer) => ({ ...answer, text, status: "done" }));
}

describe("what a model is asked", () => {
  it("is everything before, with its own answers", () => {
    let talk = asked({ ...EMPTY, system: "Be brief." }, 1, "One?", ["a", "b"]);
    talk = answered(answered(talk, 1, "a", "Yes"), 1, "b", "No");
    talk = asked(talk, 2, "Two?", ["a", "b"]);
    expect(messagesFor(talk, "b", 2).map((message) => message.content)).toEqual(["Be brief.", "One?", "No", "Two?"]);
    expect(messagesFor(talk, "a", 1).map((message) => message.role)).toEqual(["system", "user"]);
  });

  it("leaves out turns that it did not answer", () => {
    let talk = answered(asked(EMPTY, 1, "One?", ["a"]), 1, "a", "Yes");
    talk = asked(talk, 2, "Two?", ["a", "new"]);
    expect(messagesFor(talk, "new", 2)).toEqual([{ role: "user", content: "Two?" }]);
  });

  it("begins with a row's own messages", () => {
    const { conversation, question } = startOf("ftjob-1", row);
    expect(question).toBe("2 + 2?");
    expect(conversation.system).toBe("Be brief.");
    const talk = asked(conversation, 1, question, ["a"]);
    expect(messagesFor(talk, "a", 1)).toEqual(row.messages);
  });

  it("is the row as it stands when that ends with no question", () => {
    const ending = { ...row, messages: [...row.messages, { role: "tool", content: "4" }] };
    const { conversation, question } = startOf("ftjob-1", ending);
    expect(question).toBeNull();
    expect(messagesFor(asked(conversation, 1, null, ["a"]), "a", 1)).toEqual(ending.messages);
  });
});

describe("a row to grade or keep", () => {
  it("keeps a reference answer that was not edited in its own form", () => {
    const { conversation, question } = startOf("ftjob-1", row);
    const talk = asked(conversation, 1, question, ["a"]);
    const kept = rowOf(talk, "a", 1, JSON.stringify({ value: 4 }, null, 2));
    expect(kept).toEqual({ messages: row.messages, reference_answer: { value: 4 }, metadata: { level: "easy" } });
    expect(rowOf(talk, "a", 1, "four").reference_answer).toBe("four");
    expect("reference_answer" in rowOf(talk, "a", 1, "")).toBe(false);
  });
});

describe("turns", () => {
  it("are taken back with those that follow", () => {
    const talk = asked(asked(asked(EMPTY, 1, "1", ["a"]), 2, "2", ["a"]), 3, "3", ["a"]);
    expect(upTo(talk, 2).turns.map((turn) => turn.id)).toEqual([1]);
    expect(upTo(talk, 9)).toBe(talk);
  });

  it("say whether an answer is under way", () => {
    const talk = asked(EMPTY, 1, "1", ["a"]);
    expect(isAsking(talk)).toBe(true);
    expect(isAsking(changeAnswer(talk, 1, "a", (answer) => ended(answer, "stopped")))).toBe(false);
  });
});

describe("columns of an address", () => {
  it("are at most four, and may name a model twice", () => {
    expect(columnsOf("a, b,,a,c,d").map((column) => column.model)).toEqual(["a", "b", "a", "c"]);
    expect(new Set(columnsOf("a,a").map((column) => column.id)).size).toBe(2);
    expect(columnsOf(null)).toEqual([]);
  });
});

describe("frames", () => {
  const content = (text: string) => ({ index: 0, chunk: { choices: [{ delta: { content: text } }] } });

  it("add up to an answer with its times", () => {
    let answer = take(newAnswer(), { index: 0, chunk: { choices: [{ delta: { content: "" } }] } }, 5);
    expect(answer.firstMs).toBeNull();
    answer = take(take(answer, content("Hel"), 100), content("lo"), 600);
    answer = take(answer, { index: 0, chunk: { choices: [{ delta: {}, finish_reason: "length" }] } }, 610);
    answer = take(answer, { index: 0, chunk: { choices: [], usage: { completion_tokens: 6 } } }, 620);
    expect(answer).toMatchObject({ text: "Hello", firstMs: 100, lastMs: 600, tokens: 6, finish: "length" });
    expect(speed(answer)).toBe(10);
    expect(finishInWords(ended(answer, "done"))).toBe("cut at the length limit");
  });

  it("carry log-probs and failures", () => {
    const token = { token: "a", logprob: -0.5, top_logprobs: [{ token: "b", logprob: -1 }] };
    const chunk = { choices: [{ delta: { content: "a" }, logprobs: { content: [token] } }] };
    expect(take(newAnswer(), { index: 0, chunk }, 1).logprobs).toEqual([
      { token: "a", logprob: -0.5, others: [{ token: "b", logprob: -1 }] },
    ]);
    const failed = take(newAnswer(), { index: 0, error: { message: "No room" } }, 1);
    expect(failed).toMatchObject({ status: "failed", error: "No room" });
    expect(ended(failed, "done").status).toBe("failed");
  });
});
