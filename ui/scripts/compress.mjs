// Writes `.br` and `.gz` beside each file of dist/, so that the hub never compresses at run time.
// Both, because browsers offer `br` only to https and localhost.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = new URL("../dist", import.meta.url).pathname;
const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
const sum = { plain: 0, br: 0, gz: 0 };

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(html|js|css|svg|json)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const plain = readFileSync(path);
  const br = brotliCompressSync(plain, quality);
  const gz = gzipSync(plain, { level: 9 });
  writeFileSync(`${path}.br`, br);
  writeFileSync(`${path}.gz`, gz);
  sum.plain += plain.length;
  sum.br += br.length;
  sum.gz += gz.length;
  console.log(`${entry.name}: ${plain.length} B, br ${br.length}, gz ${gz.length}`);
}
console.log(`all: ${sum.plain} B, br ${sum.br}, gz ${sum.gz}`);
