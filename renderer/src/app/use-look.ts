import { useEffect } from "react";
import { settingNow, useSetting, useSettings } from "../data/settings.ts";
import { setTimeDisplay } from "../ui/index.ts";

/** Writes theme, density, text size and motion on the root element; `system` follows the desktop live. */
export function useLook(): void {
  const theme = useSetting("display.theme");
  const density = useSetting("display.density");
  const zoom = useSetting("display.zoom");
  const motion = useSetting("display.motion");
  useEffect(() => {
    const light = matchMedia("(prefers-color-scheme: light)");
    const contrast = matchMedia("(prefers-contrast: more)");
    const paper = matchMedia("print");
    return following([light, contrast, paper], () => {
      const systemTheme = contrast.matches ? "contrast" : light.matches ? "light" : "dark";
      const screenTheme = theme === "system" ? systemTheme : theme;
      document.documentElement.dataset.theme = paper.matches ? "light" : screenTheme;
    });
  }, [theme]);
  useEffect(() => {
    document.documentElement.dataset.density = density;
  }, [density]);
  useEffect(() => {
    document.documentElement.style.fontSize = zoom === 100 ? "" : `${zoom}%`;
  }, [zoom]);
  useEffect(() => {
    const reduced = matchMedia("(prefers-reduced-motion: reduce)");
    return following([reduced], () => {
      const isReduced = motion === "reduced" || (motion === "system" && reduced.matches);
      document.documentElement.dataset.motion = isReduced ? "reduced" : "full";
    });
  }, [motion]);
}

function following(queries: readonly MediaQueryList[], write: () => void): () => void {
  write();
  for (const query of queries) query.addEventListener("change", write);
  return () => {
    for (const query of queries) query.removeEventListener("change", write);
  };
}

/** Says to `ui/time` how the person wants times, before anything is drawn. */
export function followTimeDisplay(): void {
  const say = () => setTimeDisplay({ zone: settingNow("time.zone"), clock: settingNow("time.clock") });
  say();
  useSettings.subscribe(say);
}

/** Changes when times are written otherwise: what shows them is drawn anew. */
export function useTimeKey(): string {
  return `${useSetting("time.zone")} ${useSetting("time.clock")}`;
}
