import type { PageProps } from "../../app";
import { Page, TabLinks } from "../../ui/layout";
import { About } from "./about";
import { Audit } from "./audit";
import { Keys } from "./keys";
import { Limits } from "./limits";
import { InvocationLogging } from "./logging";
import { Mapping } from "./mapping";
import { Projects } from "./projects";
import { useServerSettings, WithSettings } from "./server";
import { Storage } from "./storage";
import { WorkersSection } from "./workers";
import "./settings.css";

const SECTIONS = [
  { id: "keys", label: "Keys and roles" },
  { id: "projects", label: "Projects" },
  { id: "logging", label: "Invocation logging" },
  { id: "storage", label: "Storage" },
  { id: "mapping", label: "Model mapping" },
  { id: "limits", label: "Limits" },
  { id: "workers", label: "Workers" },
  { id: "audit", label: "Audit log" },
  { id: "about", label: "About" },
].map((section) => ({ ...section, href: `/settings/${section.id}` }));

export default function SettingsPage({ params }: PageProps) {
  const section = SECTIONS.find((one) => one.id === params.section)?.id ?? "keys";
  return (
    <Page title="Settings">
      <TabLinks label="Sections of the settings" items={SECTIONS} current={section} />
      <Section section={section} />
    </Page>
  );
}

function Section({ section }: { section: string }) {
  const settings = useServerSettings();
  switch (section) {
    case "projects":
      return <Projects />;
    case "logging":
      return <InvocationLogging />;
    case "storage":
      return <WithSettings settings={settings}>{(data) => <Storage data={data} />}</WithSettings>;
    case "mapping":
      return <WithSettings settings={settings}>{(data) => <Mapping data={data} />}</WithSettings>;
    case "limits":
      return <WithSettings settings={settings}>{(data) => <Limits data={data} />}</WithSettings>;
    case "workers":
      return (
        <WithSettings settings={settings}>{(data) => <WorkersSection settings={settings} data={data} />}</WithSettings>
      );
    case "audit":
      return <Audit />;
    case "about":
      return <About settings={settings} />;
    default:
      return <Keys />;
  }
}
