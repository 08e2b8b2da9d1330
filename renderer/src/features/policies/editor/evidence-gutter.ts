/** Beside each test whether it holds, and beside each rule whether a test touches it and how often it was hit. */
import { type Extension, RangeSet, RangeSetBuilder, StateEffect, StateField, type Text } from "@codemirror/state";
import { EditorView, GutterMarker, gutter, ViewPlugin } from "@codemirror/view";
import type { TestMark } from "@wardline/domain/policy/language";
import { visibleText } from "../../../ui/index.ts";
import { ruleNote, testNote } from "./evidence-words.ts";
import type { LanguageState, LanguageStore } from "./language-store.ts";

export type Go = (file: string, line: number) => void;

class EvidenceMarker extends GutterMarker {
  readonly #kind: string;
  readonly #glyph: string;
  readonly #note: string;
  readonly target: { readonly file: string; readonly line: number } | null;

  constructor(kind: string, glyph: string, note: string, target: EvidenceMarker["target"]) {
    super();
    this.#kind = kind;
    this.#glyph = glyph;
    this.#note = note;
    this.target = target;
  }

  override eq(other: EvidenceMarker): boolean {
    return this.#kind === other.#kind && this.#glyph === other.#glyph && this.#note === other.#note;
  }

  override toDOM(): Node {
    const mark = document.createElement("span");
    mark.className = `line-evidence line-evidence-${this.#kind}`;
    mark.textContent = this.#glyph;
    mark.title = visibleText(this.#note);
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", visibleText(this.#note));
    return mark;
  }
}

const GLYPHS: Record<TestMark["status"], string> = { holds: "✓", fails: "✕", vacuous: "○", refused: "○" };
const setMarks = StateEffect.define<RangeSet<EvidenceMarker>>();

const marksField = StateField.define<RangeSet<EvidenceMarker>>({
  create: () => RangeSet.empty,
  update(marks, transaction) {
    const given = transaction.effects.find((effect) => effect.is(setMarks));
    return given ? given.value : marks.map(transaction.changes);
  },
});

export function evidenceGutter(store: LanguageStore, path: string, go: Go): Extension {
  return [
    marksField,
    gutter({
      class: "cm-evidenceGutter",
      markers: (view) => view.state.field(marksField),
      initialSpacer: () => new EvidenceMarker("space", "0000", "", null),
      domEventHandlers: {
        click(view, line) {
          let target: EvidenceMarker["target"] = null;
          view.state.field(marksField).between(line.from, line.from, (_from, _to, marker) => {
            target = marker.target;
          });
          if (target) go((target as { file: string }).file, (target as { line: number }).line);
          return target !== null;
        },
      },
    }),
    ViewPlugin.define((view) => {
      let shown: Pick<LanguageState, "proof" | "rules"> | null = null;
      const show = (): void => {
        const state = store.getState();
        if (state.path !== path || state.isChecking) return;
        if (shown && shown.proof === state.proof && shown.rules === state.rules) return;
        shown = { proof: state.proof, rules: state.rules };
        const marks = marksOf(view.state.doc, path, state);
        // A view must not be changed while it is being drawn.
        queueMicrotask(() => view.dom.isConnected && view.dispatch({ effects: setMarks.of(marks) }));
      };
      const unsubscribe = store.subscribe(show);
      queueMicrotask(show);
      return { destroy: unsubscribe };
    }),
    EditorView.baseTheme({
      ".cm-evidenceGutter": { minWidth: "44px" },
      ".cm-evidenceGutter .cm-gutterElement": { textAlign: "right", paddingRight: "4px", cursor: "default" },
    }),
  ];
}

function marksOf(
  doc: Text,
  path: string,
  { proof, rules }: Pick<LanguageState, "proof" | "rules">,
): RangeSet<EvidenceMarker> {
  const byLine = new Map<number, EvidenceMarker>();
  const touched = proof && proof.notRun === "" && proof.marks.length > 0 ? new Set(proof.touched) : null;
  for (const rule of rules) {
    const isTouched = touched === null ? null : touched.has(`${path}:${rule.line}`);
    const { glyph, note } = ruleNote(rule, isTouched);
    byLine.set(rule.line, new EvidenceMarker(isTouched ? "tested" : "rule", glyph, note, null));
  }
  for (const mark of proof?.marks ?? []) {
    if (mark.file !== path) continue;
    const target = mark.decidedAt ? { file: mark.decidedAt.file, line: mark.decidedAt.line } : null;
    byLine.set(mark.line, new EvidenceMarker(mark.status, GLYPHS[mark.status], testNote(mark), target));
  }
  const builder = new RangeSetBuilder<EvidenceMarker>();
  for (const [line, marker] of [...byLine].sort(([left], [right]) => left - right)) {
    if (line < 1 || line > doc.lines) continue;
    const { from } = doc.line(line);
    builder.add(from, from, marker);
  }
  return builder.finish();
}
