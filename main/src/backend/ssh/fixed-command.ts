/**
 * sshd hands a command to the login shell of the user as one string, so a command is never put together from input: it is
 * a constant of this code, and the type lets nothing else through. What belongs to a request travels on standard input.
 */
declare const checked: unique symbol;

export type FixedCommand = string & { readonly [checked]: true };

/** `text` must be a literal: a value that the compiler only knows as `string` is refused by its type. */
export function fixedCommand<const Text extends string>(text: string extends Text ? never : Text): FixedCommand {
  return text as unknown as FixedCommand;
}
