/** What other features may use of this one. */
import { lazy } from "react";

/** The whole workspace, or with `file` what the policies of one file are about. Loaded when it is first shown. */
export const PolicyPictureView = lazy(() => import("./components/picture-view.tsx"));
