/** Tabs and spaces at the end of a line are shown: the first cannot indent YAML, the second nobody sees. */
import type { Extension } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  type EditorView,
  highlightTrailingWhitespace,
  MatchDecorator,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";

const tabs = new MatchDecorator({ regexp: /\t/g, decoration: Decoration.mark({ class: "cm-shownTab" }) });

const shownTabs = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = tabs.createDeco(view);
    }
    update(update: ViewUpdate): void {
      this.decorations = tabs.updateDeco(update, this.decorations);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

export function shownWhitespace(): Extension {
  return [shownTabs, highlightTrailingWhitespace()];
}
