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
  /** Of the element in the first of them, of that in the second …: which child it is. */
  readonly path: readonly number[];
  readonly signature: string;
}

/** Parts that say what they are when they get the focus. */
const PARTS =
  "main, nav, aside, search, section, article, form, header, footer, [role='dialog'], [role='alertdialog'], [role='region'], [role='grid'], [role='tabpanel']";

/** The last place in the window, then in each dialog and list over it, as they were opened. */
let places: readonly FocusPlace[] = [];
const MOST_PLACES = 6;

/** What it is, by what it is called; of a choice the value is no part of its name. */
function signatureOf(element: Element): string {
  const isChoice = element.hasAttribute("aria-labelledby") && element.hasAttribute("aria-haspopup");
  const name = element.getAttribute("aria-label") ?? (isChoice ? "choice" : element.textContent.trim().slice(0, 80));
  return [element.tagName, element.getAttribute("role") ?? "", element.getAttribute("type") ?? "", name].join("|");
}

/** What is now at the place of an element in what is left around it. */
function atSamePlace({ around, path }: FocusPlace, nearest: HTMLElement): Element | null {
  let element: Element | null = nearest;
  for (let depth = around.indexOf(nearest); depth >= 0; depth--) element = element?.children[path[depth] ?? 0] ?? null;
  return element;
}

function note({ target }: FocusEvent): void {
  if (!(target instanceof HTMLElement) || target === document.body) return;
  const around: HTMLElement[] = [];
  const path: number[] = [];
  for (let each = target; each.parentElement && each !== document.body; each = each.parentElement) {
    around.push(each.parentElement);
    path.push([...each.parentElement.children].indexOf(each));
  }
  const layer = around.at(-2);
  const below = places.filter((each) => each.around.at(-2) !== layer).slice(-MOST_PLACES);
  places = [...below, { element: target, around, path, signature: signatureOf(target) }];
}

/** Where the focus goes from a place that is lost. */
function successorOf(former: FocusPlace): HTMLElement | null {
  const { around, signature } = former;
  const left = around.filter(
    (each) => each.isConnected && each.checkVisibility() && each.closest("[inert], [aria-hidden='true']") === null,
  );
  const nearest = left[0];
  // Only the body is left of a list or dialog that closed.
  if (!nearest || nearest === document.body) return null;
  const again = atSamePlace(former, nearest);
  if (again && canHaveFocus(again) && signatureOf(again) === signature) return again;
  // Only near by: the same words elsewhere are another thing.
  for (const each of left.slice(0, 3)) {
    const alike = tabStops(each).filter((stop) => signatureOf(stop) === signature);
    if (alike.length === 1 && alike[0]) return alike[0];
  }
  return left.find((each) => each.matches(PARTS)) ?? document.querySelector("main");
}

function mend(): void {
  const { activeElement, body } = document;
  const last = places.at(-1);
  if (!last || (activeElement !== null && activeElement !== body)) return;
  // Whoever clicked on nothing has no focus on purpose: what had it is still there.
  if (canHaveFocus(last.element)) return;
  for (const former of places.toReversed()) {
    const successor = canHaveFocus(former.element) ? former.element : successorOf(former);
    if (!successor) continue;
    focusAnyway(successor, { preventScroll: true });
    return;
  }
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
