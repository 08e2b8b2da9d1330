import type { ReactNode, Ref } from "react";

interface ScrollRegionProps {
  readonly label: string;
  readonly className: string;
  readonly children: ReactNode;
  /** The element that scrolls, for those that show only what is in sight. */
  readonly scroller?: Ref<HTMLElement>;
}

/** A part that scrolls by itself, also for those who have no mouse: it takes the focus, and says what it is. */
export function ScrollRegion({ label, className, children, scroller }: ScrollRegionProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1).
    <section ref={scroller} className={`${className} scroll`} aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
