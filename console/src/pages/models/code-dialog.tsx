import { useState } from "preact/hooks";
import { session } from "../../lib/session";
import { Button } from "../../ui/button";
import { CodeBlock } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { SelectField } from "../../ui/field";
import { codeFor, type Dialect } from "./code";

const DIALECTS: readonly { value: Dialect; label: string }[] = [
  { value: "openai", label: "Python, openai" },
  { value: "boto3", label: "Python, boto3 (Bedrock)" },
  { value: "curl", label: "Shell, curl" },
];

interface Props {
  title: string;
  name: string;
  arn: string;
  onClose: () => void;
}

/** How a program calls a model or a deployment of this server. */
export function CodeDialog({ title, name, arn, onClose }: Props) {
  const [dialect, setDialect] = useState<Dialect>("openai");
  const region = session.value.state === "in" ? session.value.caller.region : "us-east-1";
  const text = codeFor(dialect, { name, arn, server: location.origin, region });
  return (
    <Dialog title={title} onClose={onClose} wide>
      <SelectField
        label="Client"
        value={dialect}
        onValue={(value) => setDialect(value as Dialect)}
        options={DIALECTS}
      />
      <CodeBlock text={text} label="Code" />
      <p class="muted">
        Make a key for the program under <a href="/settings/keys">Settings</a>; boto3 signs with an access key.
      </p>
      <div class="actions">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}
