/** `node test/console/support/serve.ts [PORT]`: the console on sample data, for work on its pages. */
import { startDouble } from "./double.ts";

const double = await startDouble({ port: Number(process.argv[2] ?? 8500), lively: 1200 });
console.log(double.url);
