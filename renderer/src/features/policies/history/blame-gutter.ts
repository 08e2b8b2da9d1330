/**
 * Who last changed each line, beside the text. A CodeMirror extension: put `blameGutter()` into the editor's extensions,
 * and dispatch `setBlame` with an answer of GetBlame; `null` takes the gutter away.
 */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Extension, RangeSet, StateEffect, StateField } from "@codemirror/state";
import { EditorView, GutterMarker, gutter } from "@codemirror/view";
import type { GetBlameResponse, VersionEntry } from "@wardline/api/wardline/console/v1/versions";
import { formatDateTime, visibleText } from "../../../ui/index.ts";

export const setBlame = StateEffect.define<GetBlameResponse | null>();

const MAX_AUTHOR_CHARACTERS = 10;

class BlameMarker extends GutterMarker {
  readonly #version: VersionEntry | null;
  readonly #isFirst: boolean;

  constructor(version: VersionEntry | null, isFirst: boolean) {
    super();
    this.#version = version;
    this.#isFirst = isFirst;
  }

  override eq(other: BlameMarker): boolean {
    return other.#version === this.#version && other.#isFirst === this.#isFirst;
  }

  override toDOM(): Node {
    const element = document.createElement("div");
    element.className = "cm-blame";
    element.title = describe(this.#version);
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

function rangesOf(doc: EditorView["state"]["doc"], { runs, versions }: GetBlameResponse): RangeSet<GutterMarker> {
  const byNumber = new Map(versions.map((version) => [version.number, version]));
  const ranges = runs.flatMap(({ firstLine, lineCount, number }) => {
    const version = byNumber.get(number) ?? null;
    return Array.from({ length: lineCount }, (_, index) => firstLine + index)
      .filter((line) => line <= doc.lines)
      .map((line) => new BlameMarker(version, line === firstLine).range(doc.line(line).from));
  });
  return RangeSet.of(ranges);
}

const look = EditorView.theme({
  ".cm-blame-gutter": { minWidth: "0" },
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
});

export function blameGutter(): Extension {
  return [markers, look, gutter({ class: "cm-blame-gutter", markers: (view) => view.state.field(markers) })];
}
