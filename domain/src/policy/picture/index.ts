/**
 * The picture of the policy.
 *
 * - `drawPicture(input)` makes one in steps; `pictureOf(input)` at once. `surveyPicture` is its larger part, which does not
 *   depend on flows, and `fillPicture` puts flows into it. Nothing is sampled: an edge says what holds for
 *   every pair of addresses of its nodes and every port.
 * - `detailOf(picture, …)` has what stands behind one edge: rules, the smallest examples, a test that pins it.
 */

export { detailOf, type EdgeDetail, type EdgeRule, endOfNode } from "./detail.ts";
export { pictureDot } from "./dot.ts";
export { defaultKeys, groupingText, knownKeys } from "./grouping.ts";
export * from "./model.ts";
export { classesOf, drawPicture, fillPicture, type PolicyPicture, pictureOf } from "./picture.ts";
export { pinnedTest } from "./pin.ts";
export { type PictureSurvey, surveyPicture } from "./survey.ts";
