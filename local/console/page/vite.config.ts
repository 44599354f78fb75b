import { defineConfig } from "vite";

// `npm run dev` shows the page with the data of a server that runs: CONSOLE_SERVER names its address.
const server = process.env.CONSOLE_SERVER ?? "http://127.0.0.1:8080";
const api = ["/console/api", "/users", "/products", "/purchases", "/recommendations", "/jobs", "/models"];

export default defineConfig({
  base: "/console/",
  build: {
    outDir: "../assets",
    emptyOutDir: true,
    // All of it fits into one file, and no file is inlined: the page's policy allows neither data URLs nor inline scripts.
    assetsInlineLimit: 0,
    modulePreload: false,
    rolldownOptions: {
      output: { entryFileNames: "console.js", assetFileNames: "console[extname]", codeSplitting: false },
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: {
    host: "127.0.0.1",
    proxy: Object.fromEntries(
      api.map((path) => [
        path,
        {
          target: server,
          changeOrigin: true,
          configure: (proxy) => {
            proxy.on("proxyReq", (request) => {
              for (const name of ["origin", "sec-fetch-site"]) request.removeHeader(name);
            });
          },
        },
      ]),
    ),
  },
});
