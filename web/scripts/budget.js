// What a browser has to load, gzipped: the build fails over these limits, and where a page names anything of others.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMITS = {
  "first load, bytes": 200_000,
  "first load, files": 5,
  "first load, bytes of scripts": 185_000,
  "bytes of styles": 15_000,
  "the largest of the later files, bytes": 130_000,
  "bytes of everything": 380_000,
};

const read = (path) => readFileSync(`dist/${path}`);
const size = (paths) => paths.reduce((sum, path) => sum + gzipSync(read(path)).length, 0);
const page = read("index.html").toString();
const named = [...page.matchAll(/(?:src|href)="\/([^"]+)"/g)].map((found) => found[1]);
const first = ["index.html", ...named];
const assets = readdirSync("dist/assets").map((name) => `assets/${name}`);
const later = assets.filter((path) => !first.includes(path));
const styles = assets.filter((path) => path.endsWith(".css"));
const found = {
  "first load, bytes": size(first),
  "first load, files": first.length,
  "first load, bytes of scripts": size(first.filter((path) => path.endsWith(".js"))),
  "bytes of styles": size(styles),
  "the largest of the later files, bytes": Math.max(...later.map((path) => size([path]))),
  "bytes of everything": size([...new Set([...first, ...assets])]),
};

const wrong = [];
for (const [what, most] of Object.entries(LIMITS)) {
  console.log(`${what}: ${found[what].toLocaleString("en")} of ${most.toLocaleString("en")}`);
  if (found[what] > most) wrong.push(`${what}: ${found[what]}, and ${most} are allowed`);
}
if (/<style|style=|<script>/.test(page))
  wrong.push("the page has an inline script or style, which the gateway forbids");
const foreign = /(?:src|href)="(?!\/[^/])|url\(\s*["']?(?:https?:)?\/\/|@import\s+["']?(?:https?:)?\/\//;
for (const path of ["index.html", ...styles])
  if (foreign.test(read(path).toString())) wrong.push(`${path} loads something of others`);
if (wrong.length) {
  console.error(`budget: ${wrong.join("; ")}`);
  process.exit(1);
}
