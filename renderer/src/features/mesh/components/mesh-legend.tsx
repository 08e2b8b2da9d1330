import { LinkClass } from "@wardline/api/wardline/console/v1/mesh";
import type { Dash } from "../../../graph/looks.ts";
import { CLASS_LOOKS, type DirectionLook, FLAPPING_LOOK, LOST_LOOK } from "../model/look.ts";

/** As the shader draws them, in pixels. */
const DASH_ARRAYS: Record<Dash, string | undefined> = {
  0: undefined,
  1: "11 5",
  2: "5 4",
  3: "2 4",
  4: "4 14",
  5: "9 4 3 4",
};

const LINES: readonly (readonly [string, DirectionLook])[] = [
  ["excellent", CLASS_LOOKS[LinkClass.EXCELLENT]],
  ["good", CLASS_LOOKS[LinkClass.GOOD]],
  ["fair", CLASS_LOOKS[LinkClass.FAIR]],
  ["poor", CLASS_LOOKS[LinkClass.POOR]],
  ["bad", CLASS_LOOKS[LinkClass.BAD]],
  ["lost", LOST_LOOK],
  ["flapping", FLAPPING_LOOK],
  ["not measured", CLASS_LOOKS[LinkClass.UNMEASURED]],
];

const NODES: readonly (readonly [string, "allow" | "observed" | "deny" | "unknown", React.ReactNode])[] = [
  ["online", "allow", <circle key="s" cx="7" cy="7" r="5" fill="currentColor" />],
  ["degraded", "observed", <path key="s" d="M7 1.5 12.6 11.5H1.4Z" fill="currentColor" />],
  ["offline", "deny", <rect key="s" x="2.4" y="2.4" width="9.2" height="9.2" fill="currentColor" />],
  ["unknown", "unknown", <circle key="s" cx="7" cy="7" r="4" fill="none" stroke="currentColor" strokeWidth="2.2" />],
];

/** What the marks mean, and that each half of a line is the view of the node it begins at. */
export function MeshLegend() {
  return (
    <details className="mesh-legend" open>
      <summary>Legend</summary>
      <ul>
        {NODES.map(([name, tone, shape]) => (
          <li key={name} data-tone={tone}>
            <svg width="28" height="14" viewBox="-7 0 28 14" aria-hidden="true">
              {shape}
            </svg>
            {name}
          </li>
        ))}
        <li>
          <svg width="28" height="14" viewBox="0 0 28 14" aria-hidden="true">
            <circle cx="14" cy="7" r="3" fill="currentColor" />
            <circle cx="14" cy="7" r="5.6" fill="none" stroke="currentColor" />
          </svg>
          holds it together
        </li>
      </ul>
      <ul>
        {LINES.map(([name, { tone, dash, width }]) => (
          <li key={name} data-tone={tone}>
            <svg width="28" height="14" viewBox="0 0 28 14" aria-hidden="true">
              <path d="M0 7h28" stroke="currentColor" strokeWidth={width} strokeDasharray={DASH_ARRAYS[dash]} />
            </svg>
            {name}
          </li>
        ))}
      </ul>
      <p className="faint">Half a line is how the node at its end sees the way.</p>
    </details>
  );
}
