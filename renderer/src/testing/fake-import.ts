/** What the double says of files that are dropped on the window, before they are imported. */
import { create } from "@bufbuild/protobuf";
import {
  type DroppedFile,
  ImportAction,
  type ImportPreview,
  ImportPreviewSchema,
} from "@wardline/api/wardline/console/v1/policies";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { checkText, documentsOf, type FakeFile, isBinary } from "./fake-workspace.ts";

/** What an import would do with this file, beside what is there under its name. */
export function previewOf(file: DroppedFile, known: FakeFile | undefined): ImportPreview {
  const { path, content } = file;
  if (isBinary(content)) {
    return create(ImportPreviewSchema, {
      path,
      action: ImportAction.REFUSE,
      refusal: {
        code: ErrorCode.NOT_TEXT,
        message: `${path} holds binary data, not text.`,
        hint: "Drop YAML or JSON files with policies.",
      },
    });
  }
  const text = new TextDecoder().decode(content);
  return create(ImportPreviewSchema, {
    path,
    action: known === undefined ? ImportAction.ADD : known.text === text ? ImportAction.SAME : ImportAction.REPLACE,
    documents: documentsOf(path, text),
    diagnostics: checkText(path, text),
  });
}
