import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");
const themes = [...css.matchAll(/:root\[data-theme="(\w+)"\] \{([^}]*)\}/g)].map(([, name = "", body = ""]) => ({
  name,
  colours: new Map([...body.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, key = "", value = ""]) => [key, value])),
}));

/** Relative luminance of a colour "#rrggbb" (WCAG 2.2, definition of relative luminance). */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(first: string, second: string): number {
  const [dark = 0, light = 0] = [luminance(first), luminance(second)].toSorted((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** Text on what lies behind it. axe sees a hovered button only when the pointer happens to stand on it. */
const PAIRS = [
  ...["accent-fill", "accent-fill-hover"].map((fill) => ["on-accent", fill] as const),
  ...["ground", "field", "surface", "raised", "hover", "selected"].flatMap((ground) =>
    ["text", "text-soft"].map((text) => [text, ground] as const),
  ),
  ...["ground", "surface", "raised"].map((ground) => ["text-faint", ground] as const),
];

describe.each(themes)("colours of the $name theme", ({ colours }) => {
  it.each(PAIRS)("can read %s on %s", (text, ground) => {
    expect(contrast(colours.get(text) ?? "", colours.get(ground) ?? "")).toBeGreaterThanOrEqual(4.5);
  });
});

it("knows three themes", () => {
  expect(themes.map(({ name }) => name).toSorted()).toEqual(["contrast", "dark", "light"]);
});
