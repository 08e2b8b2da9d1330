import { useEffect } from "react";
import { useWindow } from "../data/window-store.ts";

/** Writes theme, density and environment on the root element; `system` follows the desktop live. */
export function useLook(): void {
  const theme = useWindow((state) => state.theme);
  const density = useWindow((state) => state.density);
  useEffect(() => {
    const light = matchMedia("(prefers-color-scheme: light)");
    const contrast = matchMedia("(prefers-contrast: more)");
    const write = () => {
      const systemTheme = contrast.matches ? "contrast" : light.matches ? "light" : "dark";
      document.documentElement.dataset.theme = theme === "system" ? systemTheme : theme;
    };
    write();
    light.addEventListener("change", write);
    contrast.addEventListener("change", write);
    return () => {
      light.removeEventListener("change", write);
      contrast.removeEventListener("change", write);
    };
  }, [theme]);
  useEffect(() => {
    document.documentElement.dataset.density = density;
  }, [density]);
}
