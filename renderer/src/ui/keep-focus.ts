/**
 * The focus is never lost. When what had it is taken out of the page, hidden or disabled, the browser gives the focus to
 * the body, and a person at the keyboard begins again at the top. Here it goes to the same thing drawn anew, where there is
 * one; else to the nearest part around it that is still there, from where Tab goes on.
 */
import { canHaveFocus, focusAnyway, tabStops } from "./focusable.ts";

interface FocusPlace {
  readonly element: HTMLElement;
  /** From the inside out. */
  readonly around: readonly HTMLElement[];
  readonly signature: string;
}

/** Parts that say what they are when they get the focus. */
const PARTS =
  "main, nav, aside, search, section, article, form, header, footer, [role='dialog'], [role='alertdialog'], [role='region'], [role='grid'], [role='tabpanel']";

let place: FocusPlace | null = null;

function signatureOf(element: Element): string {
  const name = element.getAttribute("aria-label") ?? element.textContent.trim().slice(0, 80);
  return [element.tagName, element.getAttribute("role") ?? "", element.getAttribute("type") ?? "", name].join("|");
}

function note({ target }: FocusEvent): void {
  if (!(target instanceof HTMLElement) || target === document.body) return;
  const around: HTMLElement[] = [];
  for (let each = target.parentElement; each && each !== document.body; each = each.parentElement) around.push(each);
  place = { element: target, around, signature: signatureOf(target) };
}

/** Where the focus goes from a place that is lost. */
function successorOf({ around, signature }: FocusPlace): HTMLElement | null {
  const left = around.filter(
    (each) => each.isConnected && each.checkVisibility() && each.closest("[inert], [aria-hidden='true']") === null,
  );
  const nearest = left[0];
  if (!nearest) return document.querySelector("main");
  // Only near by: the same words elsewhere are another thing.
  for (const each of left.slice(0, 3)) {
    const alike = tabStops(each).filter((stop) => signatureOf(stop) === signature);
    if (alike.length === 1 && alike[0]) return alike[0];
  }
  return left.find((each) => each.matches(PARTS)) ?? document.querySelector("main");
}

function mend(): void {
  const { activeElement, body } = document;
  if (!place || (activeElement !== null && activeElement !== body)) return;
  // Whoever clicked on nothing has no focus on purpose: what had it is still there.
  if (canHaveFocus(place.element)) return;
  const successor = successorOf(place);
  if (successor) focusAnyway(successor, { preventScroll: true });
}

/** Watches over the focus as long as the window is there. Returns what ends it. */
export function keepFocus(): () => void {
  let isPlanned = false;
  const plan = () => {
    if (isPlanned || (document.activeElement !== null && document.activeElement !== document.body)) return;
    isPlanned = true;
    // Dialogs that close give the focus back by themselves, a frame later at most: they come first.
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        isPlanned = false;
        mend();
      }),
    );
  };
  const observer = new MutationObserver(plan);
  observer.observe(document.body, {
    childList: true,
    subtree: true,
    attributeFilter: ["disabled", "hidden", "inert", "aria-hidden"],
  });
  document.addEventListener("focusin", note);
  document.addEventListener("focusout", plan);
  return () => {
    observer.disconnect();
    document.removeEventListener("focusin", note);
    document.removeEventListener("focusout", plan);
  };
}
