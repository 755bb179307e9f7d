/**
 * 7. What each order of paths is worth: the Framework paper's term importance, in nats.
 *
 * prints:
 */
import { lossByMaxOrder, repeatedTokens } from "transformer-circuits";
import { openBundledModel } from "transformer-circuits/bundled";

const { model } = await openBundledModel();
const tokens = repeatedTokens(model.config, { length: 40, batch: 4, seed: 1, bos: 0 });
const { loss, marginalGain, uniformLoss } = lossByMaxOrder(model, tokens);
console.log(`uniform guess: ${uniformLoss.toFixed(2)} nats`);
["direct path", "single heads", "virtual heads"].forEach((name, order) => {
  console.log(`+ ${name}: ${loss.at(order).toFixed(2)} nats, a gain of ${marginalGain.at(order).toFixed(2)}`);
});
