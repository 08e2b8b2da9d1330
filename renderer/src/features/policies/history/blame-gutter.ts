/**
 * Who last changed each line, beside the text. A CodeMirror extension: put `blameGutter()` into the editor's extensions,
 * and dispatch `setBlame` with an answer of GetBlame; `null` takes the gutter away. A click opens the version of a line.
 */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type EditorState, type Extension, RangeSet, StateEffect, StateField } from "@codemirror/state";
import { EditorView, GutterMarker, gutter, type Panel, showPanel } from "@codemirror/view";
import type { GetBlameResponse, VersionEntry } from "@wardline/api/wardline/console/v1/versions";
import { useWindow } from "../../../data/window-store.ts";
import { announce, formatDateTime, visibleText } from "../../../ui/index.ts";

export interface ShownBlame {
  readonly path: string;
  readonly blame: GetBlameResponse;
}

export const setBlame = StateEffect.define<ShownBlame | null>();

const MAX_AUTHOR_CHARACTERS = 10;

class BlameMarker extends GutterMarker {
  readonly #version: VersionEntry | null;
  readonly #isFirst: boolean;
  readonly #path: string;

  constructor(version: VersionEntry | null, isFirst: boolean, path: string) {
    super();
    this.#version = version;
    this.#path = path;
    this.#isFirst = isFirst;
  }

  get words(): string {
    return describe(this.#version);
  }

  override eq(other: BlameMarker): boolean {
    return other.#version === this.#version && other.#isFirst === this.#isFirst;
  }

  /** `false` = the line is in no version yet. */
  open(): boolean {
    if (!this.#version) return false;
    useWindow.getState().openVersion(String(this.#version.number), this.#path);
    return true;
  }

  override toDOM(): Node {
    const element = document.createElement("div");
    element.className = "cm-blame";
    if (this.#version) element.dataset.version = String(this.#version.number);
    element.title = this.words;
    if (this.#isFirst) element.textContent = shortWords(this.#version);
    return element;
  }
}

/** In words, for the tooltip and for whoever asks about one line. */
export function describe(version: VersionEntry | null): string {
  if (!version) return "In the draft, in no version yet.";
  const { number, author, reason, ticket, createdAt, enforcedOn } = version;
  const time = createdAt ? formatDateTime(timestampMs(createdAt)) : "?";
  const now = enforcedOn.filter(({ until }) => !until);
  const since = now[0]?.since ? formatDateTime(timestampMs(now[0].since)) : "";
  const where =
    now.length === 0
      ? "Enforced nowhere."
      : `Enforced on ${now.length === 1 ? visibleText(now[0]?.hostName || "this machine") : `${now.length} hosts`} since ${since}.`;
  const words = `${visibleText(reason.slice(0, 300))}${ticket === "" ? "" : ` (${visibleText(ticket)})`}`;
  return `Version ${number} by ${visibleText(author)}, ${time}: ${words}\n${where}`;
}

function shortWords(version: VersionEntry | null): string {
  if (!version) return "draft";
  const author = visibleText(version.author);
  return `#${version.number} ${author.length > MAX_AUTHOR_CHARACTERS ? `${author.slice(0, MAX_AUTHOR_CHARACTERS - 1)}…` : author}`;
}

/** Marks move with the text while somebody types; lines that are new have none until the next answer. */
const markers = StateField.define<RangeSet<GutterMarker>>({
  create: () => RangeSet.empty,
  update(value, transaction) {
    let next = value.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setBlame)) next = effect.value ? rangesOf(transaction.state.doc, effect.value) : RangeSet.empty;
    }
    return next;
  },
});

function rangesOf(
  doc: EditorView["state"]["doc"],
  { path, blame: { runs, versions } }: ShownBlame,
): RangeSet<GutterMarker> {
  const byNumber = new Map(versions.map((version) => [version.number, version]));
  const ranges = runs.flatMap(({ firstLine, lineCount, number }) => {
    const version = byNumber.get(number) ?? null;
    return Array.from({ length: lineCount }, (_, index) => firstLine + index)
      .filter((line) => line <= doc.lines)
      .map((line) => new BlameMarker(version, line === firstLine, path).range(doc.line(line).from));
  });
  return RangeSet.of(ranges);
}

/** Of the line with the cursor: the same as its tooltip, for whoever has no pointer. */
function wordsAtCursor(state: EditorState): string {
  const line = state.doc.lineAt(state.selection.main.head);
  let words = "";
  state.field(markers).between(line.from, line.from, (_from, _to, marker) => {
    if (marker instanceof BlameMarker) words = marker.words;
  });
  return words === "" ? `Line ${line.number} is new; who changed it is asked.` : words;
}

/** Said aloud when the cursor comes to a line that another version wrote, not on each line. */
function cursorPanel(view: EditorView): Panel {
  const dom = document.createElement("div");
  dom.className = "cm-blame-line";
  dom.textContent = wordsAtCursor(view.state);
  return {
    dom,
    update: ({ state, docChanged, selectionSet, transactions }) => {
      const isOther = transactions.some(({ effects }) => effects.some((effect) => effect.is(setBlame)));
      if (!docChanged && !selectionSet && !isOther) return;
      const words = wordsAtCursor(state);
      if (words === dom.textContent) return;
      dom.textContent = words;
      if (selectionSet && !docChanged) announce(words);
    },
  };
}

const look = EditorView.theme({
  ".cm-blame-gutter": { minWidth: "0" },
  ".cm-blame-line": {
    padding: "4px 8px",
    whiteSpace: "pre-line",
    fontSize: "var(--text-12)",
    color: "var(--text-soft)",
  },
  ".cm-blame": {
    maxWidth: "120px",
    padding: "0 8px 0 4px",
    overflow: "hidden",
    textOverflow: "ellipsis",
    whiteSpace: "nowrap",
    fontSize: "var(--text-11)",
    color: "var(--text-soft)",
    cursor: "help",
  },
  ".cm-blame[data-version]": { cursor: "pointer" },
});

export function blameGutter(): Extension {
  return [
    markers,
    look,
    gutter({
      class: "cm-blame-gutter",
      markers: (view) => view.state.field(markers),
      domEventHandlers: { click: (view, line) => openVersionAt(view, line.from) },
    }),
    showPanel.compute([markers], (state) => (state.field(markers).size > 0 ? cursorPanel : null)),
  ];
}

/** Opens the version that the line at this place is from. Returns whether it is in one. */
export function openVersionAt(view: EditorView, position: number): boolean {
  const { from, to } = view.state.doc.lineAt(position);
  let isOpen = false;
  view.state.field(markers, false)?.between(from, to, (_from, _to, marker) => {
    if (marker instanceof BlameMarker) isOpen = marker.open();
    return false;
  });
  return isOpen;
}
