/** What tests ask of the machine that they share with others. Loads nothing of the test runner: benches use it too. */
export { freePort } from "./free-port.ts";
export { standStill } from "./stand-still.ts";
