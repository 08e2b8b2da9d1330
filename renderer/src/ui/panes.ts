/**
 * F6 and Shift+F6 go from pane to pane: the rail, the bar, the parts of the view, the status bar. A pane that was left takes the
 * focus where it was.
 */
import { canHaveFocus, focusAnyway, tabStops } from "./focusable.ts";

/** Landmarks, grids and the text of the editor. Of panes inside each other the inner one counts. */
const PANES = [
  ".rail",
  ".top-bar",
  "main",
  "main nav",
  "main aside",
  "main search",
  "main [role='grid']",
  "main [data-pane]",
  "main .cm-content",
  ".status-bar",
].join(", ");

/** Where the focus was last in each pane. */
const lastFocus = new WeakMap<Element, HTMLElement>();

const paneOf = (element: Element | null): Element | null => element?.closest(PANES) ?? null;

function rememberFocus(event: FocusEvent): void {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return;
  const pane = paneOf(target);
  if (pane) lastFocus.set(pane, target);
}

/** Notices where the focus is, as long as the window is there. Returns what ends it. */
export function followPanes(): () => void {
  document.addEventListener("focusin", rememberFocus);
  return () => document.removeEventListener("focusin", rememberFocus);
}

/** What takes the focus when a pane is entered: what had it last, else the first stop of its own, else the pane. */
function entryOf(pane: Element): HTMLElement | null {
  const last = lastFocus.get(pane);
  if (last && pane.contains(last) && canHaveFocus(last)) return last;
  if (pane.matches("[role='grid'], .cm-content") && canHaveFocus(pane)) return pane;
  const own = tabStops(pane).find((stop) => paneOf(stop) === pane);
  if (own) return own;
  // A pane of panes only is entered by those; one without any stop still scrolls.
  return pane.querySelector(PANES) === null && pane instanceof HTMLElement ? pane : null;
}

/** @returns whether there was somewhere to go; not while a dialog is open, whose own stops are all that counts */
export function goToPane(step: 1 | -1): boolean {
  const { activeElement } = document;
  if (activeElement?.closest("[role='dialog'], [role='alertdialog'], .sheet-scrim")) return false;
  const panes = [...document.querySelectorAll(PANES)].filter(
    (pane) => pane.checkVisibility() && pane.closest("[inert], [aria-hidden='true']") === null,
  );
  const entries = panes.flatMap((pane) => {
    const entry = entryOf(pane);
    return entry ? [{ pane, entry }] : [];
  });
  if (entries.length === 0) return false;
  const here = entries.findIndex(({ pane }) => pane === paneOf(activeElement));
  const next = here < 0 ? (step > 0 ? 0 : entries.length - 1) : (here + step + entries.length) % entries.length;
  const entry = entries[next]?.entry;
  if (!entry) return false;
  focusAnyway(entry);
  return true;
}

/** Into the view itself, from where Tab goes on. For the skip link, and when another view opens. */
export function focusView(): void {
  const main = document.querySelector("main");
  if (main) focusAnyway(main, { preventScroll: true });
}

/** For whoever has opened a view: into it, unless something in it or a dialog has the focus by then. */
export function enterView(): () => void {
  // A dialog that closes with it gives the focus back first.
  const frame = requestAnimationFrame(() => {
    if (!document.activeElement?.closest("main, [role='dialog']")) focusView();
  });
  return () => cancelAnimationFrame(frame);
}
