/** Tuned models and deployments, as `/api/models` and `/api/deployments` tell of them. */

import { api } from "../../lib/api";

export interface TunedModel {
  id: string;
  /** `ft:…`. */
  name: string;
  /** As Bedrock calls it. */
  custom_name: string;
  arn: string;
  base: { id: string; arn: string };
  job: { id: string; name: string; method: "reinforcement" | "supervised" } | null;
  step: number;
  validation: { measure: "reward" | "loss"; base: number | null; tuned: number | null } | null;
  created_at: number;
  bytes: number | null;
  is_loaded: boolean;
  deployments: { id: string; name: string; arn: string; status: string }[];
}

export interface ModelName {
  id: string;
  name: string;
  custom_name: string;
  arn: string;
  base_id: string;
}

export interface Deployment {
  id: string;
  name: string;
  arn: string;
  description: string | null;
  status: "Creating" | "Active" | "Failed";
  failure: string | null;
  model: ModelName;
  last_swap: { model: ModelName | null; status: "UpdateCompleted" | "UpdateFailed" } | null;
  created_at: number;
  updated_at: number;
}

const DEPLOYMENTS = "/model-customization/custom-model-deployments";

export async function deploy(name: string, modelArn: string, description: string): Promise<void> {
  await api.post(DEPLOYMENTS, { modelDeploymentName: name, modelArn, ...(description ? { description } : {}) });
}

export async function swap(deployment: string, modelArn: string): Promise<void> {
  await api.patch(`${DEPLOYMENTS}/${encodeURIComponent(deployment)}`, { modelArn });
}

export async function undeploy(deployment: string): Promise<void> {
  await send(`${DEPLOYMENTS}/${encodeURIComponent(deployment)}`);
}

export async function deleteModel(name: string): Promise<void> {
  await api.delete(`/v1/models/${encodeURIComponent(name)}`);
}

/** A DELETE whose answer has no body. */
async function send(path: string): Promise<void> {
  await api.open("DELETE", path);
}

/** Why a name cannot be a deployment's; null when it can. */
export function nameProblem(name: string): string | null {
  if (!name) return null;
  if (name.length > 63) return "At most 63 characters.";
  return /^([0-9a-zA-Z][_-]?)+$/.test(name)
    ? null
    : "Letters, digits, and single hyphens or underscores between them; it begins with a letter or digit.";
}

export function playgroundOf(...models: string[]): string {
  return `/playground?${new URLSearchParams({ models: models.join(",") })}`;
}
