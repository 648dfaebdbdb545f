import { useState } from "preact/hooks";
import type { PageProps } from "../../app";
import { search as addressSearch, setQuery } from "../../lib/router";
import { useSettled } from "../../lib/settled";
import { LinkButton } from "../../ui/button";
import { TextField } from "../../ui/field";
import { Page, TabLinks } from "../../ui/layout";
import { DeploymentsTable } from "./deployments-table";
import { ModelsTable } from "./models-table";
import "./models.css";

const TABS = [
  { id: "models", label: "Models", href: "/models" },
  { id: "deployments", label: "Deployments", href: "/models/deployments" },
];

/** Tuned models, and the names they are deployed under. */
export default function Models({ params }: PageProps) {
  const tab = params.tab === "deployments" ? "deployments" : "models";
  return (
    <Page
      title="Models"
      subtitle="What jobs have made, and the names that programs call."
      actions={<LinkButton href="/playground">Open the playground</LinkButton>}
    >
      <TabLinks label="Models and deployments" items={TABS} current={tab} />
      <Searched key={tab} tab={tab} />
    </Page>
  );
}

function Searched({ tab }: { tab: "models" | "deployments" }) {
  const [text, setText] = useState(addressSearch.value.get("search") ?? "");
  const settled = useSettled(text.trim());

  function type(value: string): void {
    setText(value);
    setQuery({ search: value.trim() || null });
  }

  return (
    <>
      <div class="models-search">
        <TextField
          label={tab === "models" ? "Find a model" : "Find a deployment"}
          hideLabel
          type="search"
          value={text}
          onValue={type}
          placeholder={tab === "models" ? "Find by name or base model" : "Find by name or description"}
          maxLength={200}
        />
      </div>
      {tab === "models" ? <ModelsTable search={settled} /> : <DeploymentsTable search={settled} />}
    </>
  );
}
