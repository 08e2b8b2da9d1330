export type { YamlNode } from "../yaml/node.ts";
export { applyFixes, type FixedText } from "./apply-fixes.ts";
export { isSwitchedOff } from "./document-edits.ts";
export { deleteFromDocument, type EditResult, editDocument, insertIntoList, type TextEdits } from "./edit-document.ts";
export { type FixedFiles, fixFiles } from "./fix-files.ts";
export { differenceOf, editForm, editFormTogether } from "./form-edit.ts";
export {
  type DocumentEdit,
  type FormEdit,
  type FormEditResult,
  IN_THE_TEXT,
  type ListEdit,
  type ValueEdit,
} from "./form-edits.ts";
export {
  disabledItems,
  type FormFile,
  type FormPart,
  keyStartAt,
  partAt,
  pathAt,
  readFormFile,
  spanAt,
} from "./form-file.ts";
export type { SpanEdit } from "./lines.ts";
export { isList, isMapping, readValue, type ValuePath, withValueAt, type YamlValue } from "./value.ts";
