/** Where the focus is in a page, for tests that work by keyboard only. Evaluated in the page as text: its policy allows no more. */

export interface FocusState {
  /** On the body, where nobody is. */
  readonly isLost: boolean;
  /** Something is drawn around it, and it is in the window. */
  readonly isVisible: boolean;
  /** Landmark around it. */
  readonly place: string;
  /** What it is, for messages. */
  readonly what: string;
  /** The same for the same element as long as the page lives. */
  readonly id: number;
}

export const FOCUS_STATE = `(() => {
  const element = document.activeElement;
  const isLost = element === null || element === document.body || element === document.documentElement;
  if (isLost) return { isLost, isVisible: false, place: "", what: "body", id: 0 };
  window.focusIds ??= new WeakMap();
  if (!window.focusIds.has(element)) window.focusIds.set(element, (window.focusCount = (window.focusCount ?? 0) + 1));
  const box = element.getBoundingClientRect();
  // Hidden inputs of switches and choices are drawn by the label around them.
  const drawn = [element, ...[1, 2, 3].reduce((list) => [...list, list.at(-1)?.parentElement ?? null], [element]).slice(1)];
  const hasMark = drawn.some((each) => {
    if (!each) return false;
    const style = getComputedStyle(each);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || each.matches(".cm-focused, [data-focus-visible]");
  });
  const active = element.getAttribute("aria-activedescendant");
  // A text has its caret; a dialog that has just opened is its own mark.
  const isField = element.matches("input, textarea, .cm-content, [role='dialog']");
  const isInWindow = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  const landmark = element.closest("[role='dialog'], main, nav.rail, .top-bar, .status-bar");
  const place = !landmark ? "" : landmark.matches("[role='dialog']") ? "dialog" : landmark.localName;
  const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
  return {
    isLost,
    isVisible: isInWindow && (hasMark || isField || active !== null),
    place,
    what: [element.localName, element.getAttribute("role") ?? "", (name ?? "").trim().slice(0, 80)].filter(Boolean).join(" "),
    id: window.focusIds.get(element),
  };
})()`;
