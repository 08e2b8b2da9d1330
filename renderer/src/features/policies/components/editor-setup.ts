/** What every CodeMirror of the console shares: look, YAML, keys, and the nonce for its style elements. */
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  startCompletion,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import {
  bracketMatching,
  foldGutter,
  foldKeymap,
  HighlightStyle,
  indentOnInput,
  syntaxHighlighting,
} from "@codemirror/language";
import { lintGutter, lintKeymap } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import type { Extension } from "@codemirror/state";
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
import { completionSource } from "../editor/completion-source.ts";
import { evidenceGutter } from "../editor/evidence-gutter.ts";
import { hoverExtension } from "../editor/hover-extension.ts";
import type { LanguageGo } from "../editor/language-keys.ts";
import type { LanguageStore } from "../editor/language-store.ts";
import { liveLint } from "../editor/live-lint.ts";
import { shownWhitespace } from "../editor/shown-tabs.ts";
import { blameGutter } from "../history/blame-gutter.ts";

const look = EditorView.theme({
  "&": { height: "100%", fontSize: "var(--text-12)", backgroundColor: "var(--surface)", color: "var(--text)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--font-code)", lineHeight: "20px", fontVariantLigatures: "none" },
  ".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--text-faint)", border: "none", paddingLeft: "4px" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--hover) 55%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "transparent", color: "var(--text)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
    background: "color-mix(in srgb, var(--accent) 30%, transparent) !important",
  },
  ".cm-specialChar": { color: "var(--deny)", fontWeight: "600" },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--line-strong)",
    borderRadius: "6px",
    boxShadow: "var(--shadow)",
    fontFamily: "var(--font-text)",
    fontSize: "var(--text-13)",
  },
  ".cm-tooltip-autocomplete ul li": { padding: "2px 8px", fontFamily: "var(--font-code)", fontSize: "var(--text-12)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--selected)", color: "var(--text)" },
  ".cm-completionDetail": { color: "var(--text-faint)", fontStyle: "normal" },
  ".cm-diagnostic": { padding: "6px 10px", borderLeft: "3px solid", maxWidth: "60ch" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--deny)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--observed)" },
  ".cm-diagnostic-info": { borderLeftColor: "var(--accent)" },
  ".cm-diagnosticAction": {
    backgroundColor: "var(--accent-fill)",
    color: "var(--on-accent)",
    borderRadius: "4px",
    padding: "2px 8px",
    fontWeight: "500",
  },
  ".cm-diagnosticSource": { color: "var(--text-faint)", fontFamily: "var(--font-code)", opacity: "1" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--deny) 1.5px",
    textUnderlineOffset: "3px",
  },
  ".cm-lintRange-warning": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--observed) 1.5px",
    textUnderlineOffset: "3px",
  },
  ".cm-lintRange-info": {
    backgroundImage: "none",
    textDecoration: "underline dotted var(--accent) 1.5px",
    textUnderlineOffset: "3px",
  },
  ".cm-lint-marker": { width: "10px", height: "10px", margin: "5px 2px", content: "none" },
  ".cm-lint-marker-error": { backgroundColor: "var(--deny)", borderRadius: "1px" },
  ".cm-lint-marker-warning": { backgroundColor: "var(--observed)", clipPath: "polygon(50% 0, 100% 100%, 0 100%)" },
  ".cm-lint-marker-info": { border: "2px solid var(--accent)", borderRadius: "50%" },
  ".cm-panels": { backgroundColor: "var(--raised)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-textfield": {
    backgroundColor: "var(--ground)",
    border: "1px solid var(--line-strong)",
    borderRadius: "4px",
    color: "var(--text)",
  },
  ".cm-button": {
    backgroundImage: "none",
    backgroundColor: "var(--raised)",
    border: "1px solid var(--line-strong)",
    borderRadius: "4px",
    color: "var(--text)",
  },
  ".cm-panel label": { fontSize: "var(--text-12)" },
  ".cm-foldGutter span": { color: "var(--text-faint)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--hover)", border: "none", color: "var(--text-soft)" },
  ".cm-searchMatch": { backgroundColor: "var(--observed-wash)", outline: "1px solid var(--observed)" },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--accent) 18%, transparent)" },
  ".cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--accent) 25%, transparent) !important" },
  ".cm-changedLine, .cm-insertedLine": { backgroundColor: "var(--allow-wash) !important" },
  ".cm-deletedChunk, .cm-deletedLine": { backgroundColor: "var(--deny-wash) !important" },
  // Comments need more contrast on these colours.
  ".cm-changedLine, .cm-insertedLine, .cm-deletedChunk": { "--code-comment": "var(--text-soft)" },
  ".cm-changedText, .cm-insertedLine .cm-changedText": {
    background: "color-mix(in srgb, var(--allow) 12%, transparent) !important",
  },
  ".cm-deletedText, .cm-deletedChunk .cm-deletedText": {
    background: "color-mix(in srgb, var(--deny) 12%, transparent) !important",
  },
  ".cm-collapsedLines:before, .cm-collapsedLines:after": { content: "'⋯'", fontFamily: "var(--font-code)" },
  ".cm-changeGutter": { width: "3px", paddingLeft: "1px" },
  ".cm-changedLineGutter": { background: "var(--allow)" },
  ".cm-deletedLineGutter": { background: "var(--deny)" },
  ".cm-collapsedLines": { background: "var(--raised)", color: "var(--text-soft)", padding: "3px 12px" },
});

const colors = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom, tags.keyword], color: "var(--code-number)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.meta], color: "var(--text-faint)" },
]);

/** The nonce that the host wrote into the page; empty in development. */
export function contentSecurityNonce(): string {
  return document.querySelector<HTMLMetaElement>("meta[name='csp-nonce']")?.content ?? "";
}

/** For texts that are only looked at. */
export function readingExtensions(): Extension[] {
  return [
    EditorView.cspNonce.of(contentSecurityNonce()),
    look,
    syntaxHighlighting(colors),
    yaml(),
    lineNumbers(),
    highlightSpecialChars(),
  ];
}

export interface EditingPorts {
  readonly path: string;
  readonly store: LanguageStore;
  readonly go: LanguageGo;
}

/** Its box is given, so what a key changes inside is laid out without the rest of the window. */
const apart = EditorView.theme({ ".cm-scroller": { contain: "strict" } });

/** For the policy editor. */
export function editingExtensions({ path, store, go }: EditingPorts): Extension[] {
  return [
    apart,
    evidenceGutter(store, path, (file, line) => go.toPlace(file, line, 1)),
    ...readingExtensions(),
    blameGutter(),
    liveLint(store, path),
    hoverExtension(store, path),
    shownWhitespace(),
    lintGutter(),
    foldGutter(),
    history(),
    drawSelection(),
    indentOnInput(),
    bracketMatching(),
    closeBrackets(),
    autocompletion({ override: [completionSource(store, path)], activateOnTypingDelay: 50 }),
    highlightActiveLine(),
    highlightActiveLineGutter(),
    highlightSelectionMatches(),
    keymap.of([
      ...closeBracketsKeymap,
      ...defaultKeymap.filter((binding) => binding.key !== "Mod-Enter"),
      ...searchKeymap,
      ...historyKeymap,
      ...foldKeymap,
      // Keys of the keymap are heard by the window, which knows what the person has bound: see language-keys.ts.
      ...completionKeymap.filter((binding) => binding.run !== startCompletion),
      ...lintKeymap.filter((binding) => binding.key !== "F8"),
      indentWithTab,
    ]),
  ];
}
