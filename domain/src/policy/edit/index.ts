export { applyFixes, type FixedText } from "./apply-fixes.ts";
export { deleteFromDocument, type EditResult, editDocument, insertIntoList, type TextEdits } from "./edit-document.ts";
export { type FixedFiles, fixFiles } from "./fix-files.ts";
export type { ValuePath, YamlValue } from "./value.ts";
