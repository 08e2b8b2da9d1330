/** What other features may use of this one. */
export { PolicyPictureView } from "./components/policy-picture-view.tsx";
