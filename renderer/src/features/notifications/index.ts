export { Bell } from "./components/bell.tsx";
export { useDesktopNotes } from "./model/desktop-notes.ts";
