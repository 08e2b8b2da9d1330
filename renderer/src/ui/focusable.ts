/** Which elements can have the focus, by the page as it is now. */

const FOCUSABLE =
  "a[href], button, input, select, textarea, summary, [tabindex], [contenteditable='true'], audio[controls], video[controls]";

/** Drawn, not disabled, and not behind an open dialog. */
export function canHaveFocus(element: Element): element is HTMLElement {
  return (
    element instanceof HTMLElement &&
    element.isConnected &&
    element.matches(FOCUSABLE) &&
    !element.matches(":disabled") &&
    element.closest("[inert], [aria-hidden='true']") === null &&
    element.checkVisibility({ visibilityProperty: true })
  );
}

/** The elements in an element where Tab stops, in their order. */
export function tabStops(within: ParentNode): HTMLElement[] {
  return [...within.querySelectorAll(FOCUSABLE)].filter(canHaveFocus).filter(({ tabIndex }) => tabIndex >= 0);
}

/** Gives an element the focus that Tab does not stop at: a pane, a heading, a dialog. */
export function focusAnyway(element: HTMLElement, options: FocusOptions = {}): void {
  if (!element.matches(FOCUSABLE)) element.tabIndex = -1;
  element.focus(options);
}
