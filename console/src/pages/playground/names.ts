/** What models are called where there is little room. */

import { signal } from "@preact/signals";
import { api } from "../../lib/api";

/** Names of deployments by ARN, as far as they were asked for. */
const deployments = signal<Record<string, string>>({});

const DEPLOYMENT = /:custom-model-deployment\/[a-z0-9]+$/;

/** Find out what a deployment is called; the end of its ARN has to do until then, and when it is gone. */
export async function learnName(model: string): Promise<void> {
  if (!DEPLOYMENT.test(model) || model in deployments.value) return;
  try {
    const path = `/model-customization/custom-model-deployments/${encodeURIComponent(model)}`;
    const found = await api.get<{ modelDeploymentName: string }>(path);
    deployments.value = { ...deployments.value, [model]: found.modelDeploymentName };
  } catch {
    // Asking it will say what is wrong.
  }
}

/** A model's name as it fits into a heading. */
export function shortName(model: string): string {
  const known = deployments.value[model];
  if (known) return known;
  if (model.startsWith("arn:")) return model.slice(model.lastIndexOf("/") + 1);
  if (!model.startsWith("ft:")) return model;
  const [, base = "", , suffix = "", ...rest] = model.split(":");
  return [suffix || (base.split("/").pop() ?? base), ...rest].join(":");
}
