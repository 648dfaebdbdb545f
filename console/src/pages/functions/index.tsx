import type { PageProps } from "../../app";
import { search } from "../../lib/router";
import { Page, TabLinks } from "../../ui/layout";
import { FunctionDetail } from "./detail";
import "./functions.css";
import { Judges } from "./judges";
import { FunctionList } from "./list";

const VIEWS = [
  { id: "functions", label: "Functions", href: "/functions" },
  { id: "judges", label: "Judges", href: "/functions?view=judges" },
];

export default function FunctionsPage({ params }: PageProps) {
  if (params.name) return <FunctionDetail key={params.name} name={params.name} tab={params.tab ?? "code"} />;
  const view = search.value.get("view") === "judges" ? "judges" : "functions";
  return (
    <Page title="Functions and judges" subtitle="What scores completions: your own code, and models that judge.">
      <TabLinks label="Functions and judges" items={VIEWS} current={view} />
      {view === "judges" ? <Judges /> : <FunctionList />}
    </Page>
  );
}
