/** What lines and nodes of any picture can look like. Every state has a colour and also a shape or a pattern of its own. */
export type LookTone = "allow" | "observed" | "deny" | "unknown";

/** Patterns along a line; the numbers are those of the shader. */
export const DASH = { solid: 0, long: 1, short: 2, dots: 3, gaps: 4, dashDot: 5 } as const;
export type Dash = (typeof DASH)[keyof typeof DASH];

/** Shapes of a node; the numbers are those of the shader. */
export const SHAPE = { disc: 0, triangle: 1, square: 2, ring: 3, target: 4 } as const;
export type NodeShape = (typeof SHAPE)[keyof typeof SHAPE];
