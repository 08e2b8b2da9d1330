/** Bounds of questions: a text from anywhere costs a bounded time. */
/** UTF-16 code units. */
export const MAX_QUESTION_LENGTH = 500;
export const MAX_TOKENS = 60;
/** Words of one group: `everything in namespace prod`, `zone in (a, b)`. */
export const MAX_NOUN_TOKENS = 7;
export const MAX_CHOICES = 12;
export const MAX_COMPLETIONS = 50;
/** Names that are looked at for one completion or hint. */
export const MAX_CANDIDATES = 20_000;
