/** `/jobs/:id/:tab?` against a path: its parameters, decoded, or null. */
export function match(pattern: string, actual: string): Record<string, string> | null {
  const wanted = pattern.split("/").filter(Boolean);
  const given = actual.split("/").filter(Boolean);
  if (given.length > wanted.length) return null;
  const found: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index];
    if (part.startsWith(":")) {
      const isOptional = part.endsWith("?");
      if (value === undefined) {
        if (!isOptional) return null;
        continue;
      }
      try {
        found[part.slice(1, isOptional ? -1 : undefined)] = decodeURIComponent(value);
      } catch {
        return null;
      }
    } else if (part !== value) return null;
  }
  return found;
}
