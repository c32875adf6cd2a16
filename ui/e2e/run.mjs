// Runs one of the TypeScript programs beside this file, through Vite's own loader.
import { runnerImport } from "vite";

const { module } = await runnerImport(new URL(process.argv[2], import.meta.url).pathname, {
  configFile: false,
  logLevel: "error",
});
await module.main();
