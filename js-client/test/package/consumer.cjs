// A program in CommonJS. Its one argument is what to do, as JSON.
const arrow = require("apache-arrow");
const pixelflight = require("pixelflight");

const given = JSON.parse(process.argv[2]);
if (given.flight) given.transport = require("pixelflight/flight").flight({ url: given.flight });

const load = async (entry) => require(`pixelflight/${entry}`);

import("./tour.mjs")
  .then(({ tour }) => tour(pixelflight, arrow, load, given))
  .then((told) => console.log(JSON.stringify(told)));
