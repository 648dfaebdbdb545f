/** Documentation as it is written in Python: paragraphs in lines, and what is indented as it stands. */
export interface Block {
  isVerbatim: boolean;
  text: string;
}

export function blocksOf(documentation: string): Block[] {
  return documentation
    .split(/\n{2,}/)
    .filter((text) => text.trim())
    .map((text) => {
      const lines = text.replace(/^\n+|\s+$/g, "").split("\n");
      const isVerbatim = lines.every((line) => line.startsWith("    "));
      return { isVerbatim, text: isVerbatim ? lines.map((line) => line.slice(4)).join("\n") : lines.join(" ") };
    });
}
