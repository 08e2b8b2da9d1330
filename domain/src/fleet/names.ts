/** What hosts, groups and environments may be called, so that a selector can always say which is meant. */

export const ALIAS_MAX_LENGTH = 253;
export const GROUP_MAX_LENGTH = 63;
export const ENVIRONMENT_NAME_MAX_LENGTH = 63;

const ALIAS = /^[A-Za-z0-9][A-Za-z0-9._:@-]*$/;
const GROUP = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
/** Words that mean something else in a selector. `local` is the machine of the console. */
const RESERVED = new Set(["all", "local"]);
const CONDITION_PREFIX = /^(group|env|label):/i;

/** Why it cannot be an alias; `null` when it can. */
export function aliasProblem(alias: string): string | null {
  if (alias === "") return "The alias is empty.";
  if (alias.length > ALIAS_MAX_LENGTH) {
    return `The alias has ${alias.length} characters; at most ${ALIAS_MAX_LENGTH} are allowed.`;
  }
  if (!ALIAS.test(alias)) {
    return "An alias has letters, digits, `.`, `_`, `-`, `:` and `@`, and begins with a letter or a digit.";
  }
  if (RESERVED.has(alias.toLowerCase())) return `"${alias}" cannot be an alias: selectors use the word.`;
  if (CONDITION_PREFIX.test(alias)) return `An alias cannot begin with "${alias.slice(0, alias.indexOf(":") + 1)}".`;
  return null;
}

/** Why it cannot be a group; `null` when it can. */
export function groupProblem(group: string): string | null {
  if (group.length <= GROUP_MAX_LENGTH && GROUP.test(group)) return null;
  return `A group has up to ${GROUP_MAX_LENGTH} letters, digits, \`.\`, \`_\` and \`-\`, and does not begin with \`.\` or \`-\`.`;
}

/** Why it cannot be the name of an environment; `null` when it can. */
export function environmentProblem(name: string): string | null {
  if (name.length <= ENVIRONMENT_NAME_MAX_LENGTH && GROUP.test(name)) return null;
  return `An environment's name has up to ${ENVIRONMENT_NAME_MAX_LENGTH} letters, digits, \`.\`, \`_\` and \`-\`.`;
}
