import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` with a shop beside it: everything but the console itself is the gateway's.
const gateway = process.env.GATEWAY ?? "http://127.0.0.1:8080";
const paths =
  "^/(order|orders|status|products|dashboard|sagas?|events|marketing|admin|ready|health|metrics|docs|openapi.json)(/|\\?|$)";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    target: "es2023",
    // The policy of the gateway allows no data: addresses but for images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      [paths]: { target: gateway, headers: { host: new URL(gateway).host } },
      "/ws": { target: gateway, ws: true },
    },
  },
});
