import { Page } from "../../ui/layout";

export default function Placeholder() {
  return <Page title="new-job">{null}</Page>;
}
