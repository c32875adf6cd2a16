import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// `npm run dev` shows the page with the data of a running hub (or of `npm run mock`).
const hub = process.env.FARHUB_URL ?? "http://127.0.0.1:3482";

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: "es2022",
    // light-dark() must stay as written: both themes are in one rule.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // The page's CSP has no `data:` for scripts or fonts; nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": { target: hub, headers: { origin: hub }, changeOrigin: true } },
  },
});
