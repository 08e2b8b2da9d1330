import type { Field, ObjectShape } from "./shape.ts";

/** The declaration of one kind: everything below its apiVersion and kind. */
export interface DocumentSchema {
  /** File name below assets/schema. */
  readonly file: string;
  /** What such a document does, in a sentence or two. */
  readonly description: string;
  /** Matches every apiVersion that is read, where it is more than one. */
  readonly apiVersionPattern?: RegExp;
  readonly metadata: ObjectShape;
  /** `null` for kinds of which only the metadata counts. */
  readonly spec: (Field & { readonly shape: ObjectShape }) | null;
}
