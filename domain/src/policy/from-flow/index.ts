export { proposeRule, type RuleProposal } from "./propose-rule.ts";
export { type TestInput, withTest } from "./propose-test.ts";
