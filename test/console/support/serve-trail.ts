/** `node test/console/support/serve-trail.ts [PORT] [COUNT]`: the console over a real log, with COUNT statements to scroll. */
import { startDouble } from "./double.ts";
import { hostileSaid, makeTrail, manyHits, serveTrail } from "./trail.ts";

const double = await startDouble({ port: Number(process.argv[2] ?? 8501), lively: 1500 });
const data = await makeTrail(process.argv[4] === "hostile" ? hostileSaid : []);
process.on("exit", data.remove);
const count = Number(process.argv[3] ?? 0);
serveTrail(double, data, count > 0 ? manyHits(data, count) : data.hits);
console.log(double.url);
