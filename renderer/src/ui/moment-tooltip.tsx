import { useEffect, useState } from "react";
import { canHaveFocus } from "./focusable.ts";
import { formatBothZones } from "./time.ts";

const MOMENTS = "time[data-moment]";
/** Whoever only passes by is not told. */
const DELAY_MS = 350;
/** Times of one of these are one stop of Tab; arrow keys go from one to the next. */
const GROUPS = "table, ul, ol, dl, article, section, aside, header, main";
/** These have the focus themselves, and tell their time when they get it. */
const CARRIERS = "button, a[href], [role='option'], [role='tab'], summary, label";
const MARGIN_PX = 6;

interface Shown {
  readonly text: string;
  readonly left: number;
  readonly top: number;
}

/**
 * Both time zones of a `<Moment>` for whoever has no mouse. Once in the window. A time that stands by itself is a stop of
 * Tab, the first of its list or table only; a time on a button is told when the button has the focus. Escape hides it.
 */
export function MomentTooltip() {
  const [shown, setShown] = useState<Shown | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const hide = () => {
      clearTimeout(timer);
      setShown(null);
    };
    const onFocusIn = ({ target }: FocusEvent) => {
      hide();
      if (!(target instanceof HTMLElement) || !target.matches(":focus-visible")) return;
      const moment = momentOf(target);
      if (moment) timer = setTimeout(() => setShown(tooltipFor(moment)), target === moment ? 0 : DELAY_MS);
    };
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === "Tab") placeStops();
      else if (event.key === "Escape") hide();
      else if (event.target instanceof HTMLElement && event.target.matches(MOMENTS)) goToNeighbour(event, event.target);
    };
    document.addEventListener("focusin", onFocusIn);
    document.addEventListener("focusout", hide);
    document.addEventListener("scroll", hide, true);
    document.addEventListener("keydown", onKeyDown, true);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("focusin", onFocusIn);
      document.removeEventListener("focusout", hide);
      document.removeEventListener("scroll", hide, true);
      document.removeEventListener("keydown", onKeyDown, true);
    };
  }, []);
  if (!shown) return null;
  return (
    <div className="tooltip moment-tooltip" role="tooltip" style={{ left: shown.left, top: shown.top }}>
      {shown.text}
    </div>
  );
}

function momentOf(target: HTMLElement): HTMLElement | null {
  if (target.matches(MOMENTS)) return target;
  return target.matches(CARRIERS) ? target.querySelector<HTMLElement>(MOMENTS) : null;
}

function tooltipFor(moment: HTMLElement): Shown | null {
  const timeMs = Date.parse(moment.getAttribute("datetime") ?? "");
  if (Number.isNaN(timeMs) || !moment.isConnected) return null;
  const { left, bottom, top } = moment.getBoundingClientRect();
  // Above where there is no room below, and never out of the window.
  const isLow = bottom > innerHeight - 60;
  return {
    text: formatBothZones(timeMs),
    left: Math.max(MARGIN_PX, Math.min(left, innerWidth - 260)),
    top: isLow ? Math.max(MARGIN_PX, top - 48) : bottom + MARGIN_PX,
  };
}

const standsAlone = (moment: HTMLElement): boolean =>
  moment.closest(`${CARRIERS}, [role='grid'], [role='listbox'], [role='menu']`) === null;
const groupOf = (moment: Element): Element => moment.closest(GROUPS) ?? document.body;

/** Before Tab moves on: one stop in each group, the one that was visited last or the first. */
function placeStops(): void {
  const byGroup = new Map<Element, HTMLElement[]>();
  for (const moment of document.querySelectorAll<HTMLElement>(MOMENTS)) {
    if (!standsAlone(moment)) continue;
    const group = groupOf(moment);
    const list = byGroup.get(group);
    if (list) list.push(moment);
    else byGroup.set(group, [moment]);
  }
  for (const moments of byGroup.values()) {
    const stop = moments.find((moment) => moment === document.activeElement || moment.tabIndex === 0) ?? moments[0];
    for (const moment of moments) moment.tabIndex = moment === stop ? 0 : -1;
  }
}

const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

function goToNeighbour(event: KeyboardEvent, moment: HTMLElement): void {
  const step = STEPS[event.key];
  if (step === undefined) return;
  const group = groupOf(moment);
  const moments = [...group.querySelectorAll<HTMLElement>(MOMENTS)].filter(
    (each) => groupOf(each) === group && standsAlone(each),
  );
  const next = moments[moments.indexOf(moment) + step];
  if (!next) return;
  for (const each of moments) each.tabIndex = each === next ? 0 : -1;
  if (canHaveFocus(next)) next.focus();
  event.preventDefault();
}
