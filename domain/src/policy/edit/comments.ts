/** The comments of a text, to prove that an edit loses none of them. */
import { Lexer } from "yaml";

/** In file order, without white space around them. */
export function commentsOf(text: string): readonly string[] {
  const comments: string[] = [];
  let isScalar = false;
  for (const lexeme of new Lexer().lex(text)) {
    if (!isScalar && lexeme.startsWith("#")) comments.push(lexeme.trim());
    isScalar = lexeme === SCALAR;
  }
  return comments;
}

/** The lexer's sign before a plain scalar or a block of text. */
const SCALAR = "\u001F";

/** Whether every comment of the one text is in the other as well, as often. */
export function hasCommentsOf(text: string, before: string): boolean {
  const left = new Map<string, number>();
  for (const comment of commentsOf(text)) left.set(comment, (left.get(comment) ?? 0) + 1);
  return commentsOf(before).every((comment) => {
    const count = left.get(comment) ?? 0;
    left.set(comment, count - 1);
    return count > 0;
  });
}
