// A program in ESM. Its one argument is what to do, as JSON.
import * as arrow from "apache-arrow";
import * as pixelflight from "pixelflight";
import { tour } from "./tour.mjs";

const given = JSON.parse(process.argv[2]);
if (given.flight) {
  const { flight } = await import("pixelflight/flight");
  given.transport = flight({ url: given.flight });
}
const load = (entry) => import(`pixelflight/${entry}`);
console.log(JSON.stringify(await tour(pixelflight, arrow, load, given)));
