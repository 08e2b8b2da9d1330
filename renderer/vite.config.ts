import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { oneLanguage } from "./bundling/one-language.ts";
import { packedDescriptors, packedLibraryDescriptors } from "./bundling/packed-descriptors.ts";
import { reactModule } from "./bundling/react-module.ts";
import { workerChunks } from "./bundling/worker-chunks.ts";

// Asset addresses are relative, so that the same build is served from http://127.0.0.1 and from app://wardline. Nothing
// is inlined: the content security policy allows scripts, styles and fonts from `self` only.
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [react(), workerChunks(), reactModule(), oneLanguage(), packedDescriptors(), packedLibraryDescriptors()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2024",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: true,
    rolldownOptions: { input: "index.html" },
  },
});
