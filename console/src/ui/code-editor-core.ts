/** CodeMirror, set up for the console. It lives in a shadow root, where it may use constructed style sheets: the page's
 * policy allows no style elements that scripts insert. */

import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import {
  bracketMatching,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  type LanguageSupport,
  syntaxHighlighting,
} from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

export type Language = "python" | "markdown" | "json" | "yaml" | "text";

export interface LineProblem {
  /** From 1. */
  line: number;
  message: string;
}

export interface EditorOptions {
  label: string;
  language: Language;
  isReadOnly: boolean;
  value: string;
  onValue: (text: string) => void;
}

export interface EditorHandle {
  setValue: (text: string) => void;
  setProblems: (problems: readonly LineProblem[]) => void;
  destroy: () => void;
}

const LANGUAGES: Record<Language, () => Promise<LanguageSupport | null>> = {
  python: async () => (await import("@codemirror/lang-python")).python(),
  // Rubrics begin with a head in YAML.
  markdown: async () => {
    const [{ markdown }, { yamlFrontmatter }] = await Promise.all([
      import("@codemirror/lang-markdown"),
      import("@codemirror/lang-yaml"),
    ]);
    return yamlFrontmatter({ content: markdown() });
  },
  json: async () => (await import("@codemirror/lang-json")).json(),
  yaml: async () => (await import("@codemirror/lang-yaml")).yaml(),
  text: async () => null,
};

const COLOURS = HighlightStyle.define([
  { tag: [tags.keyword, tags.moduleKeyword, tags.operatorKeyword], color: "var(--series-7)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--series-3)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--series-2)" },
  { tag: [tags.comment, tags.meta], color: "var(--muted)" },
  {
    tag: [
      tags.function(tags.variableName),
      tags.function(tags.definition(tags.variableName)),
      tags.definition(tags.propertyName),
      tags.propertyName,
    ],
    color: "var(--series-1)",
  },
  { tag: [tags.className, tags.typeName], color: "var(--series-6)" },
  { tag: tags.heading, fontWeight: "650", color: "var(--series-1)" },
  { tag: tags.strong, fontWeight: "650" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: tags.link, color: "var(--accent)" },
  { tag: tags.monospace, color: "var(--series-3)" },
]);

const LOOKS = EditorView.theme({
  "&": {
    height: "var(--editor-height)",
    fontSize: "var(--text-s)",
    color: "var(--text)",
    backgroundColor: "var(--surface)",
  },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "var(--space-2) 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--muted)", borderRight: "1px solid var(--border)" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent-soft) 40%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--accent-soft)", color: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--accent-soft)", outline: "1px solid var(--accent)" },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--border)",
    borderRadius: "var(--radius)",
  },
  ".cm-diagnostic": { fontFamily: "var(--font)", whiteSpace: "pre-wrap", maxWidth: "32rem" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
});

/** Puts an editor into an element. */
export async function mountEditor(host: HTMLElement, options: EditorOptions): Promise<EditorHandle> {
  const language = await LANGUAGES[options.language]();
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren();
  const hint = document.createElement("div");
  hint.id = "hint";
  hint.hidden = true;
  hint.textContent = options.isReadOnly
    ? "The text can only be read."
    : "Tab indents. To leave the editor with Tab, press Escape first.";
  root.append(hint);

  let isOurs = false;
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: options.value,
      extensions: [
        lineNumbers(),
        highlightActiveLineGutter(),
        highlightSpecialChars(),
        history(),
        drawSelection(),
        indentOnInput(),
        indentUnit.of(options.language === "python" ? "    " : "  "),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
        lintGutter(),
        language ?? [],
        options.language === "markdown" || options.language === "text" ? EditorView.lineWrapping : [],
        syntaxHighlighting(COLOURS),
        LOOKS,
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorState.readOnly.of(options.isReadOnly),
        EditorView.editable.of(!options.isReadOnly),
        EditorView.contentAttributes.of({
          "aria-label": options.label,
          "aria-describedby": "hint",
          spellcheck: "false",
          tabindex: "0",
          ...(options.isReadOnly ? { role: "textbox", "aria-readonly": "true" } : {}),
        }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !isOurs) options.onValue(update.state.doc.toString());
        }),
      ],
    }),
  });

  return {
    setValue(text) {
      if (text === view.state.doc.toString()) return;
      isOurs = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
      isOurs = false;
    },
    setProblems(problems) {
      const lines = view.state.doc.lines;
      const found = problems
        .filter((problem) => problem.line >= 1 && problem.line <= lines)
        .map((problem): Diagnostic => {
          const { from, to } = view.state.doc.line(problem.line);
          return { from, to, severity: "error", message: problem.message };
        });
      view.dispatch(setDiagnostics(view.state, found));
    },
    destroy: () => view.destroy(),
  };
}
