import { useEffect, useState } from "preact/hooks";
import { api } from "../../lib/api";
import { useResource } from "../../lib/resource";
import { may } from "../../lib/session";
import { Empty, Page, Skeleton } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import type { TunedModel } from "../models/models";
import { AddModel, ColumnsBar } from "./columns-bar";
import { Composer } from "./composer";
import { RowsDialog } from "./rows-dialog";
import { Side } from "./side";
import { TurnView } from "./turn";
import { type Playground, usePlayground } from "./use-playground";
import "./playground.css";

/** One to four models, asked the same at the same time. */
export default function PlaygroundPage() {
  const playground = usePlayground();
  const [isChoosing, setChoosing] = useState(false);
  const error = useFirstModels(playground);
  const { conversation, columns } = playground;
  const mayAsk = may("developer") && columns.length > 0;
  return (
    <Page
      title="Playground"
      subtitle="The same question to several models at once."
      actions={<AddModel playground={playground} />}
    >
      {error}
      <div class="playground">
        <div class="playground-main stack">
          <ColumnsBar playground={playground} />
          <Said playground={playground} />
          {conversation.turns.length === 0 && <Beginning playground={playground} />}
          {conversation.turns.map((turn, index) => (
            <TurnView key={turn.id} turn={turn} number={index + 1} playground={playground} mayAsk={mayAsk} />
          ))}
          <Composer playground={playground} onRows={() => setChoosing(true)} />
        </div>
        <Side playground={playground} />
      </div>
      {isChoosing && <RowsDialog job={playground.job} onTake={playground.takeRow} onClose={() => setChoosing(false)} />}
    </Page>
  );
}

/** Without models in the address: the newest tuned model beside its base. The job of a tuned one is the one to grade. */
function useFirstModels(playground: Playground) {
  const { columns, job, begin, chooseJob } = playground;
  const isEmpty = columns.length === 0;
  const tuned = columns.find((column) => column.model.startsWith("ft:"))?.model.replace(/:ckpt-step-\d+$/, "");
  const newest = useResource(isEmpty ? "newest" : null, async (signal) => {
    const models = await api.get<{ data: TunedModel[] }>("/api/models?limit=1", { signal });
    const base = await api.get<{ data: { id: string }[] }>("/api/base-models?memory=false", { signal });
    return { model: models.data[0], base: base.data[0]?.id };
  });
  const owner = useResource(!isEmpty && !job && tuned ? tuned : null, (signal) =>
    api.get<{ data: TunedModel[] }>(`/api/models?${new URLSearchParams({ search: tuned ?? "", limit: "1" })}`, {
      signal,
    }),
  );
  useEffect(() => {
    if (!newest.data || columns.length) return;
    const { model, base } = newest.data;
    if (model) begin([model.base.id, model.name]);
    else if (base) begin([base]);
  }, [newest.data]);
  useEffect(() => {
    const found = owner.data?.data[0]?.job;
    if (found?.method === "reinforcement" && !job) chooseJob(`ftjob-${found.id}`);
  }, [owner.data]);
  if (newest.error) return <ErrorNote error={newest.error} onRetry={newest.reload} />;
  return newest.isLoading ? <Skeleton lines={1} /> : null;
}

function Beginning({ playground }: { playground: Playground }) {
  const { row } = playground.conversation;
  if (row)
    return (
      <Empty title={`Prompt ${row.row.id}`}>
        <p>Its question is in the field below; send it as it is, or change it first.</p>
      </Empty>
    );
  return (
    <Empty title="Ask all models the same">
      <p>
        Write a question, or take a prompt from a job's validation set. Answers come side by side, can be graded by the
        job's own grader, and can be kept as rows for the next job.
      </p>
    </Empty>
  );
}

/** For those who do not see the answers come. */
function Said({ playground }: { playground: Playground }) {
  const last = playground.conversation.turns[playground.conversation.turns.length - 1];
  if (!last) return <div class="visually-hidden" role="status" />;
  const answers = Object.values(last.answers);
  const ended = answers.filter((answer) => answer.status !== "asking").length;
  return (
    <div class="visually-hidden" role="status">
      {ended === answers.length ? "All answers are there." : `${ended} of ${answers.length} answers are there.`}
    </div>
  );
}
