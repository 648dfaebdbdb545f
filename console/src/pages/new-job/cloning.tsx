import { useEffect, useState } from "preact/hooks";
import { ApiError, api } from "../../lib/api";
import { navigate } from "../../lib/router";
import { tell } from "../../lib/toast";
import { Button, LinkButton } from "../../ui/button";
import { Empty, Page, Panel, Skeleton } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { discardDraft, draftOf, type JobRequest, useDraft } from "./draft";

/** Makes a draft of an earlier job; asks first where that would replace another draft. */
export function Cloning({ id, hasDraft }: { id: string; hasDraft: boolean }) {
  const [, update] = useDraft();
  const [mayReplace, setMayReplace] = useState(!hasDraft);
  const [error, setError] = useState<ApiError>();
  const [round, setRound] = useState(0);

  useEffect(() => {
    if (!mayReplace) return;
    const abort = new AbortController();
    setError(undefined);
    api.get<JobRequest>(`/api/jobs/${encodeURIComponent(id)}/request`, { signal: abort.signal }).then(
      (request) => {
        discardDraft();
        update(draftOf(request));
        tell("The job's choices are in the draft. Change what you like.");
        navigate("/new/review", { replace: true });
      },
      (caught: unknown) => {
        if (!abort.signal.aborted) setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
      },
    );
    return () => abort.abort();
  }, [id, mayReplace, round]);

  if (!mayReplace) {
    return (
      <Page title="New job">
        <Panel>
          <Empty
            title="There is a draft already"
            action={
              <div class="row">
                <LinkButton href="/new/model">Keep my draft</LinkButton>
                <Button kind="primary" onClick={() => setMayReplace(true)}>
                  Replace it
                </Button>
              </div>
            }
          >
            <p>Cloning the job replaces what was chosen before.</p>
          </Empty>
        </Panel>
      </Page>
    );
  }
  return (
    <Page title="New job">
      {error ? (
        <ErrorNote title="The job cannot be cloned" error={error} onRetry={() => setRound((value) => value + 1)} />
      ) : (
        <Skeleton lines={6} label="Reading the job" />
      )}
    </Page>
  );
}
