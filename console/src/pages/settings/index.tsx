import { Page } from "../../ui/layout";

export default function Placeholder() {
  return <Page title="settings">{null}</Page>;
}
