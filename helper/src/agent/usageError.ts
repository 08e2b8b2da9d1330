/** A command line that is not understood: exit code 2. */
export class UsageError extends Error {}
