/** Words from policies on their way into a script: they may hold nothing that its parser could take for syntax. */

/** nftables keeps 128 bytes of a comment. */
const MAX_COMMENT_LENGTH = 120;

/** Only characters that no parser of a target gives a meaning inside a quoted text or after `#`. */
export function commentText(text: string): string {
  const plain = text.replaceAll(/[^A-Za-z0-9 ._/:,()[\]-]/gu, "_");
  return plain.length > MAX_COMMENT_LENGTH ? `${plain.slice(0, MAX_COMMENT_LENGTH - 3)}...` : plain;
}
