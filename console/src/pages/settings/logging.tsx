import { useEffect, useState } from "preact/hooks";
import { ApiError, api } from "../../lib/api";
import { useResource } from "../../lib/resource";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Confirm } from "../../ui/dialog";
import { Check, TextField } from "../../ui/field";
import { Panel, Skeleton } from "../../ui/layout";
import { ErrorNote, Note } from "../../ui/note";

interface Config {
  s3Config?: { bucketName: string; keyPrefix?: string };
  textDataDeliveryEnabled?: boolean;
}

const PATH = "/logging/modelinvocations";

/** Where the project's calls of models are logged: Bedrock's own setting. */
export function InvocationLogging() {
  const kept = useResource("logging", (signal) => api.get<{ loggingConfig?: Config }>(PATH, { signal }));
  if (kept.error && !kept.data) return <ErrorNote error={kept.error} onRetry={kept.reload} />;
  if (!kept.data) return <Skeleton lines={5} />;
  const config = kept.data.loggingConfig;
  return (
    <div class="stack">
      <p class="muted">
        What programs ask models of this project through <code>/v1/chat/completions</code> and the Bedrock runtime can
        be written to object storage, with the answers, as Amazon Bedrock does. A new job can take its prompts from such
        logs. Questions of the playground are not logged.
      </p>
      <Form config={config} onChange={kept.reload} key={JSON.stringify(config)} />
    </div>
  );
}

function Form({ config, onChange }: { config: Config | undefined; onChange: () => void }) {
  const mayChange = may("admin");
  const [bucket, setBucket] = useState(config?.s3Config?.bucketName ?? "");
  const [prefix, setPrefix] = useState(config?.s3Config?.keyPrefix ?? "");
  const [withText, setWithText] = useState(config?.textDataDeliveryEnabled ?? true);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const [isEnding, setEnding] = useState(false);
  useEffect(() => setError(undefined), [bucket, prefix]);

  async function save(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const s3Config = { bucketName: bucket.trim(), keyPrefix: prefix.trim() };
      await api.put(PATH, { loggingConfig: { s3Config, textDataDeliveryEnabled: withText } });
      tell("Calls of models are logged from now on.", "good");
      onChange();
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    }
    setBusy(false);
  }

  return (
    <Panel
      title={
        <span class="row">
          Invocation logging <Badge tone={config ? "good" : undefined}>{config ? "on" : "off"}</Badge>
        </span>
      }
    >
      <form class="stack settings-form" onSubmit={save}>
        {!mayChange && <Note>Changing this needs the role admin.</Note>}
        <TextField
          label="Bucket"
          value={bucket}
          onValue={setBucket}
          disabled={!mayChange}
          spellcheck={false}
          maxLength={63}
          hint="The server tries to write to it before it says yes."
          required
        />
        <TextField
          label="Prefix (optional)"
          value={prefix}
          onValue={setPrefix}
          disabled={!mayChange}
          spellcheck={false}
          maxLength={1024}
          hint={`Files lie at s3://${bucket || "BUCKET"}/${prefix ? `${prefix.replace(/\/+$/, "")}/` : ""}AWSLogs/ACCOUNT/BedrockModelInvocationLogs/REGION/…`}
        />
        <Check
          label="With the text of questions and answers"
          hint="Without it, only who called which model when and how many tokens it took; such logs cannot be trained on."
          checked={withText}
          onChecked={setWithText}
          disabled={!mayChange}
        />
        {error && <ErrorNote error={error} />}
        <div class="row">
          <Button kind="primary" type="submit" busy={busy} disabled={!mayChange || bucket.trim().length < 3}>
            {config ? "Save" : "Begin to log"}
          </Button>
          {config && (
            <Button kind="danger" disabled={!mayChange} onClick={() => setEnding(true)}>
              Stop logging
            </Button>
          )}
        </div>
      </form>
      {isEnding && (
        <Confirm
          title="Stop logging?"
          action="Stop logging"
          kind="danger"
          onConfirm={async () => {
            await api.delete(PATH);
            tell("Calls of models are not logged any more.");
            onChange();
          }}
          onClose={() => setEnding(false)}
        >
          <p>What was written stays in the bucket. Jobs that are to read further calls find none.</p>
        </Confirm>
      )}
    </Panel>
  );
}
