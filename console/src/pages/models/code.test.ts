import { describe, expect, it } from "vitest";
import { codeFor } from "./code";
import { nameProblem } from "./models";

const callee = {
  name: `ft:tiny:org:it's "x":1`,
  arn: "arn:aws:bedrock:eu-west-1:0:custom-model-deployment/abc",
  server: "https://tune.example:8443",
  region: "eu-west-1",
};

describe("code to call a model", () => {
  it("names the server and the model in every dialect", () => {
    for (const dialect of ["openai", "boto3", "curl"] as const)
      expect(codeFor(dialect, callee)).toContain("https://tune.example:8443");
    expect(codeFor("boto3", callee)).toContain(`modelId="${callee.arn}"`);
    expect(codeFor("boto3", callee)).toContain(`region_name="eu-west-1"`);
  });

  it("keeps names with quotes in their strings", () => {
    expect(codeFor("openai", callee)).toContain(`model="ft:tiny:org:it's \\"x\\":1"`);
    expect(codeFor("curl", callee)).toContain(`it'\\''s`);
  });

  it("holds no key", () => {
    expect(codeFor("curl", callee)).toContain("$TUNEWARD_API_KEY");
  });
});

describe("names of deployments", () => {
  it("are those that the service takes", () => {
    for (const good of ["a", "help-desk_2", "A1"]) expect(nameProblem(good)).toBeNull();
    for (const bad of ["-a", "a b", "a--b", "ä", "a".repeat(64)]) expect(nameProblem(bad)).not.toBeNull();
  });
});
