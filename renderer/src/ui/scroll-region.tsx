import type { ReactNode } from "react";

interface ScrollRegionProps {
  readonly label: string;
  readonly className: string;
  readonly children: ReactNode;
}

/** A part that scrolls by itself, also for those who have no mouse: it takes the focus, and says what it is. */
export function ScrollRegion({ label, className, children }: ScrollRegionProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1).
    <section className={`${className} scroll`} aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
