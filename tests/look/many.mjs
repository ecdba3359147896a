// Makes a result of many incidents from one of a few: the same again under other ids.
//   node tests/look/many.mjs RESULT.json OUT.json COUNT
import { readFileSync, writeFileSync } from "node:fs";

const [from, to, count] = process.argv.slice(2);
const result = JSON.parse(readFileSync(from, "utf8"));
for (const list of ["incidents", "details"]) {
  const few = result[list];
  result[list] = Array.from({ length: Number(count) }, (_, n) => {
    const id = `inc-${n.toString(16).padStart(16, "0")}`;
    return { ...few[n % few.length], id, incident: id };
  });
}
const rank = ["critical", "high", "medium", "low", "info"];
const order = result.incidents.map((i, n) => [rank.indexOf(i.severity), n]).sort(([a, m], [b, n]) => a - b || m - n);
for (const list of ["incidents", "details"]) result[list] = order.map(([, n]) => result[list][n]);
writeFileSync(to, JSON.stringify(result));
