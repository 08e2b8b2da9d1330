import { Skeleton } from "../../../ui/index.ts";
import { loaded } from "./loaded.tsx";

/** The whole workspace, or with `file` what the policies of one file are about. Loaded when it is first shown. */
export const PolicyPictureView = loaded<{ readonly file?: string | null }>(
  () => import("./picture-view.tsx"),
  <Skeleton rows={12} label="Loading the picture" />,
);
