import { useEffect, useState } from "preact/hooks";
import { ApiError, api, query } from "../../lib/api";
import { bytes } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { type FunctionCard, type FunctionCode, functionPath, saveFunction } from "../../lib/rewards";
import { search, setQuery } from "../../lib/router";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { CodeEditor, type Language } from "../../ui/code-editor";
import { SelectField, TextField } from "../../ui/field";
import { Skeleton } from "../../ui/layout";
import { ErrorNote, Note } from "../../ui/note";

const LATEST = "$LATEST";

/** The sources of a version; those of the newest state can be edited. */
export function CodeTab({ card, onSaved }: { card: FunctionCard; onSaved: () => void }) {
  const version = search.value.get("version") ?? LATEST;
  const code = useResource(`code ${card.name} ${version}`, (signal) =>
    api.get<FunctionCode>(functionPath(card.name, `/code${query({ version })}`), { signal }),
  );
  if (code.error) return <ErrorNote error={code.error} onRetry={code.reload} />;
  if (!code.data) return <Skeleton lines={10} label="Loading the code" />;
  const saved = () => {
    code.reload();
    onSaved();
  };
  return <Sources key={version} code={code.data} isEditable={version === LATEST && may("developer")} onSaved={saved} />;
}

interface SourcesProps {
  code: FunctionCode;
  isEditable: boolean;
  onSaved: () => void;
}

function Sources({ code, isEditable, onSaved }: SourcesProps) {
  const main = code.files.find((file) => file.text !== null && file.path === mainOf(code.handler)) ?? code.files[0];
  const [path, setPath] = useState(main?.path ?? "");
  const [edits, setEdits] = useState<Record<string, string>>({});
  const [description, setDescription] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const file = code.files.find((one) => one.path === path) ?? main;
  const changed = Object.entries(edits).filter(
    ([name, text]) => code.files.find((f) => f.path === name)?.text !== text,
  );

  useEffect(() => {
    if (!changed.length) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [changed.length]);

  async function save(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      const version = await saveFunction(code.name, Object.fromEntries(changed), {
        isNew: false,
        description,
        revision: code.revision,
      });
      tell(`Saved as version ${version}.`, "good");
      setDescription("");
      onSaved();
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    } finally {
      setBusy(false);
    }
  }

  if (!file) return <Note title="The archive has no files" />;
  return (
    <div class="stack">
      {code.version !== LATEST && (
        <Note title={`This is version ${code.version}`}>
          <span>
            Published versions never change.{" "}
            <Button size="small" onClick={() => setQuery({ version: null })}>
              Edit the newest code
            </Button>
          </span>
        </Note>
      )}
      {code.files.length > 1 && (
        <div style={{ maxWidth: "24rem" }}>
          <SelectField
            label="File"
            value={file.path}
            onValue={setPath}
            options={code.files.map((one) => ({
              value: one.path,
              label: `${one.path}${edits[one.path] !== undefined && edits[one.path] !== one.text ? " (changed)" : ""}`,
            }))}
          />
        </div>
      )}
      {file.text === null ? (
        <Note title={file.path}>
          <span>{bytes(file.bytes)}, which is not text or too large to be edited here. It stays as it is.</span>
        </Note>
      ) : (
        <CodeEditor
          key={file.path}
          label={`${file.path} (handler ${code.handler})`}
          value={edits[file.path] ?? file.text}
          {...(isEditable ? { onValue: (text: string) => setEdits({ ...edits, [file.path]: text }) } : {})}
          language={languageOf(file.path)}
          height="32rem"
        />
      )}
      {isEditable && (
        <div class="row functions-save">
          <div class="grow">
            <TextField
              label="What is new in this version"
              hideLabel
              placeholder="What is new in this version (optional)"
              value={description}
              onValue={setDescription}
              maxLength={256}
            />
          </div>
          {changed.length > 0 && <Badge tone="warn">not saved</Badge>}
          <Button disabled={!changed.length || isBusy} onClick={() => setEdits({})}>
            Undo the changes
          </Button>
          <Button kind="primary" disabled={!changed.length} busy={isBusy} onClick={save}>
            Save as a new version
          </Button>
        </div>
      )}
      {error && (
        <ErrorNote
          error={error}
          title="The code was not saved"
          {...(error.code === "function_conflict" ? { onRetry: onSaved } : {})}
        />
      )}
    </div>
  );
}

const mainOf = (handler: string): string => `${handler.split(".").slice(0, -1).join("/")}.py`;

function languageOf(path: string): Language {
  if (path.endsWith(".py")) return "python";
  if (path.endsWith(".md")) return "markdown";
  if (path.endsWith(".json")) return "json";
  return /\.ya?ml$/.test(path) ? "yaml" : "text";
}
