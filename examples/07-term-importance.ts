/**
 * 7. What each order of paths is worth: the Framework paper's term importance, in nats.
 *
 * prints:
 *   uniform guess: 6.93 nats
 *   + direct path: 7.47 nats, a gain of -0.53
 *   + single heads: 4.80 nats, a gain of 2.67
 *   + virtual heads: 4.01 nats, a gain of 0.79
 */
import { repeatedTokens } from "transformer-circuits";
import { lossByMaxOrder } from "transformer-circuits/paths";
import { openBundledModel } from "transformer-circuits/bundled";

const { model } = await openBundledModel();
const tokens = repeatedTokens(model.config, { length: 40, batch: 4, seed: 1, bos: 0 });
const { loss, marginalGain, uniformLoss } = lossByMaxOrder(model, tokens);
console.log(`uniform guess: ${uniformLoss.toFixed(2)} nats`);
["direct path", "single heads", "virtual heads"].forEach((name, order) => {
  console.log(`+ ${name}: ${loss.at(order).toFixed(2)} nats, a gain of ${marginalGain.at(order).toFixed(2)}`);
});
