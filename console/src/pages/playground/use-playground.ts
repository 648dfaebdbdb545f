/** Everything the playground knows, and what can be done in it. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api } from "../../lib/api";
import { search, setQuery } from "../../lib/router";
import { ask, DEFAULTS, type Parameters } from "./asking";
import {
  type Answer,
  asked,
  type Column,
  type Conversation,
  changeAnswer,
  columnsOf,
  EMPTY,
  type Grade,
  isAsking,
  MOST_COLUMNS,
  messagesFor,
  newAnswer,
  type Row,
  rowOf,
  type Score,
  shown,
  startOf,
  upTo,
} from "./conversation";

export type Playground = ReturnType<typeof usePlayground>;

export function usePlayground() {
  const [columns, setColumns] = useState<Column[]>(() => columnsOf(search.value.get("models")));
  const [conversation, setConversation] = useState<Conversation>(EMPTY);
  const [question, setQuestion] = useState("");
  const [parameters, setParameters] = useState<Parameters>(DEFAULTS);
  const [job, setJob] = useState<string | null>(() => search.value.get("job"));
  const [reference, setReference] = useState("");
  const [gradesAtOnce, setGradesAtOnce] = useState(false);
  const talk = useRef(conversation);
  const running = useRef<AbortController | null>(null);
  const lastId = useRef(MOST_COLUMNS);

  const apply = useCallback((change: (before: Conversation) => Conversation) => {
    talk.current = change(talk.current);
    setConversation(talk.current);
  }, []);

  useEffect(() => () => running.current?.abort(), []);

  function show(next: Column[]): void {
    setColumns(next);
    setQuery({ models: next.map((column) => column.model).join(",") });
  }

  function nextId(): number {
    lastId.current += 1;
    return lastId.current;
  }

  /** Ask some of the columns the turn that is there. */
  async function askTurn(turnId: number, whom: readonly Column[]): Promise<void> {
    const abort = new AbortController();
    running.current = abort;
    const requests = whom.map((column) => ({
      column: column.id,
      model: column.model,
      messages: messagesFor(talk.current, column.id, turnId),
    }));
    const tools = talk.current.row?.row.tools ?? [];
    await ask(requests, tools, parameters, abort.signal, (changes) => {
      apply((before) => {
        let after = before;
        for (const [column, change] of changes) after = changeAnswer(after, turnId, column, change);
        return after;
      });
    });
    if (running.current === abort) running.current = null;
    if (gradesAtOnce && job && !abort.signal.aborted) await grade(turnId);
  }

  async function begin(user: string | null): Promise<void> {
    const id = nextId();
    apply((before) =>
      asked(
        before,
        id,
        user,
        columns.map((column) => column.id),
      ),
    );
    await askTurn(id, columns);
  }

  async function send(): Promise<void> {
    const text = question;
    setQuestion("");
    await begin(text.trim() ? text : null);
  }

  /** The same question once more, or another one in its place; what followed is taken back. */
  async function again(turnId: number, text: string | null): Promise<void> {
    const turn = talk.current.turns.find((one) => one.id === turnId);
    const isEdited = turn !== undefined && text !== turn.user;
    const isFirst = talk.current.turns[0]?.id === turnId;
    apply((before) => {
      const kept = upTo(before, turnId);
      return isEdited && isFirst ? { ...kept, row: null } : kept;
    });
    await begin(text);
  }

  /** Ask one column a turn that it has not answered, or once more. */
  async function askOne(turnId: number, column: Column): Promise<void> {
    apply((before) => ({
      ...before,
      turns: before.turns.map((turn) =>
        turn.id === turnId ? { ...turn, answers: { ...turn.answers, [column.id]: newAnswer() } } : turn,
      ),
    }));
    await askTurn(turnId, [column]);
  }

  async function grade(turnId: number): Promise<void> {
    const turn = talk.current.turns.find((one) => one.id === turnId);
    if (!turn || !job) return;
    const answered = Object.entries(turn.answers).filter(
      ([, answer]) => answer.status === "done" || answer.status === "stopped",
    );
    // Models that were asked the same are graded in one call.
    const groups = new Map<string, { row: Record<string, unknown>; columns: string[]; completions: string[] }>();
    for (const [column, answer] of answered) {
      const row = rowOf(talk.current, column, turnId, reference);
      const key = JSON.stringify(row);
      const group = groups.get(key) ?? { row, columns: [], completions: [] };
      group.columns.push(column);
      group.completions.push(answer.text);
      groups.set(key, group);
    }
    const put = (column: string, value: Grade) =>
      apply((before) => changeAnswer(before, turnId, column, (answer: Answer) => ({ ...answer, grade: value })));
    for (const [column] of answered) put(column, { status: "grading" });
    for (const { row, columns: graded, completions } of groups.values()) {
      try {
        const found = await api.post<{ data: Score[] }>("/api/grade", { job_id: job, row, completions });
        for (const [index, column] of graded.entries()) {
          const score = found.data[index];
          if (score) put(column, { status: "graded", score });
        }
      } catch (caught) {
        const error = caught instanceof ApiError ? caught : new ApiError(String(caught), -1);
        for (const column of graded) put(column, { status: "failed", error });
      }
    }
  }

  function takeRow(from: string, row: Row): void {
    running.current?.abort();
    const start = startOf(from, row);
    apply(() => start.conversation);
    setQuestion(start.question ?? "");
    setReference(shown(row.reference_answer));
    setJob(from);
    setQuery({ job: from });
  }

  return {
    columns,
    conversation,
    question,
    setQuestion,
    parameters,
    change: (changes: Partial<Parameters>) => setParameters((before) => ({ ...before, ...changes })),
    job,
    chooseJob: (id: string | null) => {
      setJob(id);
      setQuery({ job: id });
    },
    reference,
    setReference,
    gradesAtOnce,
    setGradesAtOnce,
    isAsking: isAsking(conversation),
    begin: (models: string[]) => show(columnsOf(models.join(","))),
    setSystem: (system: string) => apply((before) => ({ ...before, system })),
    setModel: (id: string, model: string) => {
      // Its answers so far were another model's.
      apply((before) => ({
        ...before,
        turns: before.turns.map((turn) => {
          const { [id]: _, ...answers } = turn.answers;
          return { ...turn, answers };
        }),
      }));
      show(columns.map((column) => (column.id === id ? { id, model } : column)));
    },
    addColumn: (model: string) => show([...columns, { id: `c${nextId()}`, model }]),
    removeColumn: (id: string) => show(columns.filter((column) => column.id !== id)),
    moveColumn: (id: string) => {
      const index = columns.findIndex((column) => column.id === id);
      const next = [...columns];
      const [moved] = next.splice(index, 1);
      if (moved) next.splice(index + 1, 0, moved);
      show(next);
    },
    send,
    again,
    askOne,
    grade,
    takeRow,
    stop: () => running.current?.abort(),
    clear: () => {
      running.current?.abort();
      apply((before) => ({ ...EMPTY, system: before.system }));
      setReference("");
    },
  };
}
