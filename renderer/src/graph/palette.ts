import type { LookTone } from "./looks.ts";

/** The colours of the theme as `#rrggbb`: a canvas does not know custom properties. */
export interface Palette {
  readonly tones: Readonly<Record<LookTone, string>>;
  readonly text: string;
  readonly soft: string;
  readonly surface: string;
  readonly line: string;
  readonly accent: string;
  readonly font: string;
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => sixDigits(style.getPropertyValue(`--${name}`).trim());
  return {
    tones: { allow: read("allow"), observed: read("observed"), deny: read("deny"), unknown: read("unknown") },
    text: read("text"),
    soft: read("text-soft"),
    surface: read("surface"),
    line: read("line-strong"),
    accent: read("accent"),
    font: style.getPropertyValue("--font-text").trim() || "sans-serif",
  };
}

/** A built style sheet has `#fff` where the source has `#ffffff`. */
const sixDigits = (color: string) =>
  /^#[\da-f]{3}$/i.test(color) ? `#${[...color.slice(1)].map((digit) => digit + digit).join("")}` : color;

/** `share` of `over` laid over the other; both `#rrggbb`. */
export function mix(color: string, over: string, share: number): string {
  const part = (text: string, at: number) => Number.parseInt(text.slice(at, at + 2), 16) || 0;
  const blended = [1, 3, 5].map((at) => Math.round(part(color, at) * (1 - share) + part(over, at) * share));
  return `#${blended.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
