// Looks at reports in headless Chromium, as a reader would: phone and desktop, light and dark, and on paper.
//
//   node tests/look/look.mjs OUT_DIR REPORT.html…
//
// Writes a screenshot of each, and fails if a page scrolls sideways, asks for anything, complains, or holds text whose
// contrast with what is behind it is less than 4.5. Needs Chromium (CHROMIUM, default /usr/bin/chromium) and
// playwright-core (`npm install --no-save playwright-core`, or NODE_PATH).

import { createRequire } from "node:module";
import { mkdirSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(resolve(process.env.PLAYWRIGHT ?? process.cwd(), "x.js"));
const { chromium } = require("playwright-core");

const [out, ...files] = process.argv.slice(2);
if (!out || files.length === 0) {
  console.error("usage: look.mjs OUT_DIR REPORT.html…");
  process.exit(2);
}
mkdirSync(out, { recursive: true });

/** Texts whose contrast is too low, and how far the page is wider than its window. Runs in the page. */
function measure() {
  const parse = (c) => {
    const n = c.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return { r: n[0], g: n[1], b: n[2], a: n[3] ?? 1 };
  };
  const light = ({ r, g, b }) => {
    const f = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.a > 0.99) return c;
    }
    return parse("rgb(255,255,255)");
  };
  const poor = [];
  let least = 21;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n = walk.nextNode(); n; n = walk.nextNode()) {
    const e = n.parentElement;
    if (!n.data.trim() || !e.getClientRects().length || /^(title|desc)$/.test(e.localName)) continue;
    const style = getComputedStyle(e);
    const svg = e instanceof SVGElement;
    const r = ratio(parse(svg ? style.fill : style.color), behind(e));
    least = Math.min(least, r);
    if (r < 4.5) poor.push(`${r.toFixed(2)} ${e.localName}.${e.getAttribute("class")} ${n.data.slice(0, 40)}`);
  }
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const over = [...document.querySelectorAll("svg text, svg tspan")]
    .map((t) => [t.getBoundingClientRect(), t.textContent])
    .filter(([b]) => b.width && (b.right > innerWidth + 0.5 || b.left < -0.5))
    .map(([, t]) => t);
  const levels = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].map((h) => Number(h.localName[1]));
  const jumps = levels.filter((l, i) => l > (levels[i - 1] ?? 0) + 1).length;
  const unnamed = [...document.querySelectorAll("svg.chart")].filter((s) => !s.querySelector(":scope > title")).length;
  return { wide, over, least, poor, jumps, unnamed, elements: document.querySelectorAll("*").length };
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
let wrong = 0;
for (const file of files) {
  const name = basename(file).replace(/\.html$/, "");
  const large = statSync(file).size > 3e6; // all of it is laid out to be measured: once a width is enough
  for (const width of large ? [390, 1440] : [390, 768, 1440]) {
    for (const colorScheme of large ? ["light"] : ["light", "dark"]) {
      const page = await browser.newPage({ viewport: { width, height: width < 500 ? 844 : 900 }, colorScheme });
      const said = [];
      let asked = 0;
      page.on("console", (m) => said.push(m.text()));
      page.on("pageerror", (e) => said.push(String(e)));
      page.on("request", () => asked++);
      const began = Date.now();
      await page.goto(pathToFileURL(resolve(file)).href);
      const opened = Date.now() - began;
      if (width !== 768) await page.screenshot({ path: `${out}/${name}-${width}-${colorScheme}.png` });
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
      const m = await page.evaluate(measure);
      const bad = m.wide > 0 || m.poor.length || m.over.length || m.jumps || m.unnamed || said.length || asked !== 1;
      wrong += bad ? 1 : 0;
      console.log(`${bad ? "BAD" : "ok "} ${name} ${width} ${colorScheme}: opened in ${opened} ms, ${statSync(file).size} bytes, ` +
        `${m.elements} elements, ${m.wide} px too wide, least contrast ${m.least.toFixed(2)}, ${asked} request`);
      for (const text of [...new Set([...m.poor, ...m.over.map((t) => `outside: ${t}`), ...said])].slice(0, 8)) console.log(`      ${text}`);
      if (m.jumps || m.unnamed) console.log(`      ${m.jumps} heading jumps, ${m.unnamed} pictures without a title`);
      if (process.env.FULL && width !== 768) {
        await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = false)));
        await page.screenshot({ path: `${out}/${name}-${width}-${colorScheme}-full.png`, fullPage: true });
      }
      if (width === 1440 && colorScheme === "light" && m.elements < 20000) await page.pdf({ path: `${out}/${name}.pdf`, format: "A4" });
      await page.close();
    }
  }
}
await browser.close();
process.exit(wrong ? 1 : 0);
