/** The changes that a form can ask for, as data. */
import type { SpanEdit } from "./lines.ts";
import type { ValuePath, YamlValue } from "./value.ts";

/** `part` counts the pieces between the `---` of a file from 0, also those without a value. */
export type ValueEdit =
  /** Makes what is missing on the way. A new key goes where `order` has it; without one, behind the others. */
  | {
      readonly kind: "set";
      readonly part: number;
      readonly path: ValuePath;
      readonly value: YamlValue;
      readonly order?: readonly string[];
    }
  /** Takes out an entry of a mapping, with the comments in it. */
  | { readonly kind: "unset"; readonly part: number; readonly path: ValuePath }
  | {
      readonly kind: "rename";
      readonly part: number;
      readonly path: ValuePath;
      readonly key: string;
      readonly newKey: string;
    };

/** `path` is that of the list. */
export type ListEdit =
  /** A list that is not there is made. */
  | {
      readonly kind: "insert";
      readonly part: number;
      readonly path: ValuePath;
      readonly index: number;
      readonly value: YamlValue;
      readonly order?: readonly string[];
    }
  | { readonly kind: "remove"; readonly part: number; readonly path: ValuePath; readonly index: number }
  | { readonly kind: "duplicate"; readonly part: number; readonly path: ValuePath; readonly index: number }
  /** `to` is the place among the items as they are afterwards. */
  | {
      readonly kind: "move";
      readonly part: number;
      readonly path: ValuePath;
      readonly index: number;
      readonly to: number;
    }
  /** Makes comments of an item's lines. */
  | { readonly kind: "disable"; readonly part: number; readonly path: ValuePath; readonly index: number }
  /** `index` is the place among what is switched off. */
  | { readonly kind: "enable"; readonly part: number; readonly path: ValuePath; readonly index: number }
  | { readonly kind: "remove-disabled"; readonly part: number; readonly path: ValuePath; readonly index: number };

export type DocumentEdit =
  /** Behind the part; -1 = in front of all. */
  | { readonly kind: "add-document"; readonly after: number; readonly text: string }
  | { readonly kind: "remove-document"; readonly part: number }
  | { readonly kind: "duplicate-document"; readonly part: number; readonly name: string }
  | { readonly kind: "disable-document"; readonly part: number }
  | { readonly kind: "enable-document"; readonly part: number };

export type FormEdit = ValueEdit | ListEdit | DocumentEdit;

export type FormEditResult =
  /** Replacements that do not overlap, in UTF-16 code units of the text that was given. */
  | { readonly ok: true; readonly text: string; readonly spans: readonly SpanEdit[] }
  /** Why nothing is changed, as a sentence. */
  | { readonly ok: false; readonly reason: string };

export const IN_THE_TEXT = "Edit this in the text.";

/** What an edit of one document would do: spans in the document's text, and what it says afterwards. */
export type EditPlan =
  | {
      readonly spans: readonly SpanEdit[];
      readonly expected: YamlValue;
      /** Comments inside what the person takes away go with it. */
      readonly mayLoseComments?: boolean;
    }
  | { readonly reason: string };
