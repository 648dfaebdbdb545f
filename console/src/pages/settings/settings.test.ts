import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BUNDLED } from "./licences";
import { inFile, type Key, standing } from "./settings";

const key: Key = {
  id: "key_1",
  kind: "api",
  project_id: "proj_default",
  name: "mine",
  role: "viewer",
  hint: "abcd",
  created_at: 0,
  expires_at: null,
  last_used_at: null,
  revoked_at: null,
};

describe("keys", () => {
  it("are valid until they are revoked or their time is over", () => {
    expect(standing(key, 100)).toBe("valid");
    expect(standing({ ...key, expires_at: 101 }, 100)).toBe("valid");
    expect(standing({ ...key, expires_at: 100 }, 100)).toBe("expired");
    expect(standing({ ...key, expires_at: 100, revoked_at: 50 }, 100)).toBe("revoked");
  });
});

describe("values of settings", () => {
  it("stand as in the file", () => {
    expect([null, "a", 5, ["x"], { a: 1 }, false].map(inFile)).toEqual(["–", "a", "5", '["x"]', '{"a":1}', "false"]);
  });
});

describe("bundled libraries", () => {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
    packages: Record<string, { license?: string; dependencies?: Record<string, string> }>;
  };

  /** Everything that the console's own dependencies need, which is what can be in its files. */
  function bundled(): Map<string, string> {
    const found = new Map<string, string>();
    const waiting = Object.keys(lock.packages[""]?.dependencies ?? {});
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (found.has(name)) continue;
      const entry = lock.packages[`node_modules/${name}`];
      found.set(name, entry?.license ?? "");
      waiting.push(...Object.keys(entry?.dependencies ?? {}));
    }
    return found;
  }

  it("are all named with their licences", () => {
    const listed = new Map(BUNDLED.flatMap(({ names, licence }) => names.map((name) => [name, licence] as const)));
    expect([...bundled()].sort()).toEqual([...listed].sort());
  });
});
