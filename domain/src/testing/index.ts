export { type Course, inOrder, type Step } from "./in-order.ts";
