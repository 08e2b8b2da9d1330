import type { Dash } from "../../../graph/looks.ts";
import { LEGENDS, NODE_LOOKS } from "../model/look.ts";
import type { Overlay } from "../model/picture-store.ts";

/** As the shader draws them, in pixels. */
export const DASH_ARRAYS: Record<Dash, string | undefined> = {
  0: undefined,
  1: "11 5",
  2: "5 4",
  3: "2 4",
  4: "4 14",
  5: "9 4 3 4",
};

const SHAPES: readonly React.ReactNode[] = [
  <circle key="s" cx="7" cy="7" r="5" fill="currentColor" />,
  <path key="s" d="M7 1.5 12.6 11.5H1.4Z" fill="currentColor" />,
  <circle key="s" cx="7" cy="7" r="4" fill="none" stroke="currentColor" strokeWidth="2.2" />,
  <rect key="s" x="2.4" y="2.4" width="9.2" height="9.2" fill="currentColor" />,
];

/** What lines mean under this overlay, and what shapes of groups mean under every one. */
export function PictureLegend({ overlay }: { overlay: Overlay }) {
  return (
    <details className="picture-legend" open>
      <summary>Legend</summary>
      <ul aria-label="Lines">
        {LEGENDS[overlay].map(({ words, tone, dash, width }) => (
          <li key={words} data-tone={tone}>
            <svg width="28" height="14" viewBox="0 0 28 14" aria-hidden="true">
              <path d="M0 7h28" stroke="currentColor" strokeWidth={width} strokeDasharray={DASH_ARRAYS[dash]} />
            </svg>
            {words}
          </li>
        ))}
      </ul>
      <ul aria-label="Groups">
        {NODE_LOOKS.map(({ words, tone }, index) => (
          <li key={words} data-tone={tone}>
            <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
              {SHAPES[index]}
            </svg>
            {words}
          </li>
        ))}
      </ul>
      <p className="faint">Shift and drag around groups, or Shift and click them, to write a policy for them.</p>
    </details>
  );
}
