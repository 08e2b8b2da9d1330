/** Everything of a roll-out that needs no host: stages, course, gates, forecast, typed words, drift. */
export * from "./drift.ts";
export * from "./forecast.ts";
export * from "./rollout-gates.ts";
export * from "./rollout-machine.ts";
export * from "./rollout-stages.ts";
export * from "./typed-words.ts";
