// What a browser has to load before it shows the first page, gzipped: the build fails above FIRST_LOAD_MAX_BYTES.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const FIRST_LOAD_MAX_BYTES = 200_000;
const CHUNK_MAX_BYTES = 180_000;

const size = (path) => gzipSync(readFileSync(`dist/${path}`)).length;
const page = readFileSync("dist/index.html", "utf-8");
const named = [...page.matchAll(/(?:src|href)="\/([^"]+)"/g)].map((found) => found[1]);
const first = ["index.html", ...named].reduce((sum, path) => sum + size(path), 0);
console.log(`first load: ${(first / 1000).toFixed(1)} kB gzipped, of ${FIRST_LOAD_MAX_BYTES / 1000} allowed`);
const later = readdirSync("dist/assets").filter((name) => size(`assets/${name}`) > CHUNK_MAX_BYTES);
if (/<style|style=|<script>/.test(page)) fail("the page has an inline script or style, which the gateway forbids");
if (first > FIRST_LOAD_MAX_BYTES) fail("the first load is too large");
if (later.length) fail(`too large: ${later.join(", ")}`);

function fail(why) {
  console.error(`budget: ${why}`);
  process.exit(1);
}
