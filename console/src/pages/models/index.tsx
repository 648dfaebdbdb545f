import { Page } from "../../ui/layout";

export default function Placeholder() {
  return <Page title="models">{null}</Page>;
}
